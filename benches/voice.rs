//! Where the time of a voice note goes, stage by stage, in this process: the next speed-up is the longest line. And how
//! far all of it is above the codecs' own floor: the same decode, resampling and encode with nothing else. The promise is
//! judged by the fastest rounds, since whatever else the machine does only ever adds.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "support/floor.rs"]
mod floor;
#[path = "support/stages.rs"]
mod stages;
mod support;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use floor::floor;
use mediamill::task::Task;
use mediamill::transcode;
use stages::{Stages, Times};
use support::{note, note_of, scratch, spec};
use usage::cpu_time;

const ROUNDS: usize = 41;
const BATCH: u32 = 50;
/// CPU time of all stages, as a multiple of the floor.
const TIMES_AT_MOST: f64 = 1.25;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let here = std::env::current_dir().expect("a directory");
    let stages = Stages::install();
    (transcode::WORK.warm)();

    let mut worst: f64 = 0.0;
    for seconds in [14, 30] {
        let note = note_of(folder.path(), seconds, 0);
        println!("A voice note of {seconds} s (Opus 16 kb/s) with the profile crm, median of {ROUNDS}, in ms");
        worst = worst.max(measured(&note, &stages));
    }
    let notes: Vec<_> = (0..BATCH).map(|n| note(folder.path(), n)).collect();
    let time: Duration = notes.iter().map(|note| whole(note).time).sum();
    std::env::set_current_dir(here).expect("the directory before");
    println!(
        "{BATCH} different notes one after another: {:.1} a second on one core",
        f64::from(BATCH) / time.as_secs_f64()
    );
    let kept = worst <= TIMES_AT_MOST;
    let verdict = if kept { "kept" } else { "MISSED" };
    println!("{worst:.2} times the floor at most; promised: {TIMES_AT_MOST}, {verdict}");
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the stages of one note. Returns its CPU time as a multiple of the floor.
fn measured(note: &Path, stages: &Stages) -> f64 {
    let (mut floors, mut totals, mut cpu, mut shares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        stages.clear();
        let made = whole(note);
        shares.push(stages.take());
        totals.push(made.time);
        cpu.push(made.cpu);
        floors.push(floor(note, &made.folder.path().join("audio.mp3"), &spec(Task::Normalize)));
    }
    print_stages(&shares, median(&mut totals));
    println!("{:<10} {:>7.2}  CPU of all", "all", ms(median(&mut cpu)));
    println!("{:<10} {:>7.2}  CPU of decode, resample and encode with nothing else", "floor", ms(median(&mut floors)));
    let times = cpu[0].as_secs_f64() / floors[0].as_secs_f64();
    println!("{times:.2} times the floor, the fastest of each");
    times
}

fn print_stages(shares: &[Times], total: Duration) {
    let mut listed = Duration::ZERO;
    for name in Stages::names(shares) {
        let mut times: Vec<Duration> =
            shares.iter().map(|round| round.get(name).copied().unwrap_or_default()).collect();
        let time = median(&mut times);
        listed += time;
        println!("{name:<10} {:>7.2} {:>4.0} %", ms(time), 100.0 * time.as_secs_f64() / total.as_secs_f64());
    }
    println!("{:<10} {:>7.2}", "the rest", ms(total.saturating_sub(listed)));
}

struct Made {
    folder: tempfile::TempDir,
    time: Duration,
    cpu: Duration,
}

fn whole(note: &Path) -> Made {
    let folder = scratch(note);
    std::env::set_current_dir(folder.path()).expect("the scratch directory");
    let (spec, begun, cpu) = (spec(Task::Normalize), Instant::now(), cpu_time());
    (transcode::WORK.run)(&spec, &mut |_| ()).expect("a report");
    Made { folder, time: begun.elapsed(), cpu: cpu_time() - cpu }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
