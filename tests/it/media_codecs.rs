//! Every accepted codec is accepted wherever it stands: one row for each combination that an encoder here makes.

use std::path::PathBuf;

use mediamill::events::Kind;
use tempfile::TempDir;

use crate::support::media::{Made, Shown, frame_times, make, rejection, sound, synthesise};
use crate::support::tones::tone;

/// A tone of 440 Hz, coded like this, in a file of this name.
const SOUNDS: &[(&str, &str)] = &[
    ("g722.wav", "-ar 16000 -c:a g722"),
    ("g726.wav", "-ar 8000 -c:a g726"),
    ("g723.wav", "-ar 8000 -c:a g723_1 -b:a 6300"),
    ("yamaha.wav", "-ar 22050 -c:a adpcm_yamaha"),
    ("mp2.wav", "-c:a mp2"),
    ("ima.wav", "-c:a adpcm_ima_wav"),
    ("ms.wav", "-c:a adpcm_ms"),
    ("wave.w64", "-c:a pcm_s16le"),
    ("wave24.w64", "-c:a pcm_s24le"),
    ("s24.caf", "-c:a pcm_s24be"),
    ("s32.caf", "-c:a pcm_s32be"),
    ("f64.caf", "-c:a pcm_f64be"),
    ("s8.caf", "-c:a pcm_s8"),
    ("mp3.caf", "-c:a libmp3lame"),
    ("alac.caf", "-c:a alac"),
    ("alac.mka", "-c:a alac"),
    ("f64.mka", "-c:a pcm_f64le"),
    ("dts.mka", "-c:a dca -strict -2 -ac 2"),
    ("truehd.mka", "-c:a truehd -strict -2 -ac 2"),
    ("mlp.mka", "-c:a mlp -strict -2 -ac 2"),
    ("wma.mka", "-c:a wmav2"),
    ("mp2.mka", "-c:a mp2"),
    ("s32.mov", "-c:a pcm_s32be"),
    ("mulaw.aiff", "-ar 8000 -c:a pcm_mulaw"),
    ("latm.ts", "-c:a aac -mpegts_flags latm"),
    ("dts.ts", "-c:a dca -strict -2 -ac 2"),
    ("nellymoser.flv", "-ar 22050 -c:a nellymoser"),
    ("swf.flv", "-ar 22050 -c:a adpcm_swf"),
];

/// A film of a second with a tone of 440 Hz.
const FILMS: &[(&str, &str)] = &[
    ("prores.mov", "-pix_fmt yuv422p10le -c:v prores_ks -c:a pcm_s16le"),
    ("prores.mkv", "-pix_fmt yuv422p10le -c:v prores_ks -c:a pcm_s16be"),
    ("dv.mov", "-pix_fmt yuv420p -s 720x576 -r 25 -c:v dvvideo -c:a pcm_s16le"),
    ("dv.avi", "-pix_fmt yuv420p -s 720x576 -r 25 -c:v dvvideo -c:a pcm_s16le"),
    ("mpeg2.mkv", "-pix_fmt yuv420p -c:v mpeg2video -c:a mp2"),
    ("mpeg2.avi", "-pix_fmt yuv420p -c:v mpeg2video -c:a mp2"),
    ("mpeg4.ts", "-pix_fmt yuv420p -c:v mpeg4 -c:a aac"),
    ("mpeg4.mpg", "-pix_fmt yuv420p -c:v mpeg4 -c:a mp2"),
    ("hevc.mpg", "-pix_fmt yuv420p -c:v libx265 -x265-params log-level=none:pools=none -c:a mp2 -f vob"),
    ("ffv1.mkv", "-pix_fmt yuv420p -c:v ffv1 -c:a flac"),
    ("h264.asf", "-pix_fmt yuv420p -c:v libx264 -c:a wmav2 -f asf"),
    ("wmv2.avi", "-pix_fmt yuv420p -c:v wmv2 -c:a mp3"),
    ("wmv2.mkv", "-pix_fmt yuv420p -c:v wmv2 -c:a wmav2"),
    ("theora.mkv", "-pix_fmt yuv420p -c:v libtheora -c:a libvorbis"),
    ("msmpeg4.asf", "-pix_fmt yuv420p -c:v msmpeg4 -c:a wmav2 -f asf"),
    ("h264-alac.mkv", "-pix_fmt yuv420p -c:v libx264 -c:a alac"),
    ("h264-dvd.mpg", "-pix_fmt yuv420p -c:v libx264 -c:a pcm_dvd -ar 48000 -f vob"),
];

/// A small file of each.
pub fn samples(dir: &TempDir) -> Vec<PathBuf> {
    let sound = "-f lavfi -i sine=440:d=0.4:r=44100";
    let picture = "-f lavfi -i testsrc2=s=96x64:r=10:d=0.4";
    let sounds = SOUNDS.iter().map(|(name, coded)| synthesise(dir, name, &format!("{sound} {coded}")));
    let films = FILMS.iter().map(|(name, coded)| synthesise(dir, name, &format!("{picture} {sound} {coded}")));
    sounds.chain(films).collect()
}

fn hears(made: &Made, what: &str) {
    let heard = tone(&sound(&made.playback(), 8000, 1), 8000, 440.0, (0.2, 0.8));
    assert!(heard > 0.02, "{what}: 440 Hz at {heard}");
}

#[test]
fn sounds_are_accepted_by_their_codec() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, coded) in SOUNDS {
        let file = synthesise(&dir, name, &format!("-f lavfi -i sine=440:d=1.2:r=44100 {coded}"));
        let made = make(&file);
        assert_eq!(made.report.kind, Kind::Audio, "{name}");
        hears(&made, name);
    }
}

#[test]
fn films_are_accepted_by_their_codecs() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, coded) in FILMS {
        let file = film(&dir, name, coded);
        let made = make(&file);
        assert_eq!(made.report.kind, Kind::Video, "{name}");
        assert!(frame_times(&made.playback(), "v").len() >= 25, "{name}");
        hears(&made, name);
    }
}

/// A WAV whose numbers have their high bytes first (RIFX), as instruments on other processors write it.
#[test]
fn a_wav_with_its_high_bytes_first_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let samples = (0..8000_u16).flat_map(|n| {
        let value = (f64::from(n) * 440.0 * std::f64::consts::TAU / 8000.0).sin() * 12_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
        (value as i16).to_be_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let chunk =
        |kind: &[u8], body: &[u8]| [kind, &u32::try_from(body.len()).expect("small").to_be_bytes(), body].concat();
    let format = [&[0, 1, 0, 1][..], &8000_u32.to_be_bytes(), &16_000_u32.to_be_bytes(), &[0, 2, 0, 16]].concat();
    let file = dir.path().join("high.wav");
    let body = [b"WAVE".to_vec(), chunk(b"fmt ", &format), chunk(b"data", &samples)].concat();
    std::fs::write(&file, chunk(b"RIFX", &body)).expect("written");
    hears(&make(&file), "RIFX");
}

fn film(dir: &TempDir, name: &str, coded: &str) -> PathBuf {
    let source = "-f lavfi -i testsrc2=s=192x128:r=25:d=1.2 -f lavfi -i sine=440:d=1.2:r=48000";
    synthesise(dir, name, &format!("{source} {coded}"))
}

/// What has a picture is no sound, whatever nobody here can decode of it.
#[test]
fn a_film_whose_picture_is_not_decoded_is_kept_as_a_film() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, coded) in [("huff.avi", "-c:v huffyuv -c:a mp3"), ("cinepak.mov", "-c:v cinepak -c:a pcm_s16le")] {
        let made = make(&film(&dir, name, coded));
        assert_eq!(made.report.kind, Kind::Video, "{name}");
        assert!(made.says("keep", "no-decoder"), "{name}: {:?}", made.report.reasons);
        assert!(made.says("drop", "unsupported-codec"), "{name}: {:?}", made.report.reasons);
        assert!(made.report.produced.is_empty(), "{name}: {:?}", made.report.produced);
        assert_eq!(made.report.streams.len(), 2, "{name}");
    }
    let silent = synthesise(&dir, "silent.avi", "-f lavfi -i testsrc2=s=192x128:r=25:d=1 -c:v huffyuv");
    assert_eq!(rejection(&silent, |_| ()), mediamill::error::Code::MediaUnsupported);
}

#[test]
fn a_film_whose_sound_is_not_decoded_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    // No decoder is accepted for it.
    let unknown = make(&film(&dir, "unknown.mkv", "-c:v libx264 -pix_fmt yuv420p -c:a wavpack"));
    assert_eq!(unknown.report.kind, Kind::Video);
    assert!(unknown.says("drop", "unsupported-codec"), "{:?}", unknown.report.reasons);
    // Its bytes are noise.
    let noise = make(&film(&dir, "noise.mkv", "-c:v libx264 -pix_fmt yuv420p -c:a ac3 -bsf:a noise=amount=1"));
    assert_eq!(noise.report.kind, Kind::Video);
    assert!(noise.report.damage.is_some() || noise.says("drop", "undecodable"), "{:?}", noise.report);
}

/// Noise that a codec of low rate has made coarse is not worth three times its bits.
#[test]
fn a_source_of_low_rate_does_not_grow_without_bound() {
    let dir = tempfile::tempdir().expect("a directory");
    let noisy = "-f lavfi -i mandelbrot=s=320x240:r=25 -t 6 -vf noise=alls=12:allf=t,format=yuv420p";
    for (name, coded, most) in [
        ("low.webm", "-c:v libvpx -b:v 100k -deadline realtime -cpu-used 8", 2.0),
        ("low.mp4", "-c:v libx265 -x265-params log-level=none:pools=none -crf 36", 2.6),
    ] {
        let source = synthesise(&dir, name, &format!("{noisy} {coded}"));
        let made = make(&source);
        let size =
            |path: &std::path::Path| u32::try_from(std::fs::metadata(path).expect("a file").len()).expect("small");
        let ratio = f64::from(size(&made.playback())) / f64::from(size(&source));
        assert!(ratio < most, "{name}: {ratio:.2} times its source");
        // And is still the same picture.
        let [before, after] = [&source, &made.playback()].map(|path| Shown::of(path, 3.0));
        assert!(before.difference(&after) < 12.0, "{name}: {}", before.difference(&after));
    }
}
