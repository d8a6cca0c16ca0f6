//! What the benches stand on: voice notes and jobs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mediamill::config::{self, Profiles};
use mediamill::task::{INPUT, JobSpec, Task};

/// The voice note that everybody sends: 14 s of Opus at 16 kb/s.
pub(super) fn note(folder: &Path, n: u32) -> PathBuf {
    note_of(folder, 14, n)
}

/// A voice note of this length. Each `n` starts elsewhere in the fixture.
pub(super) fn note_of(folder: &Path, seconds: u32, n: u32) -> PathBuf {
    let path = folder.join(format!("note-{seconds}-{n}.ogg"));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/voice-note.ogg");
    let start = format!("{:.2}", f64::from(n) * 0.07);
    let length = seconds.to_string();
    let options = ["-t", &length, "-c:a", "libopus", "-b:a", "16k", "-application", "voip"];
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y", "-ss", &start, "-stream_loop", "1", "-i"]).arg(fixture);
    run(ffmpeg.args(options).arg(&path));
    path
}

/// Runs a program that has to succeed.
pub(super) fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// A job with the default profile and limits, one thread.
pub(super) fn spec(task: Task) -> JobSpec {
    let profiles = Profiles::load(Path::new("")).expect("the built-in profiles");
    let profile = profiles.get("crm").expect("the default profile").raw.clone();
    let limits = config::load(None, [], &[]).expect("defaults").limits;
    JobSpec { task, profile, limits, threads: 1, nice: 0 }
}

/// A scratch directory with this file as input.
pub(super) fn scratch(input: &Path) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    std::fs::copy(input, scratch.path().join(INPUT)).expect("an input");
    scratch
}
