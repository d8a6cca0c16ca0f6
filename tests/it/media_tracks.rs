//! Which of several tracks is taken, and what is heard of a sound: its pauses, its polarity, its lengths.

use std::path::PathBuf;

use mediamill::events::{Action, Kind};
use tempfile::TempDir;

use crate::support::media::{Shown, frame_times, make, make_with, number, sound, stream, synthesise};
use crate::support::oracle::facts;
use crate::support::tones::tone;

/// Two people, the second from 8 s on, and nothing sent in between but one packet of twenty.
fn conversation(dir: &TempDir, name: &str) -> PathBuf {
    let spoken = "aevalsrc=0.3*sin(2*PI*440*t)*(lt(t\\,2)+gte(t\\,8)):d=10:s=48000";
    let whole = synthesise(dir, "whole.mka", &format!("-f lavfi -i {spoken} -c:a libopus -b:a 24k -frame_duration 20"));
    let paused = "noise=drop=between(n\\,105\\,395)*mod(n\\,20)";
    synthesise(dir, name, &format!("-i {} -c copy -bsf:a {paused}", whole.display()))
}

#[test]
fn what_was_not_sent_while_nobody_spoke_is_silence() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["talk.webm", "talk.mka", "talk.mp4", "talk.ogg"] {
        let made = make(&conversation(&dir, name));
        assert!(made.duration_ms().abs_diff(10_000) <= 40, "{name}: {} ms", made.duration_ms());
        assert_eq!(made.report.damage, None, "{name}");
        let heard = sound(&made.playback(), 8000, 1);
        let second = heard.iter().skip(24_000).position(|sample| sample.abs() > 0.05).expect("somebody speaks again");
        assert!((24_000 + second).abs_diff(64_000) < 800, "{name}: at {} samples", 24_000 + second);
    }
}

#[test]
fn channels_of_opposite_polarity_are_heard_in_mono() {
    let dir = tempfile::tempdir().expect("a directory");
    for (right, is_opposed) in [("-0.3", true), ("-0.27", true), ("0.3", false), ("0", false)] {
        let tones = format!("aevalsrc=0.3*sin(2*PI*440*t)|{right}*sin(2*PI*440*t):d=2:s=44100");
        for (name, coded) in
            [("pair.wav", "-c:a pcm_s16le"), ("pair.mp3", "-c:a libmp3lame"), ("pair.ogg", "-c:a libopus")]
        {
            let file = synthesise(&dir, name, &format!("-f lavfi -i {tones} {coded}"));
            let made = make_with(&file, |profile| profile.audio.max_channels = 1);
            let heard = tone(&sound(&made.playback(), 8000, 1), 8000, 440.0, (0.5, 1.5));
            assert!(heard > 0.05, "{name} with {right}: {heard}");
            let said = made.says("encode", "opposite-polarity");
            assert_eq!(said, is_opposed, "{name} with {right}: {:?}", made.report.reasons);
        }
    }
}

#[test]
fn a_film_is_taken_before_a_larger_still() {
    let dir = tempfile::tempdir().expect("a directory");
    let inputs = "-f lavfi -i testsrc2=s=160x120:r=10:d=2 -f lavfi -i testsrc2=s=320x240:r=10:d=0.1";
    let coded = "-map 0 -map 1 -c:v libx264 -pix_fmt yuv420p -disposition:v default";
    let film = synthesise(&dir, "motion.mp4", &format!("{inputs} {coded}"));
    let made = make(&film);
    assert!(made.duration_ms().abs_diff(2000) <= 20, "{} ms", made.duration_ms());
    assert_eq!(frame_times(&made.playback(), "v").len(), 20);
    let shown = Shown::of(&made.playback(), 0.5);
    assert_eq!((shown.width, shown.height), (160, 120));
    assert!(made.says("drop", "second-video"), "{:?}", made.report.reasons);
}

#[test]
fn a_track_with_sound_is_taken_before_an_empty_one() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["empty.mkv", "empty.mp4"] {
        let inputs = "-f lavfi -i testsrc2=s=160x120:r=10:d=2 -f lavfi -i sine=440:d=2 -f lavfi -i sine=700:d=2";
        let coded = "-map 0 -map 1 -map 2 -c:v libx264 -pix_fmt yuv420p -c:a aac -bsf:a:0 noise=drop=1";
        let film = synthesise(&dir, name, &format!("{inputs} {coded} -disposition:a:0 default"));
        let made = make(&film);
        let heard = tone(&sound(&made.playback(), 8000, 1), 8000, 700.0, (0.5, 1.5));
        assert!(heard > 0.02, "{name}: 700 Hz at {heard}, {:?}", made.report.reasons);
        // The muxer leaves a track without samples out of an MP4.
        assert_eq!(made.says("drop", "empty"), name == "empty.mkv", "{name}: {:?}", made.report.reasons);
        let alone = "-map 0 -map 1 -c:a aac -bsf:a:0 noise=drop=1";
        let inputs = "-f lavfi -i sine=440:d=2 -f lavfi -i sine=700:d=2";
        let only = synthesise(&dir, &format!("only-{name}"), &format!("{inputs} {alone}"));
        let made = make(&only);
        let heard = tone(&sound(&made.playback(), 8000, 1), 8000, 700.0, (0.5, 1.5));
        assert!(made.report.kind == Kind::Audio && heard > 0.02, "only {name}: 700 Hz at {heard}");
    }
}

/// Overwrites the only place where these bytes stand.
fn patched(bytes: &[u8], from: &[u8], with: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the bytes to change");
    let mut bytes = bytes.to_vec();
    with(&mut bytes[at + from.len()..]);
    bytes
}

#[test]
fn a_false_length_rejects_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let webm = synthesise(&dir, "plain.webm", "-f lavfi -i sine=440:d=3 -c:a libopus");
    let bytes = std::fs::read(webm).expect("made");
    // Duration (RFC 9559, 5.1.2.10) in nanoseconds instead of milliseconds.
    let false_length = patched(&bytes, &[0x44, 0x89, 0x88], |value| {
        value[..8].copy_from_slice(&3_000_000_000.0_f64.to_be_bytes());
    });
    let film = synthesise(
        &dir,
        "fragments.mp4",
        "-f lavfi -i testsrc2=s=160x120:r=10:d=2 -c:v libx264 -bf 0 -pix_fmt yuv420p -movflags frag_keyframe+empty_moov",
    );
    let mut fragments = std::fs::read(film).expect("made");
    for (kind, length_at) in [(b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)] {
        fragments = patched(&fragments, kind, |content| content[length_at..length_at + 4].fill(0xff));
    }
    for (name, bytes, ms) in [("false.webm", false_length, 3000), ("unknown.mp4", fragments, 2000)] {
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).expect("written");
        let made = make(&file);
        assert!(made.duration_ms().abs_diff(ms) <= 60, "{name}: {} ms", made.duration_ms());
        assert_eq!(made.report.damage, None, "{name}");
    }
}

/// sox writes a WAV into a pipe without knowing its size.
#[test]
fn a_wav_of_unknown_size_is_not_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let wav = synthesise(&dir, "plain.wav", "-f lavfi -i sine=440:d=2:r=16000 -c:a pcm_s16le -fflags +bitexact");
    let bytes = std::fs::read(wav).expect("made");
    let bytes = patched(&bytes, b"RIFF", |size| size[..4].copy_from_slice(&0x7fff_f024_u32.to_le_bytes()));
    let bytes = patched(&bytes, b"data", |size| size[..4].copy_from_slice(&0x7fff_f000_u32.to_le_bytes()));
    let file = dir.path().join("piped.wav");
    std::fs::write(&file, bytes).expect("written");
    let made = make(&file);
    assert_eq!((made.duration_ms(), &made.report.damage), (2000, &None));
}

#[test]
fn sound_that_starts_late_is_not_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let late = "-f lavfi -i sine=440:d=3 -c:a libopus -output_ts_offset 5";
    for name in ["late.webm", "late.mka"] {
        let made = make(&synthesise(&dir, name, late));
        assert_eq!(made.report.damage, None, "{name}");
        assert!(made.duration_ms().abs_diff(3000) <= 40, "{name}: {} ms", made.duration_ms());
    }
}

/// MPEG-TS pieces of less than a second each, one behind the other.
#[test]
fn short_clips_are_shown_one_after_the_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let inputs = "-f lavfi -i testsrc2=s=192x128:r=10:d=0.8 -f lavfi -i sine=440:d=0.8";
    let clip = synthesise(&dir, "clip.ts", &format!("{inputs} -c:v libx264 -bf 0 -pix_fmt yuv420p -c:a aac"));
    let five = dir.path().join("five.ts");
    std::fs::write(&five, std::fs::read(clip).expect("made").repeat(5)).expect("written");
    for short_side in [720, 64] {
        let made = make_with(&five, |profile| profile.video.max_short_side = short_side);
        let times = frame_times(&made.playback(), "v");
        assert_eq!(times.len(), 40, "{short_side}: {:?}", made.report.reasons);
        let widest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest < 0.25, "{short_side}: a picture stands for {widest} s");
        assert!((3900..=4200).contains(&made.duration_ms()), "{short_side}: {} ms", made.duration_ms());
    }
}

/// Matroska, MPEG-TS and FLV have no word for a stream's bit rate.
#[test]
fn the_highest_bit_rate_holds_in_every_container() {
    let dir = tempfile::tempdir().expect("a directory");
    let inputs = "-f lavfi -i testsrc2=s=320x240:r=25:d=2 -f lavfi -i sine=440:d=2";
    let coded = "-c:v libx264 -qp 2 -pix_fmt yuv420p -profile:v high -c:a aac";
    for name in ["rate.mp4", "rate.mkv", "rate.ts", "rate.flv"] {
        let film = synthesise(&dir, name, &format!("{inputs} {coded}"));
        let made = make_with(&film, |profile| {
            (profile.video.max_bit_rate, profile.larger_tolerance_percent) = (500_000, 1000.0);
        });
        assert_eq!(made.report.action, Action::Encoded, "{name}");
        assert!(made.says("encode", "bit-rate"), "{name}: {:?}", made.report.reasons);
        let kept = make_with(&film, |profile| profile.video.max_bit_rate = 100_000_000);
        assert_ne!(kept.report.action, Action::Encoded, "{name}: {:?}", kept.report.reasons);
    }
    let length = number(&facts(&dir.path().join("rate.mkv"))["format"]["duration"]);
    assert!(length > 1.9 && stream(&dir.path().join("rate.mkv"), "video")["bit_rate"].is_null());
}
