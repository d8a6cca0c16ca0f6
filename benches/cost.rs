//! What a job costs by how its process comes to be: none, a fork of the fork server, a fork that executes the program
//! anew, and the `ffmpeg` programs. One at a time, in turns. The table has medians; the promise is judged by the fastest
//! of each, since whatever else the machine does only ever adds.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "support/jail.rs"]
mod jail;
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use jail::sandbox;
use mediamill::sandbox::{Launcher, Sandbox};
use mediamill::task::Task;
use mediamill::transcode;
use support::{note, run, scratch, spec};

const ROUNDS: usize = 41;
/// What the fork server may add to a job.
const OVERHEAD_AT_MOST: Duration = Duration::from_millis(5);

/// One column of one row.
type Way<'a> = Box<dyn Fn() -> Duration + 'a>;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let note = note(folder.path(), 0);
    let (forked, executed) = (sandbox(Launcher::Fork), sandbox(Launcher::ReExec));
    (transcode::WORK.warm)();

    println!("median of {ROUNDS}, in ms            in process  fork server  re-exec  program");
    let mut overhead = Duration::ZERO;
    for (name, task) in [("empty job", Task::Empty), ("probe", Task::Probe), ("voice note of 14 s", Task::Normalize)] {
        let ways: [Way<'_>; 4] = [
            Box::new(|| in_process(&note, task)),
            Box::new(|| in_child(&forked, &note, task)),
            Box::new(|| in_child(&executed, &note, task)),
            Box::new(|| as_program(&note, task)),
        ];
        let times = in_turns(&ways);
        let [own, fork, exec, program] = times.each_ref().map(|sorted| ms(sorted[ROUNDS / 2]));
        println!("{name:<26} {own:>17.2} {fork:>12.2} {exec:>8.2} {program:>8.2}");
        let [own, fork, ..] = times.map(|sorted| sorted[0]);
        overhead = overhead.max(fork.saturating_sub(own));
    }
    let kept = overhead <= OVERHEAD_AT_MOST;
    let verdict = if kept { "kept" } else { "MISSED" };
    println!("the fork server adds {:.2} ms at most; promised: {OVERHEAD_AT_MOST:?}, {verdict}", ms(overhead));
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each way's times, ascending.
fn in_turns<const N: usize>(ways: &[Way<'_>; N]) -> [Vec<Duration>; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            times.push(way());
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times
}

fn in_process(input: &Path, task: Task) -> Duration {
    let scratch = scratch(input);
    std::env::set_current_dir(scratch.path()).expect("the scratch directory");
    let (spec, begun) = (spec(task), Instant::now());
    (transcode::WORK.run)(&spec, &mut |_| ()).expect("a report");
    begun.elapsed()
}

fn in_child(sandbox: &Sandbox, input: &Path, task: Task) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (scratch, spec) = (scratch(input), spec(task));
    let begun = Instant::now();
    runtime.block_on(sandbox.run(&spec, scratch.path(), |_| ())).expect("a report");
    begun.elapsed()
}

/// The nearest that a shell has: nothing, facts, an MP3 of the same kind.
fn as_program(input: &Path, task: Task) -> Duration {
    let scratch = scratch(input);
    let mut command = match task {
        Task::Normalize => program("ffmpeg", &["-i", "input", "-ac", "1", "-ar", "24000", "-b:a", "40k", "audio.mp3"]),
        Task::Probe => program("ffprobe", &["-show_format", "-show_streams", "-of", "json", "input"]),
        Task::Empty | Task::Measure | Task::Escape => program("ffmpeg", &["-version"]),
    };
    let begun = Instant::now();
    run(command.current_dir(scratch.path()));
    begun.elapsed()
}

fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(["-v", "error"]).args(arguments);
    command
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
