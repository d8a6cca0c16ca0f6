//! One media and many requests: which outcome answers which, under which id, and which objects stay.

use serde_json::{Value, json};

use crate::support::ledger::Outcome;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, fixture, letter, sha256};

/// A request of its own for a media: another event id, and whatever `change` puts into its data.
fn request(media_id: &str, id: &str, file: &str, change: Value) -> Value {
    let mut event = event(media_id, &fixture(file));
    event["id"] = json!(id);
    if let (Some(data), Value::Object(change)) = (event["data"].as_object_mut(), change) {
        data.extend(change);
    }
    event
}

/// Publishes it and waits for the outcome that names it as its cause and was not there before.
#[track_caller]
fn answer(rig: &Rig, request: &Value) -> Outcome {
    let media_id = request["data"]["media_id"].as_str().expect("an id");
    let before = rig.bus.ledger().of(media_id).len();
    rig.bus.publish(&letter(request));
    let outcome = rig.bus.ledger().wait_for(media_id, before + 1, SOON).remove(before);
    assert_eq!(outcome.data()["cause"], request["id"], "{:#}", outcome.event);
    outcome
}

fn manifest(rig: &Rig, media_id: &str) -> Value {
    serde_json::from_slice(&rig.object(&format!("acme/{media_id}/manifest.json"))).expect("JSON")
}

fn is(outcome: &Outcome, word: &str, code: &str) {
    let found = outcome.data()["code"].as_str().unwrap_or_default();
    assert_eq!((outcome.word.as_str(), found), (word, code), "{:#}", outcome.event);
}

#[test]
fn a_second_request_is_answered_with_its_own_cause_and_echoes() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let echoes = json!({ "context": { "deal": 1 }, "tags": ["a"], "privacy": { "consent": "granted" } });
    let first = answer(&rig, &request("m", "one", "note.txt", echoes));
    let own = json!({
        "context": { "deal": 2 }, "message": { "contact_id": "c" }, "privacy": { "consent": "withdrawn" },
        "origin": { "kind": "file", "path": "/nowhere/any-more" }, "declared": { "file_name": "renamed.txt" },
    });
    let second = answer(&rig, &request("m", "two", "note.txt", own));
    let (a, b) = (first.data(), second.data());
    assert_ne!(first.id(), second.id());
    assert_eq!(
        (first.event["time"].clone(), &a["timings_ms"], &a["assets"]),
        (second.event["time"].clone(), &b["timings_ms"], &b["assets"])
    );
    assert_eq!(
        (&b["context"], &b["message"], b.get("tags")),
        (&json!({ "deal": 2 }), &json!({ "contact_id": "c" }), None)
    );
    assert_eq!((&b["privacy"]["consent"], &b["original"]["file_name"]), (&json!("withdrawn"), &json!("renamed.txt")));
    // Each of the two is repeated word by word.
    for (id, before, change) in [("one", &first, json!({})), ("two", &second, json!({ "context": { "deal": 2 } }))] {
        let change = if id == "two" { second_request_of(&second, change) } else { change };
        let again = answer(&rig, &request("m", id, "note.txt", change));
        assert_eq!((again.id(), again.data()), (before.id(), before.data()));
    }
    worker.stops();
}

/// What the second request of the test above had in it, so that it is the same event again.
fn second_request_of(outcome: &Outcome, mut change: Value) -> Value {
    for name in ["message", "privacy"] {
        change[name] = outcome.data()[name].clone();
    }
    change["declared"] = json!({ "file_name": "renamed.txt" });
    change
}

#[test]
fn other_bytes_than_the_medias_are_refused_by_what_was_declared_of_them() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let bytes = std::fs::read(fixture("note.txt")).expect("a fixture");
    let first = answer(&rig, &request("m", "one", "note.txt", json!({})));
    for (n, declared) in
        [json!({ "sha256": sha256(b"other") }), json!({ "size_bytes": bytes.len() + 1 })].iter().enumerate()
    {
        for change in [json!({}), json!({ "renormalize": true }), json!({ "profile": "voice" })] {
            let mut change = change;
            change["declared"] = declared.clone();
            let id = format!("other-{n}-{change}");
            is(&answer(&rig, &request("m", &id, "memo.m4a", change)), "rejected", "event.media-id-reused");
        }
    }
    let same = json!({ "declared": { "sha256": sha256(&bytes), "size_bytes": bytes.len() } });
    let again = answer(&rig, &request("m", "same", "note.txt", same));
    assert_eq!(again.data()["assets"], first.data()["assets"]);
    worker.stops();
}

#[test]
fn another_profile_makes_a_revision_and_every_request_keeps_its_own() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let first = answer(&rig, &request("m", "one", "voice-note.ogg", json!({ "profile": "archive" })));
    // The origin is gone by now: the kept original is what it is made of.
    let gone = json!({ "kind": "file", "path": "/nowhere/any-more" });
    let second = answer(&rig, &request("m", "two", "voice-note.ogg", json!({ "profile": "voice", "origin": gone })));
    let third =
        answer(&rig, &request("m", "three", "voice-note.ogg", json!({ "profile": "voice", "renormalize": true })));
    for (n, (outcome, profile)) in [(&first, "archive"), (&second, "voice"), (&third, "voice")].iter().enumerate() {
        let data = outcome.data();
        assert_eq!((&data["revision"], &data["decision"]["profile"]), (&json!(n + 1), &json!(profile)));
        rig.vouch(outcome);
    }
    assert_ne!(first.asset("playback")["sha256"], second.asset("playback")["sha256"]);
    assert_eq!(second.asset("playback")["key"], third.asset("playback")["key"], "the same bytes have one key");
    for (id, profile, outcome) in [("one", "archive", &first), ("two", "voice", &second), ("three", "voice", &third)] {
        let again = answer(
            &rig,
            &request("m", id, "voice-note.ogg", json!({ "profile": profile, "renormalize": id == "three" })),
        );
        assert_eq!((again.id(), again.data()), (outcome.id(), outcome.data()));
    }
    let revisions = manifest(&rig, "m")["revisions"].clone();
    let row = |n: usize| {
        [&revisions[n]["number"], &revisions[n]["cause"], &revisions[n]["profile"], &revisions[n]["event_id"]]
            .map(Value::clone)
    };
    for (n, (cause, profile, outcome)) in
        [("one", "archive", &first), ("two", "voice", &second), ("three", "voice", &third)].iter().enumerate()
    {
        assert_eq!(row(n), [json!(n + 1), json!(cause), json!(profile), json!(outcome.id())]);
    }
    worker.stops();
}

#[test]
fn a_renormalize_that_fails_leaves_what_stands() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    answer(&rig, &request("m", "one", "voice-note.ogg", json!({})));
    let before = manifest(&rig, "m");
    // Without the kept original its origin is asked, and that has another file by now.
    let original = before["data"]["original"]["key"].as_str().expect("a key").to_owned();
    std::fs::remove_file(rig.dir.path().join("store").join(original)).expect("removed");
    let change = json!({ "renormalize": true });
    is(&answer(&rig, &request("m", "two", "truncated.mp4", change)), "rejected", "event.media-id-reused");
    let change = json!({ "renormalize": true, "origin": { "kind": "file", "path": fixture("voice-note.ogg").with_extension("gone") } });
    is(&answer(&rig, &request("m", "three", "voice-note.ogg", change)), "rejected", "source.not-found");
    assert_eq!(manifest(&rig, "m"), before);
    worker.stops();
}

#[test]
fn the_original_of_a_rejected_media_is_kept_named_and_tried_again() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    for (media_id, file, code, name, mime_type) in [
        ("cut", "truncated.mp4", "media.unreadable", "original.mp4", "video/mp4"),
        ("noise", "garbage.bin", "media.unsupported", "original.bin", "application/octet-stream"),
    ] {
        let bytes = std::fs::read(fixture(file)).expect("a fixture");
        let declared = json!({ "declared": { "file_name": file, "mime_type": "video/mp4" } });
        let first = answer(&rig, &request(media_id, "one", file, declared));
        is(&first, "rejected", code);
        let original = &first.data()["original"];
        let key = original["key"].as_str().expect("a key");
        assert_eq!(rig.object(key), bytes);
        assert!(key.ends_with(name), "{key}");
        assert_eq!(original["mime_type"], mime_type);
        assert_eq!((&original["sha256"], &original["size_bytes"]), (&json!(sha256(&bytes)), &json!(bytes.len())));
        assert_eq!((&original["file_name"], &original["declared_mime_type"]), (&json!(file), &json!("video/mp4")));
        let kept = manifest(&rig, media_id);
        assert_eq!((&kept["state"], &kept["data"]), (&json!("rejected"), first.data()));
        // The same request is answered from it; its channel has forgotten the file by now.
        let gone = json!({ "origin": { "kind": "file", "path": "/nowhere/any-more" } });
        let again = answer(&rig, &request(media_id, "one", file, gone.clone()));
        assert_eq!((again.id(), again.data(), &again.event["time"]), (first.id(), first.data(), &first.event["time"]));
        // Another one tries again, with what is kept where the origin is gone, and is a rejection of its own.
        let other = answer(&rig, &request(media_id, "two", file, gone));
        is(&other, "rejected", code);
        assert_ne!(other.id(), first.id());
        assert_eq!((&other.data()["revision"], &other.data()["original"]["key"]), (&json!(2), &original["key"]));
    }
    // A good file in place of a broken one is normalized.
    let good = answer(&rig, &request("cut", "three", "conforming.mp4", json!({})));
    assert_eq!((good.word.as_str(), &good.data()["revision"]), ("normalized", &json!(3)), "{:#}", good.event);
    rig.vouch(&good);
    assert!(manifest(&rig, "cut")["state"] == "normalized");
    worker.stops();
}

#[test]
fn a_profile_that_keeps_no_originals_keeps_none_of_rejected_media() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let profile =
        std::fs::read_to_string(crate::support::cmd::repo_file("src/config/profiles/voice.toml")).expect("a profile");
    let forgetful = profile
        .replace("name = \"voice\"", "name = \"forgetful\"")
        .replace("keep_original = true", "keep_original = false");
    let folder = rig.dir.path().join("profiles");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("forgetful.toml"), forgetful).expect("a profile");
    rig.set("WORKER_PROFILES_DIR", folder.display());
    let worker = rig.worker();
    let outcome = answer(&rig, &request("m", "one", "garbage.bin", json!({ "profile": "forgetful" })));
    is(&outcome, "rejected", "media.unsupported");
    assert_eq!((outcome.data().get("original"), outcome.data().get("revision")), (None, None));
    assert!(!rig.dir.path().join("store/acme/m").exists());
    worker.stops();
}

#[test]
fn two_rejections_of_one_media_have_two_ids() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let gone = json!({ "origin": { "kind": "file", "path": fixture("note.txt").with_extension("gone") } });
    let first = answer(&rig, &request("m", "one", "note.txt", gone.clone()));
    is(&first, "rejected", "source.not-found");
    let second = answer(&rig, &request("m", "two", "garbage.bin", json!({})));
    is(&second, "rejected", "media.unsupported");
    let third = answer(&rig, &request("n", "three", "note.txt", gone.clone()));
    let fourth = answer(&rig, &request("n", "three", "note.txt", gone));
    assert_ne!(first.id(), second.id());
    assert_eq!(third.id(), fourth.id(), "the same request, the same rejection");
    worker.stops();
}

#[test]
fn two_workers_on_one_media_never_write_different_bytes_to_one_key() {
    let Some(rabbit) = calm() else { return };
    // One and two threads for each codec, whose films have different bytes.
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SLOTS", 1);
    let many_threads = rig.worker();
    rig.set("WORKER_SLOTS", 16);
    let one_thread = rig.worker();
    for n in 0..4 {
        let media_id = format!("film-{n}");
        let requests = ["a", "b"].map(|id| request(&media_id, id, "flash-beep.mkv", json!({})));
        requests.iter().for_each(|request| rig.bus.publish(&letter(request)));
        let outcomes = rig.bus.ledger().wait_for(&media_id, 2, SOON);
        assert_eq!(outcomes[0].data()["assets"], outcomes[1].data()["assets"], "one outcome holds for both");
        outcomes.iter().for_each(|outcome| drop(rig.vouch(outcome)));
        let folder = rig.dir.path().join("store/acme").join(&media_id);
        for entry in std::fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_dir()) {
            for object in std::fs::read_dir(entry.path()).expect("a folder").flatten() {
                let bytes = std::fs::read(object.path()).expect("an object");
                assert_eq!(sha256(&bytes)[..32], *entry.file_name().to_string_lossy(), "{:?}", object.path());
            }
        }
    }
    one_thread.stops();
    many_threads.stops();
}
