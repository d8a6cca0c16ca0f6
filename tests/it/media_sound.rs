//! What people hear: right speed, right length, right channels, right loudness.

use std::path::Path;

use mediamill::error::Code;
use mediamill::events::{Action, Role};

use crate::support::media::{decodes, ffmpeg, fixture, make, make_with, number, rejection, sound, stream, synthesise};
use crate::support::oracle::{decoded_ms, facts};

/// The strongest frequency in Hz, by counting the rises through zero of the middle second.
fn pitch(path: &Path) -> f64 {
    let samples = sound(path, 48_000, 1);
    let middle = samples.len() / 2;
    let window = &samples[middle.saturating_sub(12_000)..(middle + 12_000).min(samples.len())];
    let rises = window.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let hz = rises as f64 * 48_000.0 / window.len() as f64;
    hz
}

#[test]
fn every_format_keeps_its_speed_and_length() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = [
        ("mono.wav", "-ar 8000 -ac 1"),
        ("stereo.wav", "-ar 44100 -ac 2"),
        ("high.wav", "-ar 192000 -ac 2 -c:a pcm_s24le"),
        ("float.wav", "-ar 48000 -ac 1 -c:a pcm_f32le"),
        ("eight.wav", "-ar 11025 -ac 1 -c:a pcm_u8"),
        ("alaw.wav", "-ar 8000 -ac 1 -c:a pcm_alaw"),
        ("mulaw.au", "-ar 8000 -ac 1 -c:a pcm_mulaw"),
        ("gsm.wav", "-ar 8000 -ac 1 -c:a gsm_ms"),
        ("aiff.aiff", "-ar 44100 -ac 2 -c:a pcm_s24be"),
        ("lossless.flac", "-ar 96000 -ac 2 -sample_fmt s32"),
        ("apple.m4a", "-ar 44100 -ac 2 -c:a alac"),
        ("aac.m4a", "-ar 48000 -ac 2 -c:a aac"),
        ("raw.aac", "-ar 44100 -ac 1 -c:a aac"),
        ("opus.ogg", "-ar 48000 -ac 1 -c:a libopus -b:a 16k -application voip"),
        ("opus.webm", "-ar 48000 -ac 2 -c:a libopus"),
        ("vorbis.ogg", "-ar 22050 -ac 1 -c:a libvorbis"),
        ("speex.ogg", "-ar 16000 -ac 1 -c:a libspeex"),
        ("layer2.mp3", "-ar 48000 -ac 2 -c:a mp2 -f mp2"),
        ("surround.ac3", "-ar 48000 -ac 6 -c:a ac3"),
        ("surround.wav", "-ar 48000 -ac 6"),
        ("windows.wma", "-ar 44100 -ac 2 -c:a wmav2"),
        ("ima.wav", "-ar 22050 -ac 1 -c:a adpcm_ima_wav"),
    ];
    for (name, arguments) in cases {
        let source =
            synthesise(&dir, name, &format!("-f lavfi -i sine=frequency=440:duration=3:sample_rate=48000 {arguments}"));
        let made = make(&source);
        let output = made.playback();
        decodes(&output);
        let hz = pitch(&output);
        assert!((435.0..445.0).contains(&hz), "{name}: {hz} Hz");
        // The program's own decode is the judge; containers without exact lengths carry the codec's padding.
        let decoded = decoded_ms(&source);
        assert!(made.duration_ms().abs_diff(decoded) <= 50, "{name}: {} ms, decoded {decoded} ms", made.duration_ms());
        assert!(
            decoded_ms(&output).abs_diff(decoded) <= 50,
            "{name}: {} ms, decoded {decoded} ms",
            decoded_ms(&output)
        );
        assert_eq!(made.report.damage, None, "{name}");
    }
}

#[test]
fn aac_at_half_the_usual_rate_is_not_played_twice_as_fast() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = synthesise(&dir, "low.m4a", "-f lavfi -i sine=frequency=440:duration=3 -ar 24000 -ac 1 -c:a aac");
    let made = make(&source);
    let hz = pitch(&made.playback());
    assert!((435.0..445.0).contains(&hz), "{hz} Hz");
    assert!(made.duration_ms().abs_diff(3000) <= 50, "{} ms", made.duration_ms());
}

#[test]
fn six_channels_become_two_without_clipping_and_each_on_its_side() {
    let dir = tempfile::tempdir().expect("a directory");
    // Left, right, centre, low frequencies, left and right behind: only those named here are heard.
    for (name, chain, left, right) in [
        ("left", "c0=c0", true, false),
        ("right", "c1=c0", false, true),
        ("centre", "c2=c0", true, true),
        ("behind left", "c4=c0", true, false),
    ] {
        let source = synthesise(
            &dir,
            "six.wav",
            &format!(
                "-f lavfi -i sine=frequency=440:duration=2:sample_rate=48000 -af volume=8,pan=5.1|{chain} -c:a pcm_s16le"
            ),
        );
        let made = make_with(&source, |profile| profile.audio.loudness_target_lufs = None);
        let samples = sound(&made.playback(), 44_100, 2);
        let peak = |side: usize| samples.iter().skip(side).step_by(2).fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert_eq!((peak(0) > 0.1, peak(1) > 0.1), (left, right), "{name}: {} and {}", peak(0), peak(1));
    }
    let loud = synthesise(
        &dir,
        "loud.wav",
        "-f lavfi -i sine=frequency=440:duration=2:sample_rate=48000 \
         -af volume=8,pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0 -c:a pcm_s16le",
    );
    let made = make_with(&loud, |profile| profile.audio.loudness_target_lufs = None);
    let peak = sound(&made.playback(), 44_100, 2).iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    assert!(peak <= 1.05, "a full-scale input peaks at {peak}");
}

/// Integrated loudness in LUFS and true peak in dBTP, as libavfilter's ebur128 measures them.
fn loudness(path: &Path) -> (f64, f64) {
    let output = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(path)
        .args(["-map", "0:a:0", "-af", "ebur128=peak=true", "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = |label: &str| {
        let at = text.rfind(label).unwrap_or_else(|| panic!("no {label} in {text}"));
        text[at + label.len()..].split_whitespace().next().and_then(|v| v.parse().ok()).expect("a number")
    };
    (value("I:"), value("Peak:"))
}

#[test]
fn loudness_reaches_the_target_or_stops_at_the_ceiling() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, volume) in [("quiet", 0.15), ("loud", 2.0)] {
        let source = synthesise(
            &dir,
            &format!("{name}.wav"),
            &format!("-i {} -af volume={volume} -ar 48000 -ac 1", fixture("dictation.wav").display()),
        );
        let made = make(&source);
        let said = made.report.loudness.expect("figures");
        let (integrated, peak) = loudness(&source);
        let reported = said.integrated_lufs.expect("loudness");
        assert!((reported - integrated).abs() <= 0.5, "{name}: {reported} LUFS, the judge says {integrated}");
        let reported = said.true_peak_dbtp.expect("a peak");
        // Measured behind the resampler, which takes what is above the new band away.
        assert!((reported - peak).abs() <= 1.5, "{name}: {reported} dBTP, the judge says {peak}");
        let (after, peak_after) = loudness(&made.playback());
        let expected = integrated + said.gain_db;
        assert!((after - expected).abs() <= 0.3, "{name}: {after} LUFS instead of {expected}");
        assert!(after <= -15.0, "{name}: {after} LUFS");
        // A lossy codec overshoots by a little.
        assert!(peak_after <= -0.4, "{name}: {peak_after} dBTP");
    }
}

#[test]
fn an_mp3_says_its_length_and_delay_in_a_lame_header() {
    for name in ["voice-note.ogg", "memo.m4a", "dictation.wav"] {
        let made = make(&fixture(name));
        let bytes = std::fs::read(made.playback()).expect("an MP3");
        let head = &bytes[..400.min(bytes.len())];
        let tag =
            head.windows(4).position(|w| w == b"Info" || w == b"Xing").unwrap_or_else(|| panic!("{name}: no header"));
        let lame = &head[tag + 120..tag + 144];
        assert!(
            lame.starts_with(b"LAME") || lame.starts_with(b"Lavc") || lame.starts_with(b"Lavf"),
            "{name}: {lame:?}"
        );
        let delay = (u32::from(lame[21]) << 4) | (u32::from(lame[22]) >> 4);
        assert!((500..2400).contains(&delay), "{name}: a delay of {delay} samples");
        assert!(decoded_ms(&made.playback()).abs_diff(decoded_ms(&fixture(name))) <= 50, "{name}");
    }
}

/// By its bytes alone: FFmpeg knows no name and no type here.
#[test]
fn an_mp3_of_few_frames_is_known_as_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let silence = |name: &str, duration: &str| {
        let source = format!("-f lavfi -i anullsrc=sample_rate=44100:duration={duration} -ac 2 -c:a pcm_s16le");
        synthesise(&dir, name, &source)
    };
    // Its head says 3 s, and some hundredths are there.
    let cut = silence("cut.mka", "3");
    std::fs::File::options().write(true).open(&cut).expect("a file").set_len(6000).expect("cut");
    for source in [silence("shortest.wav", "0.02"), silence("short.wav", "0.1"), cut] {
        let made = make(&source);
        assert!(made.duration_ms() < 200, "{}: {} ms", source.display(), made.duration_ms());
        let nameless = dir.path().join("nameless");
        std::fs::copy(made.playback(), &nameless).expect("copied");
        assert_eq!(facts(&nameless)["format"]["format_name"], "mp3", "{}", source.display());
        decodes(&nameless);
    }
}

#[test]
fn a_conforming_mp3_is_left_alone() {
    let made = make(&fixture("speech.mp3"));
    assert_eq!(made.report.action, Action::Copied, "{:?}", made.report.reasons);
    assert_eq!(made.asset(Role::Playback).0.file, mediamill::task::INPUT);
}

#[test]
fn encoding_never_makes_a_playable_sound_larger() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = synthesise(&dir, "small.m4a", "-f lavfi -i sine=frequency=440:duration=10 -ac 1 -c:a aac -b:a 16k");
    let made = make(&source);
    assert!(made.says("copy", "never-larger"), "{:?}", made.report.reasons);
    let (asset, output) = made.asset(Role::Playback);
    assert_eq!(asset.codecs, ["aac"]);
    decodes(&output);
    assert!(output.metadata().expect("a file").len() <= source.metadata().expect("a file").len() * 105 / 100 + 2048);
}

#[test]
fn a_budget_is_kept_or_said_to_be_too_small() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = synthesise(&dir, "long.wav", "-f lavfi -i anoisesrc=a=0.3:d=120 -ar 44100 -ac 2");
    for max_bytes in [1_000_000, 512 * 1024, 200_000] {
        let made = make_with(&source, |profile| profile.max_bytes = max_bytes);
        let size = made.playback().metadata().expect("a file").len();
        assert!(size <= max_bytes, "{size} of {max_bytes} bytes");
        assert!(made.says("encode", "budget"));
        assert!(decoded_ms(&made.playback()).abs_diff(120_000) <= 50);
    }
    assert_eq!(rejection(&source, |profile| profile.max_bytes = 50_000), Code::MediaCannotFit);
}

#[test]
fn the_default_track_is_the_one_that_is_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = synthesise(
        &dir,
        "tracks.mkv",
        "-f lavfi -i testsrc2=s=320x240:r=10:d=3 -f lavfi -i sine=frequency=200:duration=3 \
         -f lavfi -i sine=frequency=1000:duration=3 -map 0 -map 1 -map 2 -c:v mpeg4 -c:a aac \
         -disposition:a:0 0 -disposition:a:1 default",
    );
    let made = make(&film);
    assert!(made.says("drop", "second-audio"));
    let hz = pitch(&made.playback());
    assert!((950.0..1050.0).contains(&hz), "{hz} Hz");
}

#[test]
fn a_cover_is_a_thumbnail_and_not_a_film() {
    let dir = tempfile::tempdir().expect("a directory");
    let cover = synthesise(&dir, "cover.png", "-f lavfi -i testsrc2=s=300x300 -frames:v 1");
    let song = synthesise(
        &dir,
        "song.mp3",
        &format!(
            "-f lavfi -i sine=frequency=440:duration=3 -i {} -map 0 -map 1 -c:a libmp3lame -b:a 320k -c:v copy \
             -disposition:v attached_pic -metadata artist=Somebody -metadata title=Song",
            cover.display()
        ),
    );
    let made = make(&song);
    assert_eq!(made.report.kind, mediamill::events::Kind::Audio);
    assert!(made.says("drop", "cover-art"));
    let thumbnail = stream(&made.thumbnail(), "video");
    assert_eq!(number(&thumbnail["width"]), 300.0);
    let output = facts(&made.playback());
    assert_eq!(output["streams"].as_array().map(Vec::len), Some(1), "{output:#}");
    let tags = output["format"]["tags"].to_string();
    assert!(tags.contains("Song") && !tags.contains("Somebody"), "{tags}");
}

#[test]
fn peaks_and_waveform_are_of_what_is_played() {
    let made = make_with(&fixture("voice-note.ogg"), |profile| {
        profile.waveform.picture = true;
        profile.waveform.peaks = "object".to_owned();
    });
    assert!(made.report.peaks.is_none(), "they are in an object of their own");
    let peaks: serde_json::Value =
        serde_json::from_slice(&std::fs::read(made.asset(Role::Peaks).1).expect("peaks")).expect("JSON");
    let inline = make(&fixture("voice-note.ogg")).report.peaks.expect("by default they are in the report");
    assert_eq!(serde_json::to_value(inline).expect("JSON"), peaks);
    // audiowaveform's data format, version 2.
    assert_eq!((&peaks["version"], &peaks["bits"], &peaks["channels"]), (&2.into(), &8.into(), &1.into()));
    let per_pixel = number(&peaks["samples_per_pixel"]) / number(&peaks["sample_rate"]);
    let seconds = number(&peaks["length"]) * per_pixel;
    assert!((seconds - 21.388).abs() < 0.2, "{seconds} s");
    let data = peaks["data"].as_array().expect("data");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let pairs = number(&peaks["length"]) as usize;
    assert_eq!(data.len(), 2 * pairs);
    assert!(data.chunks(2).all(|pair| number(&pair[0]) <= number(&pair[1])));
    let waveform = stream(&made.asset(Role::Waveform).1, "video");
    assert_eq!((&waveform["codec_name"], number(&waveform["width"])), (&"png".into(), 800.0));
    // The loudest pair is where the played sound is loudest.
    let played = ffmpeg("-i {} -f f32le -ac 1 -ar 8000 -", &made.playback()).stdout;
    let played: Vec<f32> = played.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let loudest = played.iter().fold(0.0_f32, |peak, s| peak.max(s.abs()));
    let highest = data.iter().map(|v| number(v).abs()).fold(0.0, f64::max) / 127.0;
    assert!((f64::from(loudest) - highest).abs() < 0.15, "{loudest} against {highest}");
}

/// Root mean square of one channel of two over a second from `at` on.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn level(samples: &[f32], rate: usize, channel: usize, at: usize) -> f32 {
    let window: Vec<f32> =
        samples[at * rate * 2..(at + 1) * rate * 2].iter().skip(channel).step_by(2).copied().collect();
    (window.iter().map(|sample| sample * sample).sum::<f32>() / window.len() as f32).sqrt()
}

/// 64 MiB of samples stay in memory, which is 175 s of two channels at 48 kHz.
#[test]
fn a_sound_too_long_for_memory_is_decoded_again_and_comes_out_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    // Louder every 25 s, by as much on the left as softer on the right.
    let steps = "0.02+0.02*floor(t/25)|0.2-0.02*floor(t/25)".replace('|', ")*sin(880*PI*t)|(");
    let source = format!("-f lavfi -i aevalsrc=({steps})*sin(1760*PI*t):s=48000:d=200");
    let film = format!("-f lavfi -i color=s=64x48:r=2:d=200 {source} -c:v mpeg4 -c:a ac3 -b:a 192k");
    for (name, options) in [("long.flac", source), ("long.mkv", film)] {
        let made = make(&synthesise(&dir, name, &options));
        assert_eq!(made.report.action, Action::Encoded, "{name}");
        assert!(made.duration_ms().abs_diff(200_000) < 200, "{name}: {} ms", made.duration_ms());
        let rate = 48_000;
        let (before, after) = (sound(&dir.path().join(name), 48_000, 2), sound(&made.playback(), 48_000, 2));
        let gain = level(&after, rate, 0, 10) / level(&before, rate, 0, 10);
        for at in [10, 60, 110, 160, 190] {
            for channel in [0, 1] {
                let heard = level(&after, rate, channel, at) / level(&before, rate, channel, at) / gain;
                assert!((0.9..1.1).contains(&heard), "{name}: channel {channel} after {at} s: {heard} of what it was");
            }
        }
    }
}
