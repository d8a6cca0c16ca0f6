//! The scratch space as jobs see it.

use super::*;
use crate::task::INPUT;

pub(super) const MIB: u64 = 1 << 20;

pub(super) const fn room(min_free_bytes: u64, max_bytes: u64) -> Room {
    Room { min_free_bytes, max_bytes }
}

/// An original that takes so many bytes of the disk.
pub(super) fn fill(job: &Scratch, bytes: u64) {
    let file = fs::File::create(job.path().join(INPUT)).expect("a file");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).expect("written");
}

fn names(base: &Path) -> usize {
    fs::read_dir(base).expect("readable").count()
}

#[test]
fn a_job_leaves_nothing_and_neither_does_the_worker() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 0)).expect("open");
    let scratch = workspace.claim(10).expect("claim");
    let path = scratch.path().to_owned();
    fs::write(path.join("input"), b"x").expect("write");
    drop(scratch);
    assert!(!path.exists());
    drop(workspace);
    assert_eq!(names(base.path()), 0);
}

#[test]
fn a_sweep_takes_the_dead_and_spares_the_living_and_the_foreign() {
    let base = tempfile::tempdir().expect("base");
    let alive = Workspace::open(base.path(), room(0, 0)).expect("open");
    fs::create_dir_all(base.path().join(format!("{PREFIX}dead/job-1"))).expect("dead");
    fs::create_dir(base.path().join("somebody-elses")).expect("foreign");
    let second = Workspace::open(base.path(), room(0, 0)).expect("open");
    assert!(!base.path().join(format!("{PREFIX}dead")).exists());
    assert!(base.path().join("somebody-elses").exists());
    assert_eq!(names(base.path()), 3);
    drop((alive, second));
    assert_eq!(names(base.path()), 1);
}

#[test]
fn no_job_starts_below_the_floor_and_promises_count() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(u64::MAX >> 1, 0)).expect("open");
    assert!(matches!(workspace.claim(0), Err(WorkspaceError::Full { .. })));

    let workspace = Workspace::open(base.path(), room(0, 0)).expect("open");
    let free = workspace.free_bytes().expect("free");
    let first = workspace.claim(free / 2).expect("fits");
    assert!(matches!(workspace.claim(free), Err(WorkspaceError::Full { .. })));
    drop(first);
    assert!(workspace.claim(free / 2).is_ok());
}

#[test]
fn a_directory_full_of_files_is_not_walked_to_its_end() {
    let base = tempfile::tempdir().expect("base");
    for n in 0..MAX_FILES + 10 {
        fs::write(base.path().join(n.to_string()), b"x").expect("written");
    }
    let each = fs::metadata(base.path().join("0")).expect("metadata").blocks() * 512;
    assert_eq!(written(base.path()), each * MAX_FILES as u64);
}

#[test]
fn what_a_job_has_written_is_not_counted_twice() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 0)).expect("open");
    // Much more than others are likely to write meanwhile.
    let size: u64 = 256 << 20;
    let job = workspace.claim(size / TIMES_ORIGINAL).expect("fits");
    let all_but_half = || (workspace.free_bytes().expect("free") - size / 2) / TIMES_ORIGINAL;
    assert!(matches!(workspace.claim(all_but_half()), Err(WorkspaceError::Full { .. })), "it is to come");
    fill(&job, size);
    assert!(workspace.claim(all_but_half()).is_ok(), "it is there");
}

#[test]
fn a_job_that_is_alone_needs_room_for_its_original_only_and_keeps_others_out() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(10 * MIB, 100 * MIB)).expect("open");
    let large = workspace.claim(80 * MIB).expect("it is alone");
    assert!(matches!(workspace.claim(2 * MIB), Err(WorkspaceError::Full { .. })));
    workspace.check().expect("what is promised leaves the floor free");
    drop(large);
    let other = workspace.claim(10 * MIB).expect("fits");
    assert!(matches!(workspace.claim(80 * MIB), Err(WorkspaceError::Full { .. })), "it has to be alone");
    workspace.claim(20 * MIB).expect("three times that is there");
    drop(other);
    let fault = Fault::from(workspace.claim(91 * MIB).expect_err("larger than all of it"));
    assert!(matches!(fault, Fault::Rejected { code: Code::LimitScratch, .. }), "{fault:?}");
}

#[test]
fn jobs_take_no_more_than_the_configured_part_of_a_file_system() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 64 * MIB)).expect("open");
    assert_eq!(workspace.free_bytes().expect("free"), 64 * MIB);
    let job = workspace.claim(0).expect("fits");
    fill(&job, 16 * MIB);
    assert_eq!(workspace.free_bytes().expect("free"), 48 * MIB);
}

#[test]
fn a_large_job_leaves_a_reserve_and_small_ones_in_it_do_not_keep_it_out() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(10 * MIB, 100 * MIB)).expect("open");
    // 90 MiB above the floor, a sixteenth of which is the reserve.
    let large = workspace.claim(80 * MIB).expect("it is alone");
    fill(&large, 80 * MIB);
    let note = workspace.claim(MIB).expect("fits into the reserve");
    workspace.claim(0).expect("so does a trial");
    drop(large);
    let large = workspace.claim(80 * MIB).expect("a note is no hindrance");
    assert!(matches!(workspace.claim(2 * MIB), Err(WorkspaceError::Full { .. })), "the reserve is taken by the note");
    drop((note, large));
    let fault = Fault::from(workspace.claim(85 * MIB).expect_err("no job has the reserve"));
    assert!(matches!(fault, Fault::Rejected { code: Code::LimitScratch, .. }), "{fault:?}");
}

#[test]
fn a_claim_without_room_is_no_attempt_and_is_known_until_a_job_ends() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 100 * MIB)).expect("open");
    let large = workspace.claim(50 * MIB).expect("it is alone");
    assert_eq!(workspace.full_until(), None);
    let fault = Fault::from(workspace.claim(50 * MIB).expect_err("full"));
    assert!(matches!(fault, Fault::NoRoom { .. }), "{fault:?}");
    assert_eq!(fault.code(), Some(Code::WorkerScratch));
    assert!(workspace.full_until().is_some_and(|until| until <= Instant::now() + FULL_FOR));
    workspace.check().expect("the running job is no trouble of the machine");
    drop(large);
    assert_eq!(workspace.full_until(), None);
}

#[test]
fn a_check_makes_no_directory_waits_for_no_claim_and_knows_the_floor() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 0)).expect("open");
    let changed = || fs::metadata(&workspace.0.dir).and_then(|meta| meta.modified()).expect("there");
    let before = changed();
    let promised = workspace.0.promised();
    workspace.check().expect("free space");
    drop(promised);
    assert_eq!(changed(), before);
    let low = Workspace::open(base.path(), room(u64::MAX >> 1, 0)).expect("open");
    let fault = Fault::from(low.check().expect_err("below the floor"));
    assert!(matches!(fault, Fault::Transient { code: Code::WorkerScratch, .. }), "{fault:?}");
}

#[test]
fn a_promise_outlives_the_files() {
    let base = tempfile::tempdir().expect("base");
    let workspace = Workspace::open(base.path(), room(0, 0)).expect("open");
    let job = workspace.claim(MIB).expect("fits");
    fill(&job, MIB);
    let path = job.path().to_owned();
    let promised = workspace.0.promised();
    let ending = std::thread::spawn(move || drop(job));
    let patience = Instant::now() + Duration::from_secs(10);
    while path.exists() {
        assert!(Instant::now() < patience, "the files wait for the promise");
        std::thread::yield_now();
    }
    assert!(promised.contains_key(&path));
    drop(promised);
    ending.join().expect("no panic");
    assert!(workspace.0.promised().is_empty());
}
