//! The way back: files of an agent as WhatsApp takes them, and `mediamill fits`.

use std::path::Path;

use mediamill::config::Profiles;
use mediamill::error::Code;
use mediamill::events::{Action, Role};
use mediamill::profile::RawProfile;

use crate::support::cmd::{Dir, repo_file};
use crate::support::media::{Made, fixture, make_with, number, quarters, rejection, stream, synthesise};

fn profile(name: &str) -> RawProfile {
    Profiles::load(Path::new("")).expect("profiles").get(name).expect("built in").raw.clone()
}

fn made_for(name: &str, input: &Path) -> Made {
    make_with(input, |raw| *raw = profile(name))
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).expect("a file").len()
}

#[test]
fn a_sound_becomes_one_channel_of_opus_in_ogg() {
    let made = made_for("whatsapp-voice", &fixture("music.mp3"));
    let (asset, path) = made.asset(Role::Playback);
    assert_eq!((asset.object.as_str(), asset.mime_type.as_str()), ("audio.ogg", "audio/ogg; codecs=opus"));
    assert_eq!(asset.codecs, ["opus"]);
    let out = stream(&path, "audio");
    assert_eq!((&out["codec_name"], &out["channels"]), (&"opus".into(), &1.into()));
    assert!(size_of(&path) <= 512 << 10);
    let written = std::fs::read(&path).expect("a sound");
    assert!(!written.windows(5).any(|window| window.eq_ignore_ascii_case(b"title")));
}

#[test]
fn a_voice_message_that_is_one_already_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = "-f lavfi -i sine=300:d=3,aformat=channel_layouts=mono -c:a libopus -b:a 24k -fflags +bitexact";
    let made = made_for("whatsapp-voice", &synthesise(&dir, "a.ogg", source));
    assert!(made.says("copy", "conforms"), "{:?}", made.report.reasons);
    assert_ne!(made.report.action, Action::Encoded);
    assert_eq!(made.asset(Role::Playback).0.mime_type, "audio/ogg; codecs=opus");
    let stereo = "-f lavfi -i sine=300:d=3,aformat=channel_layouts=stereo -c:a libopus -b:a 24k";
    let made = made_for("whatsapp-voice", &synthesise(&dir, "b.ogg", stereo));
    assert!(made.says("encode", "channels"), "{:?}", made.report.reasons);
    assert_eq!(stream(&made.playback(), "audio")["channels"], 1);
}

#[test]
fn a_long_voice_message_is_smaller_as_far_as_speech_stays_good_and_else_it_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    // Noise like speech in level: a tone would cost Opus next to nothing.
    let source = |seconds: u32| format!("-f lavfi -i anoisesrc=a=0.1:c=pink:r=16000:d={seconds} -c:a pcm_s16le");
    let made = made_for("whatsapp-voice", &synthesise(&dir, "a.wav", &source(200)));
    assert!(size_of(&made.playback()) <= 512 << 10, "{}", size_of(&made.playback()));
    assert!(!made.says("encode", "above-preferred"));
    let made = made_for("whatsapp-voice", &synthesise(&dir, "b.wav", &source(400)));
    assert!(size_of(&made.playback()) > 512 << 10);
    assert!(made.says("encode", "above-preferred"), "{:?}", made.report.reasons);
    assert!((399.0..401.0).contains(&number(&stream(&made.playback(), "audio")["duration"])));
    let code = rejection(&dir.path().join("b.wav"), |raw| {
        *raw = profile("whatsapp-voice");
        raw.max_bytes = 100_000;
    });
    assert_eq!(code, Code::MediaCannotFit);
}

#[test]
fn a_film_fits_into_sixteen_megabytes_or_cannot() {
    let dir = tempfile::tempdir().expect("a directory");
    let film =
        synthesise(&dir, "a.mkv", "-f lavfi -i testsrc2=s=640x360:r=10:d=4,noise=alls=40:allf=t -c:v mpeg4 -q:v 2");
    let made = make_with(&film, |raw| {
        *raw = profile("whatsapp-video");
        raw.max_bytes = 300_000;
    });
    assert!(size_of(&made.playback()) <= 300_000);
    assert_eq!(profile("whatsapp-video").max_bytes, 16_000_000);
    let code = rejection(&film, |raw| {
        *raw = profile("whatsapp-video");
        raw.max_bytes = 5000;
    });
    assert_eq!(code, Code::MediaCannotFit);
}

/// WhatsApp on Android does not show H.264 High with B-frames.
#[test]
fn a_film_for_whatsapp_is_main_without_b_frames_whatever_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let source =
        "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -f lavfi -i sine=d=3 -pix_fmt yuv420p -c:a aac -movflags +faststart";
    for (coded, kept, reason) in [
        ("-c:v libx264 -profile:v high -bf 2 -crf 40", false, "profile"),
        ("-c:v libx264 -profile:v high -bf 0 -crf 40", false, "profile"),
        ("-c:v libx264 -profile:v main -bf 2 -crf 40", false, "b-frames"),
        ("-c:v libx264 -profile:v main -bf 0 -crf 30", true, "conforms"),
        ("-c:v libx264 -profile:v baseline -crf 30", true, "conforms"),
        ("-c:v mpeg4 -q:v 4", false, "codec"),
    ] {
        let film = synthesise(&dir, "a.mp4", &format!("{source} {coded}"));
        let made = made_for("whatsapp-video", &film);
        let (asset, path) = made.asset(Role::Playback);
        assert_eq!(
            (asset.mime_type.as_str(), &asset.codecs[..]),
            ("video/mp4", &["h264".to_owned(), "aac".to_owned()][..])
        );
        assert_eq!(made.report.action != Action::Encoded, kept, "{coded}: {:?}", made.report.reasons);
        assert!(made.says(if kept { "copy" } else { "encode" }, reason), "{coded}: {:?}", made.report.reasons);
        let video = stream(&path, "video");
        assert!(
            ["Main", "Constrained Baseline"].contains(&video["profile"].as_str().unwrap_or_default()),
            "{coded}: {video:#}"
        );
        assert_eq!(video["has_b_frames"], 0, "{coded}");
        assert!(number(&video["level"]) <= 31.0 && video["pix_fmt"] == "yuv420p", "{coded}: {video:#}");
        assert_eq!(stream(&path, "audio")["profile"], "LC", "{coded}");
    }
}

#[test]
fn a_picture_becomes_a_jpeg_within_five_megabytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let webp = synthesise(&dir, "a.webp", &format!("{} -frames:v 1 -c:v libwebp", quarters(320, 240, 1, 1)));
    let made = made_for("whatsapp-image", &webp);
    let (asset, path) = made.asset(Role::Rendition);
    assert_eq!((asset.mime_type.as_str(), asset.object.as_str()), ("image/jpeg", "picture.jpg"));
    assert!(size_of(&path) <= 5_000_000);
    let code = rejection(&webp, |raw| {
        *raw = profile("whatsapp-image");
        raw.max_bytes = 300;
    });
    assert_eq!(code, Code::MediaCannotFit);
}

#[test]
fn fits_says_which_files_a_destination_takes_and_which_rules_nobody_has_verified() {
    let dir = Dir::new();
    let fixtures = repo_file("fixtures");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let (voice, music) = (file("voice-note.ogg"), file("music.mp3"));
    let run = dir.run(["fits", "--for", "whatsapp,hubspot", &voice, &music]).exits(0);
    assert!(run.stdout.contains("whatsapp.voice") && run.stdout.contains("whatsapp.audio"), "{}", run.stdout);
    assert!(run.stdout.contains("hubspot.file (unverified)"), "{}", run.stdout);
    assert!(run.stdout.contains("not verified with the vendor: hubspot.file"), "{}", run.stdout);
    let run = dir.run(["fits", "--for", "whatsapp", "--format", "json", &file("browser.webm")]).exits(3);
    let lines = run.json_lines();
    assert_eq!((&lines[0]["fits"], &lines[0]["for"]), (&false.into(), &"whatsapp".into()), "{lines:?}");
    let run = dir.run(["fits", "--for", "carrier-pigeon", &voice]).exits(2);
    assert!(run.stderr.contains("carrier-pigeon"), "{}", run.stderr);
}
