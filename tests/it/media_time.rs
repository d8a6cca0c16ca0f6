//! When things are seen and heard: frame times, caps, lip sync, edit lists, lengths, damage.

use std::path::Path;

use mediamill::error::Code;
use mediamill::events::Action;

use crate::support::media::{
    Made, Shown, decodes, entries, ffmpeg, fixture, frame_times, make, make_with, number, rejection, sound, stream,
    synthesise,
};
use crate::support::oracle::{decoded_ms, facts};

/// Times of the flashes in seconds: when the picture's mean luma rises.
fn flashes(film: &Path) -> Vec<f64> {
    let luma = ffmpeg("-i {} -map 0:v:0 -vf scale=16:16,format=gray -vsync passthrough -f rawvideo -", film).stdout;
    let bright: Vec<bool> =
        luma.chunks_exact(256).map(|frame| frame.iter().map(|b| u32::from(*b)).sum::<u32>() / 256 > 100).collect();
    let times = frame_times(film, "v");
    assert_eq!(bright.len(), times.len(), "{}", film.display());
    let rises = bright.windows(2).zip(&times[1..]).filter(|(pair, _)| !pair[0] && pair[1]).map(|(_, time)| *time);
    rises.collect()
}

/// Times of the beeps in seconds: when sound rises out of silence.
fn beeps(film: &Path) -> Vec<f64> {
    let start = stream(film, "audio")["start_time"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let samples = sound(film, 8000, 1);
    let mut beeps = Vec::new();
    let mut quiet = 4000;
    for (n, sample) in samples.iter().enumerate() {
        if sample.abs() > 0.1 {
            if quiet > 2000 {
                beeps.push(start + f64::from(u32::try_from(n).expect("not so long")) / 8000.0);
            }
            quiet = 0;
        } else {
            quiet += 1;
        }
    }
    beeps
}

/// How late the sound is against the picture, in ms, at every flash but those at the very edges.
fn offsets(film: &Path) -> Vec<f64> {
    let beeps = beeps(film);
    let nearest =
        |flash: f64| beeps.iter().map(|beep| (beep - flash) * 1000.0).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    flashes(film).into_iter().filter_map(nearest).filter(|offset| offset.abs() < 500.0).collect()
}

/// Asserts that sound and picture are as far apart as in the original, give or take 20 ms.
fn assert_in_step(original: &Path, made: &Made, at_least: usize, what: &str) {
    let (before, after) = (offsets(original), offsets(&made.playback()));
    assert!(after.len() >= at_least, "{what}: {} flashes with a beep", after.len());
    assert_eq!(before.len(), after.len(), "{what}");
    for (n, (before, after)) in before.iter().zip(&after).enumerate() {
        // One frame of the original, to the tenth of a millisecond that its times are worth.
        assert!(
            ((after - before).abs() * 10.0).round() <= 200.0,
            "{what}: flash {n} is off by {after:.1} ms instead of {before:.1} ms"
        );
    }
}

/// The fixture again and again, for `seconds`.
fn long_flash_beep(dir: &tempfile::TempDir, seconds: u32) -> std::path::PathBuf {
    let source = fixture("flash-beep.mkv");
    synthesise(dir, "long.mkv", &format!("-stream_loop -1 -i {} -t {seconds} -c copy", source.display()))
}

/// Browsers record several frames with one and the same time: a player shows the last of them.
#[test]
fn of_frames_with_the_same_time_the_last_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let blinking = "color=black:s=64x64:r=25:d=2,geq=lum=30+150*mod(N\\,2):cb=128:cr=128";
    let single = synthesise(&dir, "single.mkv", &format!("-f lavfi -i {blinking} -c:v mpeg4 -bf 0 -q:v 2"));
    let in_pairs = format!("-i {} -c copy -bsf:v setts=ts=(N-mod(N\\,2))*40", single.display());
    let film = synthesise(&dir, "pairs.mkv", &in_pairs);
    assert_eq!(entries(&film, "v", "packet=pts").len(), 50);
    let made = make(&film);
    let luma = ffmpeg("-i {} -vf scale=1:1,format=gray -vsync passthrough -f rawvideo -", &made.playback()).stdout;
    assert_eq!(luma.len(), 25);
    assert!(luma.iter().all(|level| *level > 150), "{luma:?}");
}

#[test]
fn sound_and_picture_stay_together_to_the_end_of_a_long_film() {
    let dir = tempfile::tempdir().expect("a directory");
    // Lip sync is lost by accumulated rounding: five minutes of AAC frames are enough to show it.
    let film = long_flash_beep(&dir, 300);
    let made = make_with(&film, |profile| profile.larger_tolerance_percent = 1000.0);
    assert_eq!(made.report.action, Action::Encoded);
    assert_in_step(&film, &made, 290, "five minutes");
}

/// `cat a.ts b.ts`, as camcorders and recorders of broadcasts leave it: each part has a clock of its own.
#[test]
fn what_was_joined_without_a_thought_for_clocks_plays_from_end_to_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = fixture("flash-beep.mkv").display().to_string();
    let part = |name: &str, offset: &str| {
        let coded = "-t 4 -c:v libx264 -bf 2 -g 25 -pix_fmt yuv420p -vf fps=25 -c:a aac";
        let film = synthesise(&dir, name, &format!("-i {source} {coded} -output_ts_offset {offset}"));
        std::fs::read(film).expect("made")
    };
    let [early, late, first] = [part("early.ts", "0"), part("late.ts", "500"), part("first.ts", "0")];
    for (name, parts) in [("back", [&first, &early]), ("far back", [&late, &early]), ("ahead", [&early, &late])] {
        let joined = dir.path().join(format!("{name}.ts"));
        std::fs::write(&joined, [&parts[0][..], &parts[1][..]].concat()).expect("written");
        for (how, short_side) in [("copied", 720), ("encoded", 120)] {
            let made = make_with(&joined, |profile| profile.video.max_short_side = short_side);
            let output = made.playback();
            decodes(&output);
            let seconds = number(&facts(&output)["format"]["duration"]);
            assert!((7.8..8.3).contains(&seconds), "{name}, {how}: {seconds} s");
            let offsets = offsets(&output);
            assert!(offsets.len() >= 6, "{name}, {how}: {} flashes with a beep", offsets.len());
            assert!(offsets.iter().all(|offset| offset.abs() < 80.0), "{name}, {how}: {offsets:?}");
            let longest = frame_times(&output, "v").windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(longest < 0.3, "{name}, {how}: a picture stands for {longest} s");
        }
    }
}

/// AVI has no word for when a picture is shown: copied into MP4, pictures that are not in order would judder.
#[test]
fn pictures_without_times_find_their_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let moving = "testsrc2=s=320x240:r=10:d=6";
    let whole = synthesise(
        &dir,
        "whole.mp4",
        &format!("-f lavfi -i {moving} -c:v libx264 -bf 3 -g 50 -pix_fmt yuv420p -profile:v main"),
    );
    // AVI would else get the rate of a finer time base, which no profile keeps.
    let counted = "-c copy -bsf:v h264_mp4toannexb,setts=ts=N:time_base=1/10";
    let film = synthesise(&dir, "film.avi", &format!("-i {} {counted}", whole.display()));
    let made = make(&film);
    assert!(made.report.action == Action::Encoded && made.says("encode", "proof"), "{:?}", made.report.reasons);
    let times = frame_times(&made.playback(), "v");
    assert!(times.len() >= 58, "{} pictures", times.len());
    // The last ones have nothing behind them to be told apart by.
    let inner = &times[..times.len() - 3];
    assert!(inner.windows(2).all(|pair| (pair[1] - pair[0] - 0.1).abs() < 0.011), "{times:?}");
    let shown = Shown::of(&made.playback(), 1.55);
    let [wanted, before, after] = [1.55, 1.35, 1.75].map(|at| shown.difference(&Shown::of(&whole, at)));
    assert!(wanted < before && wanted < after, "another picture is shown: {wanted}, {before}, {after}");
}

#[test]
fn a_cut_by_edit_list_is_respected_when_copying_and_when_encoding() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = synthesise(
        &dir,
        "whole.mp4",
        &format!(
            "-i {} -t 8 -vf fps=25 -c:v libx264 -g 100 -pix_fmt yuv420p -c:a aac",
            fixture("flash-beep.mkv").display()
        ),
    );
    let cut = synthesise(&dir, "cut.mp4", &format!("-ss 1.37 -i {} -c copy", whole.display()));
    for (name, crop) in [("copied", 720), ("encoded", 120)] {
        let made = make_with(&cut, |profile| profile.video.max_short_side = crop);
        assert_eq!(made.report.action == Action::Encoded, name == "encoded", "{name}: {:?}", made.report.reasons);
        assert_in_step(&cut, &made, 5, name);
        let wanted = number(&facts(&cut)["format"]["duration"]);
        let got = number(&facts(&made.playback())["format"]["duration"]);
        assert!((wanted - got).abs() < 0.1, "{name}: {got} s instead of {wanted} s");
        assert!((flashes(&made.playback())[0] - flashes(&cut)[0]).abs() < 0.06, "{name}");
    }
}

#[test]
fn sound_that_starts_late_or_ends_early_keeps_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = fixture("flash-beep.mkv");
    let source = source.display();
    for (name, arguments) in [
        ("late.mkv", format!("-i {source} -itsoffset 1.5 -i {source} -t 9 -map 0:v -map 1:a -c copy")),
        ("short.mkv", format!("-i {source} -t 4.2 -i {source} -t 9 -map 0:v -map 1:a -c copy")),
        ("negative.mp4", format!("-i {source} -itsoffset 0.25 -i {source} -t 9 -map 1:v -map 0:a -c copy")),
    ] {
        let film = synthesise(&dir, name, &arguments);
        let made = make(&film);
        assert_in_step(&film, &made, 2, name);
        let length = made.duration_ms();
        assert!((8900..=9400).contains(&length), "{name}: {length} ms");
    }
}

#[test]
fn frame_times_are_kept_and_frames_neither_made_up_nor_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = synthesise(
        &dir,
        "variable.mkv",
        "-f lavfi -i testsrc2=s=320x240:r=30:d=6 -vf select=lt(mod(n\\,10)\\,3)+eq(mod(n\\,7)\\,0) -vsync vfr -c:v mpeg4",
    );
    let made = make(&film);
    let (before, after) = (frame_times(&film, "v"), frame_times(&made.playback(), "v"));
    assert_eq!(before.len(), after.len());
    for (a, b) in before.iter().zip(&after) {
        assert!((a - before[0] - b).abs() < 0.002, "{a} became {b}");
    }
}

#[test]
fn a_clock_of_90_000_ticks_is_no_frame_rate() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = synthesise(
        &dir,
        "ticks.mp4",
        "-f lavfi -i testsrc2=s=320x240:r=24:d=3 -c:v mpeg4 -video_track_timescale 90000 -r 24000/1001",
    );
    let made = make(&film);
    let frames = frame_times(&film, "v").len();
    assert_eq!(frame_times(&made.playback(), "v").len(), frames);
}

#[test]
fn the_cap_leaves_frames_out_evenly() {
    let dir = tempfile::tempdir().expect("a directory");
    for rate in [50, 60, 120, 240] {
        let film = synthesise(&dir, "fast.mkv", &format!("-f lavfi -i testsrc2=s=320x240:r={rate}:d=3 -c:v mpeg4"));
        let made = make(&film);
        let times = frame_times(&made.playback(), "v");
        let cap = if rate == 50 { 25..=30 } else { 29..=30 };
        assert!(cap.contains(&(times.len().div_ceil(3))), "{rate}: {} frames in 3 s", times.len());
        let widest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest < 0.05, "{rate}: a hole of {widest} s");
        assert!(made.duration_ms().abs_diff(3000) <= 50, "{rate}: {} ms", made.duration_ms());
    }
}

#[test]
fn a_recording_without_a_length_gets_one() {
    let made = make(&fixture("browser.webm"));
    assert!(facts(&fixture("browser.webm"))["format"]["duration"].is_null(), "the fixture has none");
    let decoded = number(&facts(&made.playback())["format"]["duration"]) * 1000.0;
    assert!(decoded > 3000.0);
    #[expect(clippy::cast_precision_loss, reason = "a length")]
    let off = made.duration_ms() as f64 - decoded;
    assert!(off.abs() <= 50.0, "{off} ms");
}

#[test]
fn fragments_play_as_one_film() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = synthesise(
        &dir,
        "fragmented.mp4",
        &format!("-i {} -t 6 -c copy -movflags frag_keyframe+empty_moov", fixture("conforming.mp4").display()),
    );
    let made = make(&film);
    assert_eq!(made.report.action, Action::Remuxed, "{:?}", made.report.reasons);
    assert!(made.says("remux", "faststart"));
    decodes(&made.playback());
    let wanted = number(&facts(&film)["format"]["duration"]);
    let got = number(&facts(&made.playback())["format"]["duration"]);
    assert!((wanted - got).abs() < 0.1, "{got} s instead of {wanted} s");
}

/// The first part of a file.
fn cut(dir: &tempfile::TempDir, source: &Path, name: &str, keep: f64) -> std::path::PathBuf {
    let bytes = std::fs::read(source).expect("a file");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part")]
    let length = (bytes.len() as f64 * keep) as usize;
    let path = dir.path().join(name);
    std::fs::write(&path, &bytes[..length]).expect("a part of it");
    path
}

#[test]
fn what_is_left_of_a_broken_file_is_kept_and_marked() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, whole_ms) in
        [("voice-note.ogg", 21_388), ("conforming.mp4", 12_000), ("dictation.wav", 0), ("remux.mkv", 5000)]
    {
        let source = fixture(name);
        let made = make(&cut(&dir, &source, name, 0.6));
        let damage = made.report.damage.unwrap_or_else(|| panic!("{name} is not marked: {:#?}", made.report));
        assert!(damage.truncated, "{name}: {damage:?}");
        decodes(&made.playback());
        let whole_ms = if whole_ms == 0 { decoded_ms(&source) } else { whole_ms };
        let share = made.duration_ms() * 100 / whole_ms;
        assert!((35..=80).contains(&share), "{name}: {share} % of its length is left");
        if damage.missing_ms.is_some() {
            let whole = made.duration_ms() + damage.missing_ms.unwrap_or(0);
            assert!(whole.abs_diff(whole_ms) < 300, "{name}: {damage:?}");
        }
    }
}

#[test]
fn whole_files_are_not_called_damaged() {
    for name in ["voice-note.ogg", "conforming.mp4", "dictation.wav", "remux.mkv", "browser.webm", "voice-amr.amr"] {
        assert_eq!(make(&fixture(name)).report.damage, None, "{name}");
    }
}

#[test]
fn without_its_index_a_film_is_unreadable() {
    assert_eq!(rejection(&fixture("truncated.mp4"), |_| ()), Code::MediaUnreadable);
}

#[test]
fn a_slide_show_lasts_as_long_as_its_last_picture() {
    let dir = tempfile::tempdir().expect("a directory");
    // Frames at 0, 1 and 2 s; the GIF says that the last one stays for a second too.
    let film = synthesise(&dir, "slides.gif", "-f lavfi -i testsrc2=s=160x120:r=1:d=3");
    let made = make(&film);
    assert!(made.duration_ms().abs_diff(3000) <= 60, "{} ms", made.duration_ms());
    let played = number(&facts(&made.playback())["format"]["duration"]);
    assert!((2.9..=3.1).contains(&played), "{played} s");
}
