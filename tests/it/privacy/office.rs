//! What the role does with events, and what a sweep finds.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use lapin::BasicProperties;
use serde_json::{Value, json};

use super::steps::{normalized, world};
use super::world::{ask, fed, files, known, message, objects, sent, state};
use crate::support::bus::Letter;
use crate::support::cmd::{Dir, Run};
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON};

/// Publishes an event of a person's.
fn publish(rig: &Rig, id: &str, what: &str, data: &Value) {
    let (family, key) = if what == "revoked" { ("message", "message.revoked") } else { ("privacy", what) };
    let routing_key = if family == "message" { key.to_owned() } else { format!("privacy.{what}") };
    let event = json!({
        "specversion": "1.0", "id": id, "source": "tests", "type": format!("mediamill.{family}.{what}.v1"),
        "time": jiff::Timestamp::now().to_string(), "data": data,
    });
    let properties = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    rig.bus.publish(&Letter { routing_key, properties, body: event.to_string().into_bytes() });
}

#[test]
fn events_of_consent_erase_hold_and_revoke_are_acted_upon_once() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    known(&mut rig);
    rig.set("TENANTS__ACME__REVOKE_ERASES", "true");
    rig.set("PRIVACY_CACHE_S", "0");
    let worker = rig.worker();
    let office = rig.worker_of(rig.command(&["privacy"]));
    let store = rig.dir.path().join("store");
    let phone = |n: usize| format!("+155501{n:02}");
    for n in 0..5 {
        ask(&rig, &sent(&format!("m{n}"), message(&phone(n), &format!("c{n}"))));
    }
    rig.bus.ledger().wait_for_files(5, SOON);
    let is_erased = |n: usize| objects(&store, &format!("m{n}")) == ["manifest.json"];
    let contact = |n: usize| json!({ "phone": phone(n) });
    let now = jiff::Timestamp::now().to_string();

    publish(&rig, "erase-0", "erase", &json!({ "tenant": "acme", "contact": contact(0), "reason": "gdpr-17" }));
    publish(&rig, "erase-0", "erase", &json!({ "tenant": "acme", "contact": contact(0), "reason": "gdpr-17" }));
    let withdrawn = json!({
        "tenant": "acme", "contact": contact(1), "purposes": ["store"], "status": "withdrawn", "decided_at": now,
    });
    publish(&rig, "consent-1", "consent", &withdrawn);
    let revoked = json!({ "tenant": "acme", "media_id": "m2", "message": { "message_id": "wamid.x" } });
    publish(&rig, "revoke-2", "revoked", &revoked);
    // An older word that comes later.
    let mut granted = withdrawn.clone();
    (granted["status"], granted["decided_at"]) = (json!("granted"), json!("2026-01-01T00:00:00Z"));
    publish(&rig, "consent-1-old", "consent", &granted);
    let hold = |held: bool| json!({ "tenant": "acme", "case_id": "case-7", "held": held, "contact": contact(3) });
    publish(&rig, "hold-3", "hold", &hold(true));
    wait_until("three erasures", || (0..3).all(is_erased));
    wait_until("the hold", || {
        files(&store.join(".catalog/contacts"))
            .iter()
            .any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("case-7")))
    });
    publish(&rig, "erase-3", "erase", &json!({ "tenant": "acme", "contact": contact(3) }));
    let certificates = || files(&store.join(".catalog/certificates")).len();
    wait_until("a certificate with a refusal", || certificates() == 4);
    assert!(!is_erased(3));
    publish(&rig, "lift-3", "hold", &hold(false));
    wait_until("the erasure that was refused", || is_erased(3));
    assert_eq!(state(&store, "m4"), "normalized");

    let again = sent("again", message(&phone(1), "again"));
    ask(&rig, &again);
    assert_eq!(rig.bus.ledger().wait("again", SOON).code(), "privacy.denied", "the later word counts");
    publish(&rig, "nobody", "erase", &json!({ "tenant": "acme" }));
    wait_until("a dead letter", || rig.bus.depth("privacy.dead").ready == 1);
    let dead = rig.bus.take_all("privacy.dead").remove(0);
    assert_eq!(dead.header("x-mediamill-code").as_deref(), Some("event.invalid"));
    wait_until("the last certificate", || certificates() == 5);
    let log = office.stops();
    assert!((0..5).all(|n| !log.contains(&phone(n)[1..])), "no number is in the log");
    worker.stops();
}

/// Has a media's time be over.
fn expire(store: &Path, media_id: &str) {
    let path = store.join("acme").join(media_id).join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["data"]["expires_at"] = json!("2026-11-23T00:00:00Z");
    std::fs::write(path, manifest.to_string()).expect("written");
}

fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(25 * 3600);
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(then)).expect("older");
}

#[test]
fn a_sweep_removes_what_is_overdue_and_what_nobody_names() {
    let dir = Dir::new();
    let (_, command) = world(&dir);
    let store = dir.path().join("store");
    for media_id in ["due", "fresh", "old", "gone"] {
        normalized(&store, media_id, "+15550100", "a caption");
        let address = store.join("acme").join(media_id).join("d".repeat(32));
        std::fs::create_dir_all(&address).expect("a folder");
        std::fs::write(address.join("audio.mp3"), "x").expect("written");
    }
    expire(&store, "due");
    age(&store.join("acme/old").join("d".repeat(32)).join("audio.mp3"));
    fed(command(&["erase", "--tenant", "acme", "--media-id", "gone", "--offline"]), "").exits(0);
    let late = store.join("acme/gone").join("e".repeat(32));
    std::fs::create_dir_all(&late).expect("a folder");
    std::fs::write(late.join("audio.mp3"), "x").expect("written");

    // As a worker of a version that knows no marks would leave it.
    fed(command(&["erase", "--tenant", "acme", "--offline"]), "phone=+15550109\n").exits(0);
    normalized(&store, "back", "+15550109", "a caption");

    let swept = Run::of(&mut command(&["sweep", "--offline"])).exits(0).stdout;
    assert!(swept.starts_with("5 media; 2 overdue, 0 of them held, 0 erased\n"), "{swept}");
    assert!(swept.contains("1 objects that no manifest names, 1 beside tombstones"), "{swept}");
    assert_eq!((objects(&store, "due").len(), objects(&store, "gone").len()), (4, 2), "nothing was removed");
    let swept = Run::of(&mut command(&["sweep", "--offline", "--remove"])).exits(0).stdout;
    assert!(swept.contains("0 of them held, 2 erased"), "{swept}");
    assert_eq!((objects(&store, "due"), objects(&store, "gone").len()), (vec!["manifest.json".to_owned()], 1));
    assert_eq!(objects(&store, "back"), ["manifest.json"]);
    assert_eq!((objects(&store, "fresh").len(), objects(&store, "old").len()), (4, 3), "what is young stays");
    let swept = Run::of(&mut command(&["sweep", "--offline", "--remove"])).exits(0).stdout;
    assert!(swept.starts_with("5 media; 0 overdue, 0 of them held, 0 erased\n0 objects"), "{swept}");
}

#[test]
fn a_person_is_told_what_is_held_and_gets_a_copy_that_opens_elsewhere() {
    let dir = Dir::new();
    let (_, command) = world(&dir);
    let store = dir.path().join("store");
    for (media_id, phone) in [("mine-1", "+15550100"), ("mine-2", "+15550100"), ("other", "+15550101")] {
        normalized(&store, media_id, phone, &format!("caption of {media_id}"));
    }
    let zip = dir.path().join("copy.zip").display().to_string();
    let run = fed(command(&["subject", "--tenant", "acme", "--export", &zip]), "phone=+1 555 0100\n").exits(0);
    let index: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let ids: Vec<&str> =
        index["media"].as_array().expect("media").iter().filter_map(|media| media["media_id"].as_str()).collect();
    assert_eq!(ids, ["mine-1", "mine-2"]);
    assert_eq!(index["media"][0]["message"]["caption"], "caption of mine-1");
    let out = dir.path().join("out");
    let opened = Run::of(Command::new("python3").args(["-m", "zipfile", "-e", &zip]).arg(&out));
    opened.exits(0);
    let mut names: Vec<String> =
        files(&out).iter().map(|path| path.strip_prefix(&out).expect("below it").display().to_string()).collect();
    names.sort_unstable();
    let of =
        |media: &str| ["ab/original.pdf", "ab/orphan", "manifest.json"].map(|name| format!("media/{media}/{name}"));
    let expected = [&["README.txt".to_owned(), "index.json".to_owned()][..], &of("mine-1"), &of("mine-2")].concat();
    assert_eq!(names, expected);
    let same = |name: &str| {
        std::fs::read(out.join("media").join(name)).ok() == std::fs::read(store.join("acme").join(name)).ok()
    };
    assert!(same("mine-1/manifest.json") && same("mine-2/ab/original.pdf"));
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let again = fed(command(&["subject", "--tenant", "acme"]), "phone=+15550100\n").exits(0);
    let index: Value = serde_json::from_str(&again.stdout).expect("JSON");
    let actions: Vec<&str> =
        index["audit"].as_array().expect("entries").iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["subject"], "who asked is known");
    fed(command(&["subject", "--tenant", "acme", "--export", &zip]), "phone=+15550100\n").exits(1);
}
