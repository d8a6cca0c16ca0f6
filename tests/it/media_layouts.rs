//! Layouts: of channels that no loudspeaker has, and of frames that change their shape on the way.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::boxes::chunk;
use crate::support::media::{Shown, is_color, make, make_with, sound, synthesise};
use crate::support::tones::tone;

const RATE: u32 = 8000;

/// A WAV with a tone in each channel: 300 Hz in the first, 100 more in each other. With a mask, it says where they are.
fn tones(dir: &TempDir, channels: u16, mask: Option<u32>) -> PathBuf {
    let mut data = Vec::new();
    for n in 0..RATE {
        for channel in 0..channels {
            let hz = f64::from(300 + 100 * channel);
            let sample = (std::f64::consts::TAU * hz * f64::from(n) / f64::from(RATE)).sin() * 6000.0;
            #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
            data.extend((sample as i16).to_le_bytes());
        }
    }
    let tag: u16 = if mask.is_some() { 0xfffe } else { 1 };
    let bytes = channels * 2;
    let mut format = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    format.extend([RATE.to_le_bytes(), (RATE * u32::from(bytes)).to_le_bytes()].concat());
    format.extend([bytes.to_le_bytes(), 16_u16.to_le_bytes()].concat());
    if let Some(mask) = mask {
        let pcm = *b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
        format.extend([&[22, 0, 16, 0][..], &mask.to_le_bytes(), &pcm].concat());
    }
    let file = dir.path().join(format!("{channels}-{mask:x?}.wav"));
    let body = [&b"WAVE"[..], &chunk(b"fmt ", &[&format]), &chunk(b"data", &[&data])];
    std::fs::write(&file, chunk(b"RIFF", &body)).expect("written");
    file
}

#[test]
fn channels_without_a_mask_are_all_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    for channels in [3, 4, 5, 6, 7, 8, 9, 10, 12, 16] {
        for outputs in [1, 2] {
            let made = make_with(&tones(&dir, channels, None), |profile| profile.audio.max_channels = outputs);
            let heard = sound(&made.playback(), RATE, 1);
            let loud: Vec<f64> =
                (0..channels).map(|n| tone(&heard, RATE, f64::from(300 + 100 * n), (0.2, 0.8))).collect();
            let (weakest, loudest) =
                (loud.iter().copied().fold(1.0, f64::min), loud.iter().copied().fold(0.0, f64::max));
            assert!(weakest > loudest / 5.0 && loudest > 0.005, "{channels} to {outputs}: {loud:?}");
        }
    }
}

#[test]
fn layouts_that_no_rule_is_known_for_are_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    // Two at the sides, two at the back, a centre and a low frequency one, two on top; and ten with places.
    for (channels, mask) in [(2, 0x600), (2, 0x30), (2, 0xc), (2, 0x5000), (10, 0x3_ff), (3, 0x7000)] {
        let file = tones(&dir, channels, Some(mask));
        let made = make(&file);
        let heard = sound(&made.playback(), RATE, 2);
        let side = |side: usize| heard.iter().copied().skip(side).step_by(2).collect::<Vec<f32>>();
        let (left, right) = (side(0), side(1));
        assert!((7900..=8100).contains(&left.len()), "{mask:x}: {} samples", left.len());
        let of = |side: &[f32], hz: f64| tone(side, RATE, hz, (0.2, 0.8));
        assert!(of(&left, 300.0) > 0.005 && of(&right, 400.0) > 0.005, "{mask:x}");
        if channels == 2 {
            assert!(of(&left, 400.0) < of(&left, 300.0) / 10.0 && of(&right, 300.0) < of(&right, 400.0) / 10.0);
        }
        // Beside a picture it is no reason to reject the film.
        let picture = "-f lavfi -i testsrc2=s=96x64:r=10:d=1";
        let film = synthesise(&dir, "film.mkv", &format!("{picture} -i {} -c:v libx264 -c:a copy", file.display()));
        let film = sound(&make(&film).playback(), RATE, 1);
        assert!(of(&film, 300.0) > 0.005 && of(&film, 400.0) > 0.005, "{mask:x} in a film");
    }
}

#[test]
fn ambisonic_sound_is_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    let omni = "aevalsrc=0.3*sin(2*PI*440*t)|0.2*sin(2*PI*440*t)|0|0:d=1.5:s=48000:c=quad";
    let coded = "-c:a libopus -mapping_family 2 -b:a 256k";
    let file =
        synthesise(&dir, "sphere.opus", &format!("-f lavfi -i {omni} -af channelmap=channel_layout=quad {coded}"));
    let made = make(&file);
    assert!(made.duration_ms().abs_diff(1500) <= 20, "{} ms", made.duration_ms());
    let heard = tone(&sound(&made.playback(), RATE, 1), RATE, 440.0, (0.3, 1.2));
    assert!(heard > 0.02, "{heard}");
}

/// A phone is turned during a call: its later frames stand upright in the lying film.
#[test]
fn a_picture_that_changes_its_shape_keeps_its_proportions() {
    let dir = tempfile::tempdir().expect("a directory");
    let coded = "-c:v libvpx -b:v 500k -g 10";
    let part = |name: &str, size: &str| {
        let red = format!("-f lavfi -i color=red:s={size}:r=10:d=1 {coded}");
        synthesise(&dir, name, &red)
    };
    let parts = [part("lying.webm", "192x128"), part("upright.webm", "128x192")];
    let list: String = parts.iter().map(|part| format!("file '{}'\n", part.display())).collect();
    let names = dir.path().join("list.txt");
    std::fs::write(&names, list).expect("written");
    let film = synthesise(&dir, "turned.webm", &format!("-f concat -safe 0 -i {} -c copy", names.display()));
    let made = make(&film);
    let (early, late) = (Shown::of(&made.playback(), 0.5), Shown::of(&made.playback(), 1.5));
    assert_eq!((early.width, early.height), (192, 128));
    for x in [0.05, 0.5, 0.95] {
        assert!(is_color(early.color(x, 0.5), [254, 0, 0]), "{x}: {:?}", early.color(x, 0.5));
        let wanted = if x == 0.5 { [254, 0, 0] } else { [0, 0, 0] };
        assert!(is_color(late.color(x, 0.5), wanted), "{x}: {:?}", late.color(x, 0.5));
    }
}
