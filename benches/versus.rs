//! A hundred voice notes with all cores, ours against what teams write today: `ffprobe`, `ffmpeg` and
//! `ffmpeg showwavespic` on each, as many at a time as there are CPUs, under xargs; and PyAV in a pool of as many
//! processes. In turns, in one run.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "support/jail.rs"]
mod jail;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use jail::sandbox;
use mediamill::events::Role;
use mediamill::sandbox::{Launcher, Sandbox};
use mediamill::task::Task;
use support::{note, scratch, spec};

const NOTES: u32 = 100;
const ROUNDS: usize = 3;
/// Jobs per second, ours over theirs.
const TIMES_AT_LEAST: f64 = 4.0;
/// What is done to one voice note; `$1` is its path.
const SHELL_OUT: &str = r#"
set -e
dir=$(mktemp -d "$OUT/job-XXXXXX"); cp "$1" "$dir/input"; cd "$dir"
ffprobe -v error -show_format -show_streams -of json input > facts.json
ffmpeg -nostdin -v error -i input -ac 1 -ar 24000 -c:a libmp3lame -b:a 40k audio.mp3
ffmpeg -nostdin -v error -i input -filter_complex showwavespic=s=800x120 -frames:v 1 waveform.png
"#;

fn main() -> ExitCode {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let notes: Vec<PathBuf> = (0..NOTES).map(|n| note(folder.path(), n)).collect();
    let sandbox = sandbox(Launcher::Fork);
    // Warm caches are fair to both.
    ours(&sandbox, &notes[..4], cpus);
    theirs(folder.path(), &notes[..4], cpus);
    pythons(folder.path(), &notes[..4], cpus);

    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(ours(&sandbox, &notes, cpus));
        times[1].push(theirs(folder.path(), &notes, cpus));
        times[2].push(pythons(folder.path(), &notes, cpus));
    }
    times.iter_mut().for_each(|times| times.sort());
    let [our_time, their_time, python_time] = times.each_ref().map(|sorted| sorted[ROUNDS / 2]);
    let rate = |time: Duration| f64::from(NOTES) / time.as_secs_f64();
    let times = rate(our_time) / rate(their_time);
    println!("{NOTES} voice notes of 14 s (Opus 16 kb/s), {cpus} at a time, median of {ROUNDS} rounds");
    println!(
        "mediamill  {our_time:>7.2?}  {:>7.1} jobs/s: facts, MP3, loudness, waveform, peaks, proof",
        rate(our_time)
    );
    println!("shell-out  {their_time:>7.2?}  {:>7.1} jobs/s: facts, MP3, waveform", rate(their_time));
    println!("PyAV       {python_time:>7.2?}  {:>7.1} jobs/s: facts, MP3, peaks", rate(python_time));
    println!("{:.2} times PyAV", rate(our_time) / rate(python_time));
    let kept = times >= TIMES_AT_LEAST;
    println!("{times:.2} times the shell-out; promised: {TIMES_AT_LEAST}, {}", if kept { "kept" } else { "MISSED" });
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ours(sandbox: &Sandbox, notes: &[PathBuf], at_a_time: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let queue = std::sync::Arc::new(std::sync::Mutex::new(notes.to_vec()));
    let begun = Instant::now();
    runtime.block_on(async {
        let lanes: Vec<_> = (0..at_a_time).map(|_| tokio::spawn(lane(sandbox.clone(), queue.clone()))).collect();
        for lane in lanes {
            lane.await.expect("no panic");
        }
    });
    begun.elapsed()
}

async fn lane(sandbox: Sandbox, queue: std::sync::Arc<std::sync::Mutex<Vec<PathBuf>>>) {
    let mut spec = spec(Task::Normalize);
    // The others draw one, too.
    spec.profile.waveform.picture = true;
    loop {
        let Some(note) = queue.lock().expect("no panic").pop() else { return };
        let scratch = scratch(&note);
        let report = sandbox.run(&spec, scratch.path(), |_| ()).await.expect("a report");
        let made = |role| report.produced.iter().any(|file| file.role == role);
        assert!(made(Role::Playback) && made(Role::Waveform) && report.peaks.is_some(), "{report:?}");
    }
}

fn theirs(folder: &Path, notes: &[PathBuf], at_a_time: usize) -> Duration {
    let out = tempfile::tempdir_in(folder).expect("a temporary directory");
    let list: Vec<u8> = notes.iter().flat_map(|note| [note.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect();
    let begun = Instant::now();
    let mut xargs = Command::new("xargs")
        .args(["-0", "-n", "1", "-P", &at_a_time.to_string(), "bash", "-c", SHELL_OUT, "shell-out"])
        .env("OUT", out.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("xargs is installed");
    let mut stdin = xargs.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, &list).expect("xargs reads");
    drop(stdin);
    assert!(xargs.wait().expect("ended").success(), "the shell-out failed");
    let time = begun.elapsed();
    let made = std::fs::read_dir(out.path()).expect("readable").flatten();
    assert_eq!(made.filter(|job| job.path().join("waveform.png").exists()).count(), notes.len());
    time
}

/// One program for all notes, as a service that stays would have it.
fn pythons(folder: &Path, notes: &[PathBuf], at_a_time: usize) -> Duration {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir_in(folder).expect("a temporary directory");
    let begun = Instant::now();
    let status = Command::new(here.join("target/venv-bench/bin/python"))
        .arg(here.join("benches/pyav.py"))
        .arg(at_a_time.to_string())
        .arg(out.path())
        .args(notes)
        .status()
        .expect("PyAV is there (scripts/venv.sh bench)");
    assert!(status.success(), "PyAV failed");
    let time = begun.elapsed();
    let made = std::fs::read_dir(out.path()).expect("readable").flatten();
    assert_eq!(made.filter(|file| file.path().extension().is_some_and(|e| e == "mp3")).count(), notes.len());
    time
}
