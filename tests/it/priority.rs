//! A voice note and a video on the same CPU: the video makes way.

use std::time::{Duration, Instant};

use mediamill::sandbox::{Sandbox, SandboxOptions};
use mediamill::task::{JobSpec, Task};
use rustix::thread::CpuSet;

use crate::support::processes::{self, wait_until};
use crate::support::say::say;
use crate::support::{cmd, jail};

/// What the worker adds to the nice value of bulk jobs.
const BULK_NICE: i32 = 10;
/// How much slower a voice note may be beside a video that wants the same CPU. With equal priorities it is 2 or more.
const SLOWED_AT_MOST: f64 = 1.6;
/// A voice note's time is the median of so many.
const NOTES: usize = 5;

/// A sandbox whose children all have one CPU between them: the fork server inherits it from the thread that starts it.
fn on_one_cpu(options: SandboxOptions) -> Sandbox {
    let start = move || {
        let all = rustix::thread::sched_getaffinity(None).expect("affinity");
        let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a CPU");
        let mut one = CpuSet::new();
        one.set(first);
        rustix::thread::sched_setaffinity(None, &one).expect("one CPU");
        jail::start(options)
    };
    std::thread::spawn(start).join().expect("a sandbox")
}

fn spec(task: Task, nice: i32) -> JobSpec {
    JobSpec { nice, ..jail::spec(task) }
}

/// CPU time of a process in clock ticks, from `/proc/PID/stat`.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a living child");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name")..].split_whitespace().collect();
    fields[12].parse::<u64>().expect("utime") + fields[13].parse::<u64>().expect("stime")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernel_gives_a_bulk_child_a_fraction_of_what_a_voice_child_gets() {
    let sandbox = on_one_cpu(SandboxOptions { escape_probes: true, ..jail::options() });
    let server = i32::try_from(sandbox.server_pid().expect("a fork server")).expect("a process id");
    let mut pids = Vec::new();
    let mut jobs = Vec::new();
    for nice in [0, BULK_NICE] {
        let sandbox = sandbox.clone();
        jobs.push(tokio::spawn(async move {
            let scratch = jail::scratch("end cpu");
            sandbox.run(&spec(Task::Escape, nice), scratch.path(), |_| ()).await.map(drop)
        }));
        wait_until("a child", || processes::children(server).len() > pids.len());
        let new = processes::children(server).into_iter().map(|child| child.pid).find(|pid| !pids.contains(pid));
        pids.push(new.expect("a child"));
    }
    let (voice, bulk) = (ticks(pids[0]), ticks(pids[1]));
    wait_until("a second of CPU", || ticks(pids[0]) - voice >= 100);
    let (voice, bulk) = (ticks(pids[0]) - voice, ticks(pids[1]) - bulk);
    jobs.iter().for_each(tokio::task::JoinHandle::abort);
    say(format_args!("on one CPU, a bulk child had {bulk} ticks while a voice child had {voice}"));
    assert!(bulk * 5 < voice, "{bulk} of {voice}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_note_is_not_slowed_by_a_video() {
    let sandbox = on_one_cpu(jail::options());
    let note = std::fs::read(cmd::repo_file("fixtures/voice-note.ogg")).expect("a fixture");
    let alone = median_of_notes(&sandbox, &note).await;
    let film = std::fs::read(cmd::repo_file("fixtures/hdr-hlg.mov")).expect("a fixture");
    let video = tokio::spawn({
        let sandbox = sandbox.clone();
        async move {
            loop {
                let scratch = jail::scratch(&film);
                sandbox.run(&spec(Task::Normalize, BULK_NICE), scratch.path(), |_| ()).await.expect("a film");
            }
        }
    });
    let beside = median_of_notes(&sandbox, &note).await;
    assert!(!video.is_finished(), "{:?}", video.await);
    video.abort();
    let slowed = beside.as_secs_f64() / alone.as_secs_f64();
    say(format_args!("a voice note on one CPU: {alone:.1?} alone, {beside:.1?} beside a video, {slowed:.2} times"));
    assert!(slowed < SLOWED_AT_MOST, "{slowed:.2}");
}

async fn median_of_notes(sandbox: &Sandbox, note: &[u8]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..NOTES {
        let scratch = jail::scratch(note);
        let begun = Instant::now();
        sandbox.run(&spec(Task::Normalize, 0), scratch.path(), |_| ()).await.expect("a note");
        times.push(begun.elapsed());
    }
    times.sort();
    times[NOTES / 2]
}
