//! Jobs through the real fork server: that it is cheap, survives, and leaves nothing behind.

use std::time::{Duration, Instant};

use mediamill::config;
use mediamill::error::Fault;
use mediamill::sandbox::{Launcher, Sandbox, SandboxError, SandboxOptions};
use mediamill::task::{INPUT, Task};
use rustix::process::Signal;

use crate::support::processes::{self, wait_until};
use crate::support::{cmd, jail};

/// Jobs of the leak test where nothing else is asked for.
const LEAK_JOBS: usize = 10_000;

fn sandbox() -> Sandbox {
    jail::start(SandboxOptions { escape_probes: true, ..jail::options() })
}

fn server_of(sandbox: &Sandbox) -> i32 {
    i32::try_from(sandbox.server_pid().expect("a fork server")).expect("a process id")
}

/// Runs an attempt that sleeps, on a task of its own, and waits until its child is there.
fn sleeping(sandbox: &Sandbox) -> (tokio::task::JoinHandle<Result<(), SandboxError>>, i32) {
    let before = processes::children(server_of(sandbox)).len();
    let task = tokio::spawn({
        let sandbox = sandbox.clone();
        async move {
            let scratch = jail::scratch("end sleep");
            sandbox.run(&jail::spec(Task::Escape), scratch.path(), |_| ()).await.map(drop)
        }
    });
    wait_until("a child", || processes::children(server_of(sandbox)).len() > before);
    let newest = processes::children(server_of(sandbox)).into_iter().map(|child| child.pid).max();
    (task, newest.expect("a child"))
}

#[tokio::test]
async fn an_empty_job_comes_back_and_says_what_held_it() {
    for launcher in [Launcher::Fork, Launcher::ReExec] {
        let sandbox = jail::start(SandboxOptions { launcher, ..jail::options() });
        let scratch = jail::scratch("x");
        let report = sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("a report");
        assert_eq!(report.sandbox, sandbox.status());
        assert_eq!(report.sandbox.mode, "required");
        assert!(report.sandbox.seccomp);
        assert!(report.sandbox.landlock_abi >= 1);
        assert!(report.peak_memory_bytes > 0);
    }
}

/// Debian's libav comes with 167 libraries; see `lean`.
#[tokio::test]
async fn children_leave_libraries_behind() {
    let sandbox = sandbox();
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", server_of(&sandbox))).expect("the kernel's word");
    let left = maps.lines().filter(|line| line.starts_with("VmFlags:") && line.contains(" dc ")).count();
    assert!(left > 100, "{left} mappings are not copied to children");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_jobs_leave_no_descriptor_and_no_zombie() {
    let jobs = std::env::var("MEDIAMILL_LEAK_JOBS").map_or(LEAK_JOBS, |n| n.parse().expect("a number"));
    // One fork server for all of them: renewed ones would not show what piles up.
    let sandbox = jail::start(SandboxOptions { renew_after_jobs: u64::MAX, ..jail::options() });
    let server = server_of(&sandbox);
    let run = async |sandbox: Sandbox, jobs: usize| {
        let scratch = jail::scratch("x");
        for _ in 0..jobs {
            sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("a report");
        }
    };
    run(sandbox.clone(), 10).await;
    let before = processes::descriptors(server);
    let begun = Instant::now();
    let lanes: Vec<_> = (0..2).map(|_| tokio::spawn(run(sandbox.clone(), jobs / 2))).collect();
    for lane in lanes {
        lane.await.expect("all jobs came back");
    }
    let each = begun.elapsed() * 2 / u32::try_from(jobs).expect("not so many");
    eprintln!("{jobs} empty jobs, two at a time: {each:?} each");
    assert_eq!(server_of(&sandbox), server, "it never died");
    assert_eq!(processes::descriptors(server), before);
    assert_eq!(processes::children(server).len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_job_takes_its_child_along() {
    let sandbox = sandbox();
    let (task, child) = sleeping(&sandbox);
    task.abort();
    wait_until("the child's end", || !processes::lives(child));
    wait_until("its reaping", || processes::children(server_of(&sandbox)).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_fork_server_is_replaced_and_its_jobs_are_passing_trouble() {
    let sandbox = sandbox();
    let server = server_of(&sandbox);
    let (task, child) = sleeping(&sandbox);
    processes::signal(server, Signal::KILL);
    let error = task.await.expect("no panic").expect_err("lost");
    assert!(matches!(Fault::from(error), Fault::Transient { .. }));
    wait_until("the child's end", || !processes::lives(child));
    let scratch = jail::scratch("x");
    sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("a new fork server");
    assert_ne!(server_of(&sandbox), server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_child_meets_the_workers_deadline() {
    let sandbox = sandbox();
    let scratch = jail::scratch("end sleep");
    let mut spec = jail::spec(Task::Escape);
    spec.limits.wall_s = 1;
    let server = server_of(&sandbox);
    let stopper = std::thread::spawn(move || {
        wait_until("a child", || !processes::children(server).is_empty());
        processes::signal(processes::children(server)[0].pid, Signal::STOP);
    });
    let begun = Instant::now();
    let error = sandbox.run(&spec, scratch.path(), |_| ()).await.expect_err("stopped");
    stopper.join().expect("stopped");
    assert!(matches!(error, SandboxError::Ended(mediamill::sandbox::Ending::TimeLimit)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_fork_server_is_replaced() {
    let sandbox = sandbox();
    let server = server_of(&sandbox);
    processes::signal(server, Signal::STOP);
    let mut spec = jail::spec(Task::Empty);
    spec.limits.wall_s = 1;
    let scratch = jail::scratch("x");
    let error = sandbox.run(&spec, scratch.path(), |_| ()).await.expect_err("stuck");
    assert!(matches!(Fault::from(error), Fault::Transient { .. }));
    sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("a new fork server");
    assert!(!processes::lives(server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_running_jobs_as_a_shutdown() {
    let sandbox = sandbox();
    let (task, child) = sleeping(&sandbox);
    sandbox.close();
    let error = task.await.expect("no panic").expect_err("closed");
    assert_eq!(Fault::from(error), Fault::Shutdown);
    wait_until("the child's end", || !processes::lives(child));
    let error = sandbox.run(&jail::spec(Task::Empty), jail::scratch("x").path(), |_| ()).await.expect_err("closed");
    assert_eq!(Fault::from(error), Fault::Shutdown);
}

#[tokio::test]
async fn a_program_that_is_no_fork_server_is_an_error_at_the_start() {
    for program in ["/bin/true", "/nonexistent"] {
        let error = Sandbox::start(SandboxOptions { program: program.into(), ..jail::options() }).expect_err(program);
        assert!(matches!(Fault::from(error), Fault::Broken { .. } | Fault::Transient { .. }));
    }
}

/// Not a test of its own: the worker that [`a_killed_worker_leaves_no_orphans`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test, in a process of its own"]
async fn as_a_worker_that_will_be_killed() {
    let sandbox = sandbox();
    let (_task, child) = sleeping(&sandbox);
    use std::io::Write;
    writeln!(std::io::stdout(), "\nfamily {} {child}", server_of(&sandbox)).expect("told");
    std::future::pending::<()>().await;
}

#[test]
fn a_killed_worker_leaves_no_orphans() {
    use std::io::{BufRead, BufReader};
    let mut worker = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "sandbox::as_a_worker_that_will_be_killed", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a worker");
    let lines = BufReader::new(worker.stdout.take().expect("its output")).lines();
    let family = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("family ").map(str::to_owned));
    let family = family.expect("a fork server and a child");
    let pids: Vec<i32> = family.split(' ').map(|pid| pid.parse().expect("a process id")).collect();
    assert!(pids.iter().all(|pid| processes::lives(*pid)));
    worker.kill().expect("killed");
    worker.wait().expect("gone");
    wait_until("the end of all", || !pids.iter().any(|pid| processes::lives(*pid)));
}

/// A fork server that dies of its start, three times over, before it comes back: each pause is twice the one before.
#[tokio::test]
async fn a_fork_server_that_will_not_start_is_tried_again_with_pauses() {
    let dir = cmd::Dir::new();
    let starts = dir.path().join("starts");
    let script = format!(
        "#!/bin/sh\necho >> {0}\ncount=$(wc -l < {0})\n[ $count -gt 1 ] && [ $count -lt 5 ] && exit 1\nexec {1} \"$@\"\n",
        starts.display(),
        env!("CARGO_BIN_EXE_mediamill")
    );
    let program = dir.write("program", script);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("executable");
    let sandbox = jail::start(SandboxOptions { program, ..jail::options() });
    let begun = Instant::now();
    processes::signal(server_of(&sandbox), Signal::KILL);
    wait_until("the end of the first", || sandbox.server_pid().is_none());
    let scratch = jail::scratch("x");
    sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("the fifth start");
    assert_eq!(std::fs::read_to_string(&starts).expect("starts").lines().count(), 5);
    // 20, 40, 80 and 160 ms.
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn hidden_subcommands_do_nothing_for_people() {
    let dir = cmd::Dir::new();
    dir.run(["fork-server"]).exits(2);
    dir.run(["job-child", "off"]).exits(2);
    let limits = config::load(None, [], &[]).expect("the defaults").limits;
    let limits = serde_json::to_string(&limits).expect("JSON");
    dir.run(["fork-server", "required", "fork", "-", &limits, "1"]).exits(1);
    assert!(!dir.path().join(INPUT).exists());
}
