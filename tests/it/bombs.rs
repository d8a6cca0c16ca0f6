//! Small files that want much: pixels, time, memory. Each is stopped by a limit before its deadline, or gets what it
//! wants within the limits.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use mediamill::config;
use mediamill::task::{JobSpec, Task};

use crate::support::boxes::{Film, atom, words};
use crate::support::pictures::{gif, png, progressive_jpeg, vp8l, vp8x, webp};
use crate::support::say::say;
use crate::support::trial::{Trial, on_all_cores};
use crate::support::{cmd, jail, judge};

/// A picture with too many pixels is not decoded and kept as it is.
const KEPT: &[&str] = &["KeptOriginal"];
/// FFmpeg 7.1 goes by the tables, which are right.
const DURATION_OF_HEADER: &[&str] = &["media.limit-duration", "Encoded"];
const TIME: &[&str] = &["media.limit-time"];
const UNREADABLE: &[&str] = &["media.unreadable"];
/// libav has a limit of its own, 1000, and calls what is beyond it out of memory.
const STREAMS: &[&str] = &["media.limit-streams", "media.limit-memory"];
const HARMLESS: &[&str] = &["Encoded"];

/// Name, how it has to end, the file.
type Bomb = (&'static str, &'static [&'static str], Vec<u8>);

/// The defaults, with a shorter deadline: what is stopped by time shall be stopped within the test's.
fn spec() -> JobSpec {
    let mut spec = jail::spec(Task::Normalize);
    spec.limits = config::Limits { wall_s: 8, ..config::load(None, [], &[]).expect("defaults").limits };
    spec
}

#[test]
fn bombs_are_stopped_by_a_limit() {
    let sandbox = jail::start(jail::options());
    let spec = spec();
    let trials = on_all_cores(bombs(), |(name, ends, bytes)| {
        (Trial::run(&sandbox, &spec, name.to_owned(), &bytes, judge::objections), ends, bytes.len())
    });
    for (trial, ends, size) in trials {
        say(format_args!("{:>22} after {:>6.0?}: {}, {size} bytes", trial.label(), trial.took, trial.name));
        assert!(ends.contains(&trial.label().as_str()), "{trial:?}");
        assert_eq!(trial.complaints(&spec), Vec::<String>::new(), "{}", trial.name);
    }
    let peak = sandbox.totals().peak_memory_bytes;
    say(format_args!("largest child {} MiB", peak >> 20));
    assert!(peak < spec.limits.memory_bytes);
}

fn bombs() -> Vec<Bomb> {
    let huge = i32::MAX.unsigned_abs();
    vec![
        ("PNG of 50000x50000", KEPT, png(50_000, 50_000)),
        ("PNG of 2^31-1 squared", KEPT, png(huge, huge)),
        ("WebP of 16383x16383", KEPT, webp(&[&vp8l(16_383, 16_383)])),
        ("WebP of 16x16 around 16383x16383", KEPT, webp(&[&vp8x(16, 16), &vp8l(16_383, 16_383)])),
        ("JPEG of 65500x65500", KEPT, progressive_jpeg(65_500, 0)),
        ("JPEG of 8000x8000 and 5000 scans", TIME, progressive_jpeg(8000, 5000)),
        ("GIF of 60000x60000", KEPT, gif(60_000, 60_000, 1)),
        ("GIF of 60000x60000, animated", KEPT, gif(60_000, 60_000, 2)),
        ("GIF of 8000x8000, 20000 frames of one pixel", TIME, gif(8000, 8000, 20_000)),
        ("six minutes of 4K at 60 frames a second", TIME, long_4k60()),
        (
            "a header that claims 143165 s",
            DURATION_OF_HEADER,
            Film { declared: 143_165 * 8000, ..Film::sound() }.file(),
        ),
        ("tables that promise 2^31 samples of sound", HARMLESS, Film { samples: huge, ..Film::sound() }.file()),
        ("tables that promise 20 M pictures", UNREADABLE, Film { samples: 20_000_000, ..Film::picture() }.file()),
        ("tables that promise 2^31 pictures", UNREADABLE, Film { samples: huge, ..Film::picture() }.file()),
        ("2000 tracks", STREAMS, Film { tracks: 2000, ..Film::sound() }.file()),
        ("100000 boxes, each within the one before", UNREADABLE, nested_boxes(100_000)),
        ("a box that never ends", UNREADABLE, [&atom(b"ftyp", &[b"isom\0\0\0\0isom"])[..], &words(&[0])].concat()),
        ("a sound that never ends", HARMLESS, endless_wav()),
    ]
}

/// Silence is next to nothing to write down, and as many samples as any other sound: 230 MB of this one.
#[test]
fn an_hour_of_silence_takes_no_more_scratch_space_than_it_is_long_as_mp3() {
    let dir = cmd::Dir::new();
    ffmpeg(&dir, "-f lavfi -i anullsrc=r=8000:cl=mono -t 3600 -c:a flac silence.flac");
    let input = std::fs::read(dir.path().join("silence.flac")).expect("made");
    let sandbox = jail::start(jail::options());
    let spec = JobSpec { limits: config::Limits { wall_s: 120, ..spec().limits }, ..spec() };
    let taken = AtomicU64::new(0);
    let trial = Trial::run(&sandbox, &spec, "an hour of silence".to_owned(), &input, |report, scratch| {
        let files = std::fs::read_dir(scratch).expect("readable").flatten();
        let blocks = files.map(|file| file.metadata().expect("a file").blocks()).sum::<u64>();
        taken.store(blocks * 512, Ordering::Relaxed);
        judge::objections(report, scratch)
    });
    assert_eq!((trial.label().as_str(), trial.complaints(&spec)), ("Encoded", Vec::new()));
    let taken = taken.into_inner();
    say(format_args!("{} bytes of silence took {taken} bytes of scratch space", input.len()));
    // 64 kbit/s and the rest of the assets.
    assert!(taken < 32 << 20, "{taken} bytes");
}

fn ffmpeg(dir: &cmd::Dir, args: &str) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(args.split(' ')).current_dir(dir.path());
    assert!(ffmpeg.status().expect("the ffmpeg program is installed").success());
}

fn nested_boxes(depth: u32) -> Vec<u8> {
    let opened = (1..=depth).rev().flat_map(|n| [&words(&[n * 8]), &b"moov"[..]].concat());
    atom(b"ftyp", &[b"isom\0\0\0\0isom"]).into_iter().chain(opened).collect()
}

/// A WAV as a recorder leaves it that writes to a pipe: both sizes are the largest that there are.
fn endless_wav() -> Vec<u8> {
    let mut wav = std::fs::read(cmd::repo_file("fixtures/dictation.wav")).expect("a fixture");
    let data = wav.windows(4).position(|word| word == b"data").expect("a data chunk");
    for at in [4, data + 4] {
        wav[at..at + 4].fill(0xff);
    }
    wav
}

/// Black, and so next to nothing to write down; all there is to decode.
fn long_4k60() -> Vec<u8> {
    let dir = cmd::Dir::new();
    ffmpeg(&dir, "-f lavfi -i color=black:s=3840x2160:r=60 -t 2 -c:v libx264 -preset ultrafast -g 120 two-seconds.mp4");
    ffmpeg(&dir, "-stream_loop 179 -i two-seconds.mp4 -c copy long.mp4");
    std::fs::read(dir.path().join("long.mp4")).expect("made")
}
