//! What players show of a film: edit lists, several sample descriptions, how long the last frame is shown.

use std::path::{Path, PathBuf};

use mediamill::events::Action;
use tempfile::TempDir;

use crate::support::media::{
    Made, Shown, decodes, ffmpeg, frame_times, is_color, make, make_with, number, output, sound, synthesise,
};
use crate::support::oracle::facts;
use crate::support::tones::tone;
use crate::support::track::{Part, edited, joined};

/// Each second another colour and another tone.
const SECONDS: [([u8; 3], f64); 3] = [([254, 0, 0], 440.0), ([0, 254, 0], 700.0), ([0, 0, 254], 1000.0)];

fn three_seconds(dir: &TempDir) -> PathBuf {
    let color = |name: &str| format!("color={name}:s=192x128:r=10:d=1");
    let picture = format!("{}[a];{}[b];{}[c];[a][b][c]concat=n=3", color("red"), color("0x00ff00"), color("blue"));
    let tones = "sine=440:d=1:r=48000[a];sine=700:d=1:r=48000[b];sine=1000:d=1:r=48000[c];[a][b][c]concat=n=3:v=0:a=1";
    synthesise(
        dir,
        "three.mp4",
        &format!(
            "-f lavfi -i {picture} -f lavfi -i {tones} -c:v libx264 -g 250 -bf 0 -pix_fmt yuv420p \
             -profile:v main -c:a aac -b:a 64k"
        ),
    )
}

/// Asserts that these seconds are seen and heard, in this order, and no other.
fn assert_plays(film: &Path, seconds: &[usize], has_picture: bool, what: &str) {
    let heard = sound(film, 8000, 1);
    for (n, second) in seconds.iter().enumerate() {
        let middle = f64::from(u32::try_from(n).expect("a few")) + 0.5;
        if has_picture {
            let seen = Shown::of(film, middle).color(0.5, 0.5);
            assert!(is_color(seen, SECONDS[*second].0), "{what}: {seen:?} at {middle} s");
        }
        for (other, (_, hz)) in SECONDS.iter().enumerate() {
            let loud = tone(&heard, 8000, *hz, (middle - 0.3, middle + 0.3));
            assert_eq!(loud > 0.02, other == *second, "{what}: {hz} Hz at {middle} s is {loud}");
        }
    }
    if has_picture {
        assert_eq!(frame_times(film, "v").len(), seconds.len() * 10, "{what}");
    }
    let length = number(&facts(film)["format"]["duration"]);
    assert!((length - f64::from(u32::try_from(seconds.len()).expect("a few"))).abs() < 0.1, "{what}: {length} s");
}

#[test]
fn what_an_edit_list_hides_stays_hidden() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = std::fs::read(three_seconds(&dir)).expect("made");
    for (name, edits, seconds) in [
        ("middle", &[(1.0, 0.0), (1.0, 2.0)][..], &[0, 2][..]),
        ("reordered", &[(1.0, 2.0), (1.0, 0.0)], &[2, 0]),
        ("repeated", &[(1.0, 0.0), (1.0, 0.0)], &[0, 0]),
        ("start", &[(2.0, 1.0)], &[1, 2]),
        ("end", &[(2.0, 0.0)], &[0, 1]),
    ] {
        let film = dir.path().join(format!("{name}.mp4"));
        std::fs::write(&film, edited(&whole, edits)).expect("written");
        for (way, short_side) in [("kept", 720), ("encoded", 64)] {
            let made = make_with(&film, |profile| profile.video.max_short_side = short_side);
            let what = format!("{name}, {way}");
            assert_plays(&made.playback(), seconds, true, &what);
            assert!(made.duration_ms().abs_diff(seconds.len() as u64 * 1000) <= 60, "{what}: {}", made.duration_ms());
            let hides_between = !["start", "end"].contains(&name);
            assert!(!hides_between || made.report.action == Action::Encoded, "{what}: {:?}", made.report.reasons);
            let thumbnail = Shown::of(&made.thumbnail(), 0.0).color(0.5, 0.5);
            let is_shown = seconds.iter().any(|second| is_color(thumbnail, SECONDS[*second].0));
            assert!(is_shown, "{what}: the thumbnail shows {thumbnail:?}, which is hidden");
        }
    }
}

/// 30 frames in groups of a keyframe, or a picture predicted from the one before, and `between` predicted from both.
fn reordered(dir: &TempDir, between: usize) -> Vec<u8> {
    let coded = format!("-c:v libx264 -bf {between} -b_strategy 0 -g 250 -pix_fmt yuv420p -profile:v main");
    let source = "-f lavfi -i testsrc2=s=192x128:r=10:d=3 -fflags +bitexact";
    std::fs::read(synthesise(dir, "reordered.mp4", &format!("{source} {coded}"))).expect("made")
}

/// Asserts that the output shows `count` pictures, at the times at which the film shows them, and ends with the same.
fn assert_shows_the_same(made: &Made, film: &Path, count: usize, what: &str) {
    let from_zero = |path: &Path| {
        let times = frame_times(path, "v");
        times.iter().map(|time| time - times[0]).collect::<Vec<f64>>()
    };
    let (shown, wanted) = (from_zero(&made.playback()), from_zero(film));
    assert_eq!((shown.len(), wanted.len()), (count, count), "{what}: {shown:?} instead of {wanted:?}");
    let off = shown.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off < 0.002, "{what}: {shown:?} instead of {wanted:?}");
    let (last, of_film) = (Shown::of(&made.playback(), wanted[count - 1]), Shown::of(film, wanted[count - 1]));
    if last.width == of_film.width {
        let difference = last.difference(&of_film);
        assert!(difference < 4.0, "{what}: the last picture differs by {difference}");
    }
}

#[test]
fn a_picture_behind_the_end_is_not_shown_where_others_need_it() {
    let dir = tempfile::tempdir().expect("a directory");
    // Pictures between others, the edit, how many pictures it shows, and whether their packets can be copied.
    for (between, edit, count, is_kept) in [
        (0, (2.0, 0.0), 20, true),
        (0, (1.6, 0.7), 16, true),
        (1, (3.0, 0.0), 29, true),
        (1, (2.0, 0.1), 20, false),
        (2, (2.8, 0.2), 28, true),
        (2, (2.9, 0.2), 29, false),
        (2, (2.0, 0.2), 20, false),
        (2, (2.2, 0.2), 22, true),
        (2, (1.6, 0.6), 16, false),
        (2, (1.8, 0.6), 18, true),
    ] {
        let film = dir.path().join("cut.mp4");
        std::fs::write(&film, edited(&reordered(&dir, between), &[edit])).expect("written");
        for (way, short_side) in [("kept", 720), ("encoded", 64)] {
            let what = format!("{between} between, {edit:?}, {way}");
            let made = make_with(&film, |profile| profile.video.max_short_side = short_side);
            assert_shows_the_same(&made, &film, count, &what);
            let wanted = if is_kept && short_side == 720 { Action::Remuxed } else { Action::Encoded };
            assert_eq!(made.report.action, wanted, "{what}: {:?}", made.report.reasons);
            assert!(
                is_kept || short_side != 720 || made.says("encode", "edit-list"),
                "{what}: {:?}",
                made.report.reasons
            );
        }
    }
}

/// The file itself plays right, whatever its hidden pictures are needed for.
#[test]
fn a_film_that_hides_a_needed_end_can_be_its_own_output() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cut, film) = (dir.path().join("cut.mp4"), dir.path().join("fast.mp4"));
    std::fs::write(&cut, edited(&reordered(&dir, 2), &[(2.9, 0.2)])).expect("written");
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    output("qt-faststart", &[&path(&cut), &path(&film)]);
    let made = make(&film);
    assert_eq!(made.report.action, Action::Copied, "{:?}", made.report.reasons);
    assert_eq!(frame_times(&film, "v").len(), 29);
    assert!(made.duration_ms().abs_diff(2900) <= 1, "{} ms", made.duration_ms());
}

#[test]
fn what_an_edit_list_hides_in_a_sound_stays_hidden() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = three_seconds(&dir);
    let alone = synthesise(&dir, "alone.m4a", &format!("-i {} -vn -c copy -f ipod", film.display()));
    let whole = std::fs::read(alone).expect("made");
    let sound = dir.path().join("cut.m4a");
    std::fs::write(&sound, edited(&whole, &[(1.0, 0.0), (1.0, 2.0)])).expect("written");
    // With the second, what is encoded counts as larger in every case: the stream would be kept where it can be.
    for (tolerance, bit_rate) in [(1000.0, 64_000), (0.0, 160_000)] {
        let made = make_with(&sound, |profile| {
            profile.larger_tolerance_percent = tolerance;
            (profile.audio.bit_rate, profile.audio.vbr_quality) = (bit_rate, None);
        });
        assert_plays(&made.playback(), &[0, 2], false, "sound");
    }
}

/// Two films of other profiles, as one track with two sample descriptions.
fn two_descriptions(dir: &TempDir) -> Vec<u8> {
    let part = |name: &str, coded: &str| {
        let source = "-f lavfi -i testsrc2=s=192x128:r=10:d=1 -c:v libx264 -bf 0 -g 5 -pix_fmt yuv420p";
        Part::of(&std::fs::read(synthesise(dir, name, &format!("{source} {coded}"))).expect("made"))
    };
    let parts = [part("high.mp4", "-profile:v high"), part("base.mp4", "-profile:v baseline -qp 20")];
    joined(&parts, (192, 128), 100)
}

#[test]
fn a_track_with_two_sample_descriptions_is_shown_to_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = dir.path().join("two.mp4");
    std::fs::write(&film, two_descriptions(&dir)).expect("written");
    decodes(&film);
    let made = make(&film);
    assert_eq!(made.report.action, Action::Encoded, "{:?}", made.report.reasons);
    decodes(&made.playback());
    assert_eq!(frame_times(&made.playback(), "v").len(), 20);
    for at in [0.45, 1.05, 1.55, 1.85] {
        let difference = Shown::of(&made.playback(), at).difference(&Shown::of(&film, at));
        assert!(difference < 8.0, "at {at} s: {difference}");
    }
}

/// The same samples under one description: what a copy that lost the second one would be.
#[test]
fn the_proof_notices_a_picture_that_does_not_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = two_descriptions(&dir);
    // Both chunks are of the first description now.
    let chunks = [1, 10, 1, 2, 10, 2].map(u32::to_be_bytes).concat();
    let at = whole.windows(chunks.len()).position(|window| window == chunks).expect("the table of chunks");
    let mut broken = whole;
    broken[at + 20..at + 24].copy_from_slice(&1_u32.to_be_bytes());
    let film = dir.path().join("broken.mp4");
    std::fs::write(&film, broken).expect("written");
    let made = make(&film);
    assert!(made.report.action == Action::Encoded && made.says("encode", "proof"), "{:?}", made.report.reasons);
}

fn assert_lasts(made: &Made, ms: u64, what: &str) {
    assert_eq!(made.report.action, Action::Encoded, "{what}: {:?}", made.report.reasons);
    assert!(made.duration_ms().abs_diff(ms) <= 20, "{what}: {} ms", made.duration_ms());
    assert_eq!(made.report.damage, None, "{what}");
    let played = number(&facts(&made.playback())["format"]["duration"]) * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a length")]
    let off = (played - ms as f64).abs();
    assert!(off <= 30.0, "{what}: {played} ms");
}

#[test]
fn the_last_frame_is_shown_for_as_long_as_it_says() {
    let dir = tempfile::tempdir().expect("a directory");
    // Frames of 200 ms, and a last one that stands for 10 s.
    let slides = synthesise(&dir, "slides.gif", "-f lavfi -i testsrc2=s=160x120:r=5:d=2 -final_delay 1000");
    assert_lasts(&make(&slides), 11_800, "GIF");
    for coded in ["-c:v mpeg4 -bf 0", "-c:v libx264 -bf 0 -pix_fmt yuv444p"] {
        let short = synthesise(&dir, "short.mp4", &format!("-f lavfi -i testsrc2=s=160x120:r=10:d=2 {coded} -g 5"));
        let screen = dir.path().join("screen.mp4");
        let part = Part::of(&std::fs::read(short).expect("made"));
        std::fs::write(&screen, joined(&[part], (160, 120), 1600)).expect("written");
        assert_lasts(&make(&screen), 3500, coded);
    }
}

/// A film whose hidden start reaches to its only keyframe: the poster is of what is shown.
#[test]
fn a_thumbnail_of_a_kept_film_shows_nothing_hidden() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = three_seconds(&dir);
    let cut = synthesise(&dir, "cut.mp4", &format!("-ss 1.2 -i {} -c copy -movflags +faststart", whole.display()));
    let made = make(&cut);
    assert_ne!(made.report.action, Action::Encoded, "{:?}", made.report.reasons);
    let thumbnail = Shown::of(&made.thumbnail(), 0.0).color(0.5, 0.5);
    assert!(!is_color(thumbnail, SECONDS[0].0), "the red second is hidden: {thumbnail:?}");
    drop(ffmpeg("-i {} -f null -", &made.playback()));
}
