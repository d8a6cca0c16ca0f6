//! From a message to an outcome, by a real worker behind a real broker: every kind of file that customers send.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::ledger::Outcome;
use crate::support::oracle::{codecs, decoded_ms, facts};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, event_from, fixture, letter, sha256, sha256_base64};
use crate::support::worker::Worker;

/// One worker for all of them: what one file does to it must not matter to the next.
static WORLD: LazyLock<Option<(Rig, Worker)>> = LazyLock::new(|| {
    let mut rig = Rig::new(calm()?);
    rig.set("LIMITS_INPUT_BYTES", 1_000_000);
    let worker = rig.worker();
    Some((rig, worker))
});

fn rig() -> Option<&'static Rig> {
    WORLD.as_ref().map(|(rig, _)| rig)
}

fn ask(rig: &Rig, event: &Value) -> Outcome {
    rig.bus.publish(&letter(event));
    rig.bus.ledger().wait(event["data"]["media_id"].as_str().expect("an id"), SOON)
}

#[track_caller]
fn assert_rejected(outcome: &Outcome, code: &str) {
    assert_eq!((outcome.word.as_str(), outcome.code()), ("rejected", code), "{:#}", outcome.event);
    assert_eq!(outcome.routing_key, "media.rejected");
}

#[test]
fn a_voice_note_becomes_an_mp3_with_its_peaks_in_the_event() {
    let Some(rig) = rig() else { return };
    let outcome = rig.outcome("voice", &fixture("voice-note.ogg"));
    assert_eq!(outcome.routing_key, "media.normalized.audio");
    assert_eq!(outcome.content_type.as_deref(), Some("application/cloudevents+json"));
    let playback = rig.vouch(&outcome).expect("something that plays");
    assert_eq!(codecs(&facts(&playback)), ["mp3"]);
    let claimed = outcome.data()["original"]["duration_ms"].as_u64().expect("a duration");
    assert!(decoded_ms(&playback).abs_diff(claimed) < 50, "{claimed} is not {}", decoded_ms(&playback));
    let peaks = &outcome.data()["peaks"];
    assert_eq!((&peaks["version"], &peaks["bits"]), (&json!(2), &json!(8)));
    assert_eq!(
        peaks["data"].as_array().map(Vec::len),
        peaks["length"].as_u64().and_then(|pairs| usize::try_from(2 * pairs).ok())
    );
    let roles: Vec<&Value> = outcome.data()["assets"].as_array().expect("assets").iter().map(|a| &a["role"]).collect();
    assert_eq!(roles, ["playback", "original"], "the manifest is the third object");
    let folder = outcome.asset("original")["key"].as_str().expect("a key").split('/').take(2).collect::<Vec<_>>();
    let manifest: Value = serde_json::from_slice(&rig.object(&format!("{}/manifest.json", folder.join("/"))))
        .expect("the manifest is JSON");
    assert_eq!(&manifest["data"]["peaks"], peaks);
    assert_eq!(outcome.data()["cause"], "ask-voice");
    assert_eq!(outcome.data()["worker"]["sandbox"]["mode"], "required");
}

#[test]
fn a_phone_video_becomes_an_upright_mp4_with_a_thumbnail() {
    let Some(rig) = rig() else { return };
    let outcome = rig.outcome("video", &fixture("phone-portrait.mp4"));
    assert_eq!(outcome.routing_key, "media.normalized.video");
    let playback = facts(&rig.vouch(&outcome).expect("something that plays"));
    assert_eq!(codecs(&playback), ["h264", "aac"]);
    let picture = &playback["streams"][0];
    assert!(picture["height"].as_u64() > picture["width"].as_u64(), "{picture:#}");
    assert_eq!(picture["pix_fmt"], "yuv420p");
    assert_eq!(outcome.asset("thumbnail")["mime_type"], "image/jpeg");
}

#[test]
fn an_image_keeps_its_original_and_gains_a_thumbnail() {
    let Some(rig) = rig() else { return };
    let path = fixture("photo-exif.jpg");
    let outcome = rig.outcome("image", &path);
    assert_eq!(outcome.routing_key, "media.normalized.image");
    assert!(rig.vouch(&outcome).is_none());
    assert_eq!(outcome.data()["decision"]["action"], "kept-original");
    let original = rig.object(outcome.asset("original")["key"].as_str().expect("a key"));
    assert_eq!(original, std::fs::read(path).expect("a fixture"));
    assert_eq!(outcome.asset("thumbnail")["mime_type"], "image/jpeg");
}

#[test]
fn a_document_is_kept_with_its_facts() {
    let Some(rig) = rig() else { return };
    let outcome = rig.outcome("document", &fixture("invoice.pdf"));
    assert_eq!(outcome.routing_key, "media.normalized.document");
    assert!(rig.vouch(&outcome).is_none());
    assert_eq!(outcome.data()["original"]["mime_type"], "application/pdf");
}

#[test]
fn garbage_is_rejected_and_nothing_but_its_original_is_stored() {
    let Some(rig) = rig() else { return };
    let outcome = rig.outcome("garbage", &fixture("garbage.bin"));
    assert_rejected(&outcome, "media.unsupported");
    let original = outcome.data()["original"]["key"].as_str().expect("a key");
    let folder = original.rsplit('/').nth(1).expect("a folder").to_owned();
    let entries = std::fs::read_dir(rig.dir.path().join("store/acme/garbage")).expect("a folder").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, [folder, "manifest.json".to_owned()]);
}

#[test]
fn a_wrong_checksum_is_rejected_and_a_right_one_is_taken_in_hex_and_base64() {
    let Some(rig) = rig() else { return };
    let path = fixture("note.txt");
    let bytes = std::fs::read(&path).expect("a fixture");
    let declaring = |media_id: &str, declared: Value| {
        let mut event = event(media_id, &path);
        event["data"]["declared"] = declared;
        ask(rig, &event)
    };
    assert_rejected(&declaring("hash-wrong", json!({ "sha256": sha256(b"other") })), "source.hash-mismatch");
    assert_rejected(&declaring("size-wrong", json!({ "size_bytes": bytes.len() + 1 })), "source.size-mismatch");
    rig.vouch(&declaring("hash-hex", json!({ "sha256": sha256(&bytes), "size_bytes": bytes.len() })));
    rig.vouch(&declaring("hash-base64", json!({ "sha256": sha256_base64(&bytes) })));
}

#[test]
fn a_file_above_the_limit_is_rejected() {
    let Some(rig) = rig() else { return };
    let path = rig.file("oversize.bin", &vec![0; 1_000_001]);
    assert_rejected(&rig.outcome("oversize", &path), "media.limit-bytes");
}

#[test]
fn files_outside_of_the_roots_are_denied() {
    let Some(rig) = rig() else { return };
    assert_rejected(&rig.outcome("outside", Path::new("/etc/hostname")), "source.denied");
}

#[test]
fn addresses_inside_of_the_network_are_denied() {
    let Some(rig) = rig() else { return };
    for (n, url) in
        ["https://127.0.0.1/x", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/x"].into_iter().enumerate()
    {
        let outcome = ask(rig, &event_from(&format!("inside-{n}"), json!({ "kind": "http", "url": url })));
        assert_rejected(&outcome, "source.denied");
    }
}

#[test]
fn a_profile_that_does_not_exist_is_the_senders_mistake() {
    let Some(rig) = rig() else { return };
    let mut event = event("no-profile", &fixture("note.txt"));
    event["data"]["profile"] = json!("no-such-profile");
    assert_rejected(&ask(rig, &event), "event.profile");
}

#[test]
fn what_the_sender_adds_is_echoed() {
    let Some(rig) = rig() else { return };
    let mut event = event("echo", &fixture("note.txt"));
    event["novel"] = json!([1]);
    event["data"]["novel"] = json!({ "a": [1, 2] });
    event["data"]["message"] = json!({ "channel": "whatsapp", "of_their_own": { "b": null } });
    event["data"]["privacy"] = json!({ "consent": "granted", "basis": "contract" });
    event["data"]["tags"] = json!(["support", "ü"]);
    event["data"]["context"] = json!([1, { "c": 1.5 }]);
    let outcome = ask(rig, &event);
    assert_eq!(outcome.word, "normalized", "{:#}", outcome.event);
    for field in ["message", "privacy", "tags", "context"] {
        assert_eq!(outcome.data()[field], event["data"][field], "{field}");
    }
}
