//! Every fixture through `normalize`, once, and what came out of it.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use super::{asset, fixtures, line_of, normalize};
use crate::support::cmd::Dir;
use crate::support::oracle;

/// File, kind, action, codecs of the playback asset; for a rejected one its code instead of kind and action.
const EXPECTED: &[(&str, &str, &str, &[&str])] = &[
    ("animation.gif", "video", "encoded", &["h264"]),
    ("browser.webm", "video", "encoded", &["h264", "aac"]),
    ("conforming.mp4", "video", "copied", &["h264", "aac"]),
    ("contact.vcf", "document", "kept-original", &[]),
    ("dictation.wav", "audio", "encoded", &["mp3"]),
    ("flash-beep.mkv", "video", "remuxed", &["h264", "aac"]),
    ("garbage.bin", "rejected", "media.unsupported", &[]),
    ("hdr-hlg.mov", "video", "encoded", &["h264", "aac"]),
    ("invoice.pdf", "document", "kept-original", &[]),
    ("letter.docx", "document", "kept-original", &[]),
    ("memo.m4a", "audio", "encoded", &["mp3"]),
    ("music.mp3", "audio", "encoded", &["mp3"]),
    ("note.txt", "document", "kept-original", &[]),
    ("phone-portrait.mp4", "video", "encoded", &["h264", "aac"]),
    ("photo-exif.jpg", "image", "kept-original", &[]),
    ("picture.png", "image", "kept-original", &[]),
    ("picture.webp", "image", "kept-original", &[]),
    ("remux.mkv", "video", "remuxed", &["h264", "aac"]),
    ("silent-loop.mp4", "video", "copied", &["h264"]),
    ("speech.mp3", "audio", "copied", &["mp3"]),
    ("sticker.webp", "image", "kept-original", &[]),
    ("truncated.mp4", "rejected", "media.unreadable", &[]),
    ("voice-amr.3gp", "audio", "encoded", &["mp3"]),
    ("voice-amr.amr", "audio", "encoded", &["mp3"]),
    ("voice-note.ogg", "audio", "encoded", &["mp3"]),
];

struct Shared {
    dir: Dir,
    lines: Vec<Value>,
}

/// One run for all tests of this file.
fn run() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let dir = Dir::new();
        let run = normalize(&dir, &[&fixtures()], &[]).exits(3);
        assert_eq!(run.stderr, "", "JSON goes to standard output, and nothing else is said");
        Shared { dir, lines: run.json_lines() }
    })
}

/// Where the results are, and a line about each file.
pub fn results() -> (std::path::PathBuf, &'static [Value]) {
    (out(), &run().lines)
}

fn out() -> std::path::PathBuf {
    run().dir.path().join("out")
}

#[test]
fn every_fixture_ends_as_expected() {
    let Shared { lines, .. } = run();
    assert_eq!(lines.len(), EXPECTED.len());
    let mut differences = Vec::new();
    for (name, kind, action, _) in EXPECTED {
        let line = line_of(lines, name);
        let found = match line["outcome"].as_str() {
            Some("normalized") => [line["kind"].as_str(), line["decision"]["action"].as_str()],
            outcome => [outcome, line["code"].as_str()],
        };
        if found != [Some(*kind), Some(*action)] {
            differences.push(format!("{name}: {found:?} instead of {kind} {action}: {}", line["decision"]["reasons"]));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_playable_output_is_what_the_event_says_and_decodes_without_an_error() {
    let (mut played, mut wrong) = (0, Vec::new());
    for (name, _, _, codecs) in EXPECTED.iter().filter(|(_, _, _, codecs)| !codecs.is_empty()) {
        let line = line_of(&run().lines, name);
        let (path, playback) = asset(&out(), line, "playback").unwrap_or_else(|| panic!("{name}: no playback asset"));
        let facts = oracle::facts(&path);
        assert_eq!(oracle::codecs(&facts), *codecs, "{name}");
        assert_eq!(serde_json::json!(codecs), playback["codecs"], "{name}");
        if let Some(video) =
            facts["streams"].as_array().and_then(|streams| streams.iter().find(|s| s["width"].is_u64()))
        {
            let turned =
                video["side_data_list"].as_array().and_then(|list| list.iter().find_map(|d| d["rotation"].as_i64()));
            let (width, height) = (video["width"].clone(), video["height"].clone());
            let shown =
                if turned.is_some_and(|degrees| degrees % 180 != 0) { (height, width) } else { (width, height) };
            assert_eq!(shown, (playback["width"].clone(), playback["height"].clone()), "{name}");
        }
        wrong.extend(oracle::decodes(&path).err().map(|error| format!("{name}: {error}")));
        played += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(played, 15);
}

#[test]
fn lengths_are_those_of_the_decoded_sound() {
    for (name, heard) in [
        ("voice-note.ogg", "voice-note.ogg"),
        // ffmpeg leaves out the pauses that AMR does not send; the WAV is of the same speech.
        ("voice-amr.amr", "dictation.wav"),
        ("voice-amr.3gp", "dictation.wav"),
        ("memo.m4a", "memo.m4a"),
        ("music.mp3", "music.mp3"),
        ("speech.mp3", "speech.mp3"),
        ("dictation.wav", "dictation.wav"),
    ] {
        let line = line_of(&run().lines, name);
        let original = oracle::decoded_ms(&fixtures().join(heard));
        let (path, playback) = asset(&out(), line, "playback").expect("a playback asset");
        for said in [&line["original"]["duration_ms"], &playback["duration_ms"]] {
            let said = said.as_u64().expect("a length");
            assert!(said.abs_diff(original) <= 50, "{name}: {said} ms, decoded {original} ms");
        }
        let made = oracle::decoded_ms(&path);
        assert!(made.abs_diff(original) <= 50, "{name}: the output has {made} ms, the original {original} ms");
    }
}

#[test]
fn every_asset_is_there_with_its_size_and_sum() {
    use sha2::{Digest, Sha256};
    for line in run().lines.iter().filter(|line| line["outcome"] == "normalized") {
        for asset in line["assets"].as_array().expect("assets") {
            let path = out().join(asset["key"].as_str().expect("a key"));
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(Some(bytes.len() as u64), asset["size_bytes"].as_u64(), "{}", path.display());
            assert_eq!(Some(hex::encode(Sha256::digest(&bytes)).as_str()), asset["sha256"].as_str());
        }
        assert!(line["original"]["key"].is_string(), "the default profile keeps originals");
    }
}

#[test]
fn no_owner_and_no_place_is_in_any_output_but_the_original() {
    for line in &run().lines {
        let original = line["original"]["key"].as_str();
        for asset in line["assets"].as_array().into_iter().flatten().filter(|asset| asset["key"].as_str() != original) {
            let key = asset["key"].as_str().expect("a key");
            let bytes = std::fs::read(out().join(key)).expect("readable");
            for secret in ["Ada Fixture", "52.3702", "Phonemaker"] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{key} says {secret:?}");
            }
        }
    }
}

#[test]
fn the_gallery_needs_nothing_but_the_files_beside_it() {
    let page = std::fs::read_to_string(out().join("index.html")).expect("a gallery");
    for (name, ..) in EXPECTED {
        assert!(page.contains(&format!("<h2>{name}</h2>")), "{name} is missing");
    }
    assert_eq!(page.matches("<article").count(), EXPECTED.len());
    assert!(page.contains("media.unreadable") && page.contains("media.unsupported"));
    let mut links = 0;
    for address in ["href=\"", "src=\"", "poster=\""].iter().flat_map(|name| page.split(name).skip(1)) {
        let address = address.split('"').next().expect("an end");
        let path = percent_encoding::percent_decode_str(address).decode_utf8().expect("UTF-8");
        assert!(!path.contains("://") && !path.starts_with('/'), "{address} leads away");
        assert!(out().join(Path::new(&*path)).is_file(), "{address} leads nowhere");
        links += 1;
    }
    assert!(links > 60, "{links} links");
    assert!(!page.contains("@import") && !page.contains("url("), "styles load nothing");
}

#[test]
fn the_manifest_is_the_event() {
    let line = line_of(&run().lines, "voice-note.ogg");
    let id = line["media_id"].as_str().expect("an id");
    let manifest = std::fs::read(out().join("local").join(id).join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["data"]["assets"], line["assets"]);
    assert_eq!(manifest["data"]["decision"], line["decision"]);
}
