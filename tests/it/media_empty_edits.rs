//! Edit lists with empty edits (ISO/IEC 14496-12, 8.6.6). The stream that begins first is the start of the output; what
//! follows an empty edit otherwise is seen and heard when the source says.

use std::path::{Path, PathBuf};

use mediamill::events::Action;
use tempfile::TempDir;

use crate::support::media::{
    Made, decodes, ffmpeg, frame_times, is_color, make_with, number, sound, stream, synthesise,
};
use crate::support::tones::tone;
use crate::support::track::{EMPTY, Edits, edited, edited_apart};

/// Each second another colour and another tone.
const SECONDS: [([u8; 3], f64); 3] = [([254, 0, 0], 440.0), ([0, 254, 0], 700.0), ([0, 0, 254], 1000.0)];

/// Three seconds whose pictures are shown in the order of the file, or in another one.
fn three_seconds(dir: &TempDir, reordered: bool) -> PathBuf {
    let picture = "color=red:s=192x128:r=10:d=1[a];color=0x00ff00:s=192x128:r=10:d=1[b];color=blue:s=192x128:r=10:d=1[c];\
                   [a][b][c]concat=n=3";
    let tones = "sine=440:d=1:r=48000[a];sine=700:d=1:r=48000[b];sine=1000:d=1:r=48000[c];[a][b][c]concat=n=3:v=0:a=1";
    let order = if reordered { "-bf 2 -movflags negative_cts_offsets" } else { "-bf 0" };
    synthesise(
        dir,
        &format!("three-{reordered}.mp4"),
        &format!(
            "-f lavfi -i {picture} -f lavfi -i {tones} -c:v libx264 -g 250 {order} -pix_fmt yuv420p -profile:v main \
             -c:a aac -b:a 64k"
        ),
    )
}

/// What is to be seen or heard in each second: one of [`SECONDS`], or nothing.
type Course<'a> = &'a [Option<usize>];

/// Asserts what is seen; where nothing is to be seen, the picture before may stand still.
fn assert_seen(film: &Path, course: Course<'_>, what: &str) {
    let pixels = ffmpeg("-i {} -map 0:v:0 -vf scale=1:1,format=rgb24 -vsync passthrough -f rawvideo -", film).stdout;
    let times = frame_times(film, "v");
    assert_eq!(pixels.len(), times.len() * 3, "{what}");
    let mut count = 0;
    for (second, wanted) in (0_u32..).zip(course) {
        let frames = || times.iter().zip(pixels.chunks_exact(3));
        let within = frames().filter(|(time, _)| (f64::from(second) - 0.01..f64::from(second) + 0.99).contains(time));
        let seen: Vec<[u8; 3]> = within.map(|(_, rgb)| [rgb[0], rgb[1], rgb[2]]).collect();
        count += seen.len();
        match wanted {
            None => assert_eq!(seen.len(), 0, "{what}: pictures in second {second}"),
            Some(n) => {
                assert_eq!(seen.len(), 10, "{what}: pictures in second {second}");
                assert!(seen.iter().all(|rgb| is_color(*rgb, SECONDS[*n].0)), "{what}, second {second}: {seen:?}");
            }
        }
    }
    assert_eq!(count, times.len(), "{what}: pictures outside of what is to be seen");
}

/// Asserts what is heard, to the middle 60 % of each second.
fn assert_heard(file: &Path, course: Course<'_>, what: &str) {
    let start = stream(file, "audio")["start_time"].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let samples = sound(file, 8000, 1);
    for (second, wanted) in (0_u32..).zip(course) {
        let (from, to) = (f64::from(second) + 0.2 - start, f64::from(second) + 0.8 - start);
        for (n, (_, hz)) in SECONDS.iter().enumerate() {
            let loud = if to <= 0.0 { 0.0 } else { tone(&samples, 8000, *hz, (from, to)) };
            assert_eq!(loud > 0.02, *wanted == Some(n), "{what}: {hz} Hz in second {second} is {loud}");
        }
    }
}

fn assert_lasts(made: &Made, seconds: usize, what: &str) {
    let length = number(&crate::support::oracle::facts(&made.playback())["format"]["duration"]);
    let wanted = seconds as u64 * 1000;
    assert!(made.duration_ms().abs_diff(wanted) <= 60, "{what}: {} ms", made.duration_ms());
    let off = length - f64::from(u32::try_from(seconds).expect("a few"));
    assert!(off.abs() < 0.1, "{what}: {length} s");
}

struct Case {
    name: &'static str,
    picture: Edits<'static>,
    sound: Edits<'static>,
    seen: Course<'static>,
    heard: Course<'static>,
    /// Why streams cannot be copied; empty if they can.
    encoded_for: &'static str,
}

const WHOLE: Edits<'static> = &[(3.0, 0.0)];
const LATE: Edits<'static> = &[(1.0, EMPTY), (3.0, 0.0)];
const LATER: Edits<'static> = &[(2.0, EMPTY), (3.0, 0.0)];
const LATE_CUT: Edits<'static> = &[(1.0, EMPTY), (2.0, 1.0)];
const HOLE: Edits<'static> = &[(1.0, 0.0), (1.0, EMPTY), (2.0, 1.0)];
const PLAYED: Course<'static> = &[Some(0), Some(1), Some(2)];
const PLAYED_LATE: Course<'static> = &[None, Some(0), Some(1), Some(2)];
const WITH_HOLE: Course<'static> = &[Some(0), None, Some(1), Some(2)];

const CASES: &[Case] = &[
    Case { name: "both late", picture: LATE, sound: LATE, seen: PLAYED, heard: PLAYED, encoded_for: "" },
    Case { name: "picture late", picture: LATE, sound: WHOLE, seen: PLAYED_LATE, heard: PLAYED, encoded_for: "" },
    Case { name: "sound late", picture: WHOLE, sound: LATE, seen: PLAYED, heard: PLAYED_LATE, encoded_for: "" },
    Case { name: "sound later", picture: LATE, sound: LATER, seen: PLAYED, heard: PLAYED_LATE, encoded_for: "" },
    Case { name: "picture later", picture: LATER, sound: LATE, seen: PLAYED_LATE, heard: PLAYED, encoded_for: "" },
    Case {
        name: "late in two steps, cut",
        picture: &[(0.5, EMPTY), (0.5, EMPTY), (2.0, 1.0)],
        sound: LATE_CUT,
        seen: &[Some(1), Some(2)],
        heard: &[Some(1), Some(2)],
        encoded_for: "",
    },
    Case {
        name: "picture late, cut",
        picture: LATE_CUT,
        sound: WHOLE,
        seen: &[None, Some(1), Some(2)],
        heard: PLAYED,
        // The hidden start would be shown in the empty time.
        encoded_for: "proof",
    },
    Case {
        name: "hole in both",
        picture: HOLE,
        sound: HOLE,
        seen: WITH_HOLE,
        heard: WITH_HOLE,
        encoded_for: "edit-list",
    },
    Case {
        name: "hole in the picture",
        picture: HOLE,
        sound: WHOLE,
        seen: WITH_HOLE,
        heard: PLAYED,
        encoded_for: "edit-list",
    },
    Case {
        name: "hole in the sound",
        picture: WHOLE,
        sound: HOLE,
        seen: PLAYED,
        heard: WITH_HOLE,
        encoded_for: "edit-list",
    },
    Case {
        name: "late, with two holes",
        picture: &[(1.0, EMPTY), (1.0, 0.0), (1.0, EMPTY), (1.0, 1.0), (1.0, EMPTY), (1.0, 2.0)],
        sound: &[(1.0, EMPTY), (1.0, 0.0), (1.0, EMPTY), (1.0, 1.0), (1.0, EMPTY), (1.0, 2.0)],
        seen: &[Some(0), None, Some(1), None, Some(2)],
        heard: &[Some(0), None, Some(1), None, Some(2)],
        encoded_for: "edit-list",
    },
];

#[test]
fn what_follows_an_empty_edit_keeps_its_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = std::fs::read(three_seconds(&dir, false)).expect("made");
    for case in CASES {
        let film = dir.path().join("film.mp4");
        std::fs::write(&film, edited_apart(&whole, case.picture, case.sound)).expect("written");
        for (way, short_side) in [("kept", 720), ("encoded", 64)] {
            let made = make_with(&film, |profile| {
                profile.video.max_short_side = short_side;
                profile.larger_tolerance_percent = 1000.0;
            });
            let what = format!("{}, {way}", case.name);
            decodes(&made.playback());
            assert_seen(&made.playback(), case.seen, &what);
            assert_heard(&made.playback(), case.heard, &what);
            assert_lasts(&made, case.seen.len().max(case.heard.len()), &what);
            let action = if case.encoded_for.is_empty() && way == "kept" { Action::Remuxed } else { Action::Encoded };
            assert_eq!(made.report.action, action, "{what}: {:?}", made.report.reasons);
            let says_so = made.says("encode", "edit-list");
            assert_eq!(says_so, case.encoded_for == "edit-list", "{what}: {:?}", made.report.reasons);
            assert_eq!(made.report.damage, None, "{what}");
        }
    }
}

/// libav puts the first pictures of the track into an empty edit. With pictures that are reordered, their decoding times
/// begin before 0.
#[test]
fn reordered_pictures_keep_their_time_as_well() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = std::fs::read(three_seconds(&dir, true)).expect("made");
    for case in CASES.iter().filter(|case| case.picture != WHOLE) {
        let film = dir.path().join("film.mp4");
        std::fs::write(&film, edited_apart(&whole, case.picture, case.sound)).expect("written");
        for short_side in [720, 64] {
            let made = make_with(&film, |profile| profile.video.max_short_side = short_side);
            assert_seen(&made.playback(), case.seen, &format!("{}, {short_side}", case.name));
        }
    }
}

#[test]
fn an_empty_edit_between_others_of_a_sound_is_silence() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = three_seconds(&dir, false);
    for codec in ["copy -f ipod", "libmp3lame -b:a 64k -f mp4"] {
        let alone = synthesise(&dir, "alone.m4a", &format!("-i {} -vn -c:a {codec}", film.display()));
        let whole = std::fs::read(alone).expect("made");
        for (edits, course) in [(LATE, PLAYED), (HOLE, WITH_HOLE)] {
            let sound = dir.path().join("edited.m4a");
            std::fs::write(&sound, edited(&whole, edits)).expect("written");
            // With the second, what is encoded counts as larger in every case: the stream would be kept where it can be.
            for (tolerance, bit_rate) in [(1000.0, 64_000), (0.0, 160_000)] {
                let made = make_with(&sound, |profile| {
                    profile.larger_tolerance_percent = tolerance;
                    (profile.audio.bit_rate, profile.audio.vbr_quality) = (bit_rate, None);
                });
                let what = format!("{codec}, {course:?}, {bit_rate}");
                assert_heard(&made.playback(), course, &what);
                assert_lasts(&made, course.len(), &what);
                let says_so = made.says("encode", "edit-list");
                // The profile has no copy of AAC, so only a copy of MP3 has an obstacle to name.
                assert!(codec.starts_with("copy") || says_so == (edits == HOLE), "{what}: {:?}", made.report.reasons);
            }
        }
    }
}

/// Nothing plays before the only stream, so its delay is not counted as time.
#[test]
fn a_single_late_picture_lasts_as_long_as_it_plays() {
    let dir = tempfile::tempdir().expect("a directory");
    for reordered in [false, true] {
        let film = three_seconds(&dir, reordered);
        let silent = synthesise(
            &dir,
            "silent.mp4",
            &format!("-i {} -an -c:v copy -movflags negative_cts_offsets", film.display()),
        );
        let whole = std::fs::read(silent).expect("made");
        let late = dir.path().join("late.mp4");
        std::fs::write(&late, edited(&whole, &[(0.25, EMPTY), (3.0, 0.0)])).expect("written");
        for short_side in [720, 64] {
            let made = make_with(&late, |profile| {
                profile.video.max_short_side = short_side;
                profile.larger_tolerance_percent = 1000.0;
            });
            let what = format!("reordered: {reordered}, {short_side}");
            assert_seen(&made.playback(), PLAYED, &what);
            assert_lasts(&made, 3, &what);
            let wanted = if short_side == 64 { Action::Encoded } else { Action::Remuxed };
            assert_eq!(made.report.action, wanted, "{what}: {:?}", made.report.reasons);
        }
    }
}
