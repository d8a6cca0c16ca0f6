//! What a job costs by how its process comes to be: none, a fork of the fork server, a fork that executes the program
//! anew, and the `ffmpeg` programs. One at a time, in turns. The table has medians of the time that passes; the promise is
//! judged by CPU time and the fastest of each, since whatever else the machine does only ever adds.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "support/jail.rs"]
mod jail;
mod support;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use jail::sandbox;
use mediamill::sandbox::{Launcher, Sandbox};
use mediamill::task::Task;
use mediamill::transcode;
use support::{note, run, scratch, spec};
use usage::{cpu_time, cpu_time_of};

const ROUNDS: usize = 41;
/// CPU time of a voice note with child, fork server and what this process does for them, as a multiple of the note's in
/// this process.
const TIMES_AT_MOST: f64 = 1.12;

/// One column of one row.
type Way<'a> = Box<dyn Fn() -> Duration + 'a>;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let note = note(folder.path(), 0);
    let (forked, executed) = (sandbox(Launcher::Fork), sandbox(Launcher::ReExec));
    (transcode::WORK.warm)();

    println!("median of {ROUNDS}, in ms            in process  fork server  re-exec  program");
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
    }
    let (own, jailed) = cpu_of_a_note(&forked, &note);
    let times = jailed.as_secs_f64() / own.as_secs_f64();
    let kept = times <= TIMES_AT_MOST;
    println!(
        "CPU of the voice note: {:.2} ms in process, {:.2} ms in the jail, {times:.2} times; promised: {TIMES_AT_MOST}, {}",
        ms(own),
        ms(jailed),
        if kept { "kept" } else { "MISSED" }
    );
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The least CPU time of a note in this process, and of one in a child with everything around it.
fn cpu_of_a_note(sandbox: &Sandbox, note: &Path) -> (Duration, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = sandbox.server_pid().expect("a fork server");
    let (mut own, mut jailed) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (folder, spec) = (scratch(note), spec(Task::Normalize));
        std::env::set_current_dir(folder.path()).expect("the scratch directory");
        let before = cpu_time();
        (transcode::WORK.run)(&spec, &mut |_| ()).expect("a report");
        own = own.min(cpu_time() - before);

        let folder = scratch(note);
        let before = cpu_time() + cpu_time_of(server);
        let report = runtime.block_on(sandbox.run(&spec, folder.path(), |_| ())).expect("a report");
        let around = cpu_time() + cpu_time_of(server) - before;
        jailed = jailed.min(around + Duration::from_secs_f64(report.cpu_s));
    }
    (own, jailed)
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
