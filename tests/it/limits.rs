//! Every limit: its key, its default, its code, and a file that meets it, by what it says and by what it is.

use std::process::Command;

use mediamill::config::{self, Limits};
use mediamill::error::Code;
use mediamill::events::{Action, Kind};
use mediamill::sandbox::Sandbox;
use mediamill::task::Task;

use crate::support::boxes::Film;
use crate::support::pictures::{gif, progressive_jpeg};
use crate::support::trial::Trial;
use crate::support::{cmd, jail, judge};

/// Key, default, code, in the order of the configuration.
const TABLE: [(&str, u64, Code); 9] = [
    ("input_bytes", 2 << 30, Code::LimitBytes),
    ("pixels", 64 << 20, Code::LimitPixels),
    ("duration_s", 4 * 3600, Code::LimitDuration),
    ("streams", 32, Code::LimitStreams),
    ("wall_s", 600, Code::LimitTime),
    ("cpu_s", 900, Code::LimitCpu),
    ("memory_bytes", 3 << 30, Code::LimitMemory),
    ("output_bytes", 6 << 30, Code::LimitOutput),
    ("scratch_bytes", 8 << 30, Code::LimitScratch),
];

fn as_table(limits: Limits) -> serde_json::Map<String, serde_json::Value> {
    let json = serde_json::to_value(limits).expect("JSON");
    json.as_object().expect("a table").clone()
}

#[test]
fn every_limit_has_a_default_a_key_and_a_code() {
    let defaults = as_table(config::load(None, [], &[]).expect("defaults").limits);
    assert!(defaults.keys().eq(TABLE.iter().map(|(key, ..)| key)), "{defaults:?}");
    for (key, default, code) in TABLE {
        assert_eq!(defaults[key], default, "{key}");
        assert!(code.as_str().starts_with("media.limit-"), "{code}");
        let variable = format!("MEDIAMILL_LIMITS_{}", key.to_ascii_uppercase());
        let set = config::load(None, [(variable.into(), "7".into())], &[]).expect(key);
        assert_eq!(as_table(set.limits)[key], 7, "{key}");
    }
}

/// The end of a job with these limits, and its report if it has one.
#[track_caller]
fn run(sandbox: &Sandbox, input: &[u8], set: impl FnOnce(&mut Limits)) -> Trial {
    let mut spec = jail::spec(Task::Normalize);
    set(&mut spec.limits);
    let trial = Trial::run(sandbox, &spec, "a file".to_owned(), input, judge::objections);
    assert_eq!(trial.complaints(&spec), Vec::<String>::new(), "{trial:?}");
    trial
}

#[track_caller]
fn end(sandbox: &Sandbox, input: &[u8], set: impl FnOnce(&mut Limits)) -> String {
    run(sandbox, input, set).label()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(cmd::repo_file("fixtures").join(name)).expect("a fixture")
}

/// What `ffmpeg` makes of these options.
fn made(name: &str, options: &str) -> Vec<u8> {
    let dir = cmd::Dir::new();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(options.split(' ')).arg(name).current_dir(dir.path());
    assert!(ffmpeg.status().expect("the ffmpeg program is installed").success());
    std::fs::read(dir.path().join(name)).expect("made")
}

#[test]
fn bytes() {
    let sandbox = jail::start(jail::options());
    let input = fixture("voice-note.ogg");
    let size = input.len() as u64;
    assert_eq!(end(&sandbox, &input, |limits| limits.input_bytes = size - 1), "media.limit-bytes");
    assert_eq!(end(&sandbox, &input, |limits| limits.input_bytes = size), "Encoded");
}

#[test]
fn pixels() {
    let sandbox = jail::start(jail::options());
    for name in ["conforming.mp4", "browser.webm"] {
        assert_eq!(end(&sandbox, &fixture(name), |limits| limits.pixels = 1000), "media.limit-pixels", "{name}");
    }
    // A picture is not decoded, and kept.
    for name in ["picture.png", "picture.webp", "photo-exif.jpg", "animation.gif"] {
        let report = run(&sandbox, &fixture(name), |limits| limits.pixels = 1000).result.expect(name);
        assert_eq!((report.action, report.kind), (Action::KeptOriginal, Kind::Image), "{name}");
        assert_eq!(report.reasons.last().expect("a reason").reason, "limit-pixels", "{name}");
        assert!(report.produced.is_empty() && report.damage.is_none(), "{name}: {report:?}");
    }
    // The first second is as small as the header says. The second one is not, and counts as damage.
    let second = |size: &str| {
        let options = format!("-f lavfi -i testsrc=s={size}:d=1 -c:v libx264 -preset ultrafast");
        made("second.ts", &options)
    };
    let film = [second("64x64"), second("640x480")].concat();
    let report = run(&sandbox, &film, |limits| limits.pixels = 64 * 64).result.expect("the first second");
    assert_eq!(report.damage.expect("the second second").bad_packets, 25);
}

#[test]
fn duration() {
    let sandbox = jail::start(jail::options());
    for name in ["voice-note.ogg", "conforming.mp4", "animation.gif"] {
        assert_eq!(end(&sandbox, &fixture(name), |limits| limits.duration_s = 0), "media.limit-duration", "{name}");
    }
    // STREAMINFO (RFC 9639, 8.2) promises one second of the five.
    let mut flac = made("a.flac", "-f lavfi -i sine=d=5:r=8000 -c:a flac");
    flac[22..26].copy_from_slice(&8000_u32.to_be_bytes());
    assert_eq!(end(&sandbox, &flac, |limits| limits.duration_s = 3), "media.limit-duration");
    assert_eq!(end(&sandbox, &flac, |limits| limits.duration_s = 5), "Encoded");
}

#[test]
fn streams() {
    let sandbox = jail::start(jail::options());
    let film = Film { tracks: 33, ..Film::sound() }.file();
    assert_eq!(end(&sandbox, &film, |limits| limits.streams = 32), "media.limit-streams");
    assert_eq!(end(&sandbox, &film, |limits| limits.streams = 33), "Encoded");
    // A program stream names its streams as they come: here a second one after twenty seconds.
    let first = made("first.mpg", "-f lavfi -i sine=d=20 -c:a mp2");
    let mut second = first.clone();
    let headers = (0..first.len() - 4).filter(|at| first[*at..at + 4] == [0, 0, 1, 0xc0]);
    headers.for_each(|at| second[at + 3] = 0xc1);
    let late = [&first[..], &second].concat();
    assert_eq!(end(&sandbox, &late, |limits| limits.streams = 1), "media.limit-streams");
    assert_eq!(end(&sandbox, &late, |limits| limits.streams = 2), "Encoded");
}

#[test]
fn wall_and_cpu_time() {
    let sandbox = jail::start(jail::options());
    let slow = progressive_jpeg(8000, 5000);
    assert_eq!(end(&sandbox, &slow, |limits| limits.wall_s = 1), "media.limit-time");
    assert_eq!(end(&sandbox, &slow, |limits| limits.cpu_s = 1), "media.limit-cpu");
}

#[test]
fn memory() {
    let sandbox = jail::start(jail::options());
    let large = gif(8000, 8000, 2);
    assert_eq!(end(&sandbox, &large, |limits| limits.memory_bytes = 512 << 20), "media.limit-memory");
    assert_eq!(end(&sandbox, &large, |limits| limits.memory_bytes = 3 << 30), "Encoded");
    assert!(sandbox.totals().peak_memory_bytes < 3 << 30);
}

#[test]
fn output() {
    let sandbox = jail::start(jail::options());
    for name in ["voice-note.ogg", "conforming.mp4", "browser.webm", "picture.png"] {
        assert_eq!(end(&sandbox, &fixture(name), |limits| limits.output_bytes = 1000), "media.limit-output", "{name}");
    }
}

#[test]
fn scratch() {
    let sandbox = jail::start(jail::options());
    let film = fixture("browser.webm");
    let size = film.len() as u64;
    assert_eq!(end(&sandbox, &film, |limits| limits.scratch_bytes = size + 1000), "media.limit-scratch");
    assert_eq!(end(&sandbox, &film, |limits| limits.scratch_bytes = size + (64 << 20)), "Encoded");
}

#[test]
fn a_file_larger_than_the_scratch_space_is_rejected_and_one_that_fits_is_done() {
    let dir = cmd::Dir::new();
    let note = cmd::repo_file("fixtures/note.txt").display().to_string();
    let size = std::fs::metadata(&note).expect("a fixture").len();
    for (most, outcome, code) in [(size - 1, "rejected", "media.limit-scratch"), (1 << 20, "normalized", "")] {
        let set = format!("worker.scratch_max_bytes={most}");
        let args = ["normalize", &note, "--out", "out", "--format", "json", "--set", &set];
        let floor = ["--set", "worker.scratch_min_free_bytes=0"];
        let lines = dir.run(args.into_iter().chain(floor)).json_lines();
        assert_eq!((&lines[0]["outcome"], lines[0]["code"].as_str().unwrap_or("")), (&outcome.into(), code), "{most}");
    }
}
