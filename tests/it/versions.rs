//! Older and newer versions at the same queues: what integrators rely on stays, and neither worker undoes the other's work.
//!
//! `tests/schemas` has the schemas as they were first published. A field that is added later need not be added there.

use serde_json::{Map, Value, json};

use crate::support::cmd::{Dir, repo_file};
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::{Rig, SOON, event, fixture, letter};

#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Written by others: what was valid stays valid.
    In,
    /// Read by others: what was there stays there.
    Out,
}

/// Where `new` breaks what `old` promised.
fn broken(at: &str, old: &Value, new: &Value, way: Way) -> Vec<String> {
    let different = || vec![format!("{at}: {old} has become {new}")];
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let own = |name: &&String| !["title", "description", "$schema"].contains(&name.as_str());
            let added = |name: &&String| !old.contains_key(*name) && own(name) && *name != "properties";
            let is_names = ["properties", "$defs"].iter().any(|names| at.ends_with(names));
            let news = new.keys().filter(added).filter(|_| !is_names).map(|name| format!("{at}: {name} is new"));
            news.chain(
                old.iter()
                    .filter(|(name, _)| own(name) || is_names)
                    .flat_map(|(name, old)| member(&format!("{at}/{name}"), name, old, new, way)),
            )
            .collect()
        }
        (Value::Array(was), Value::Array(is)) if at.ends_with("/required") => {
            let missing = |some: &[Value], of: &[Value]| some.iter().any(|name| !of.contains(name));
            let breaks = if way == Way::In { missing(is, was) } else { missing(was, is) };
            if breaks { different() } else { Vec::new() }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            let pairs = was.iter().zip(is).enumerate();
            pairs.flat_map(|(n, (old, new))| broken(&format!("{at}/{n}"), old, new, way)).collect()
        }
        // What others may write becomes more: each way that there was is still there, in its place.
        (Value::Array(was), Value::Array(is)) if at.ends_with("/oneOf") && way == Way::In && was.len() < is.len() => {
            let pairs = was.iter().zip(is).enumerate();
            pairs.flat_map(|(n, (old, new))| broken(&format!("{at}/{n}"), old, new, way)).collect()
        }
        _ if old == new => Vec::new(),
        _ => different(),
    }
}

fn member(at: &str, name: &str, old: &Value, new: &Map<String, Value>, way: Way) -> Vec<String> {
    match new.get(name) {
        Some(new) => broken(at, old, new, way),
        None => vec![format!("{at} is gone")],
    }
}

fn published(message: &str) -> Value {
    let path = repo_file("tests/schemas").join(format!("{message}.v1.json"));
    serde_json::from_slice(&std::fs::read(path).expect(message)).expect("JSON")
}

fn today(message: &str) -> Value {
    serde_json::from_str(&Dir::new().run(["schema", message]).exits(0).stdout).expect("JSON")
}

#[test]
fn within_a_version_fields_are_only_ever_added() {
    for (message, way) in [
        ("received", Way::In),
        ("normalized", Way::Out),
        ("rejected", Way::Out),
        ("failed", Way::Out),
        ("edited", Way::Out),
        ("revoked", Way::Out),
        ("erased", Way::Out),
        ("transcribed", Way::In),
        ("consent", Way::In),
        ("erase", Way::In),
        ("hold", Way::In),
        ("alert", Way::Out),
    ] {
        let found = broken(message, &published(message), &today(message), way);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn a_field_that_goes_or_changes_would_be_noticed() {
    let change = |message: &str, way: Way, change: fn(&mut Value)| {
        let mut changed = published(message);
        change(&mut changed);
        broken(message, &published(message), &changed, way).len()
    };
    let gone = |schema: &mut Value| {
        schema["$defs"]["Asset"]["properties"].as_object_mut().expect("fields").remove("key");
    };
    assert_eq!(change("normalized", Way::Out, gone), 1);
    let other = |schema: &mut Value| schema["$defs"]["Asset"]["properties"]["key"]["type"] = json!("integer");
    assert_eq!(change("normalized", Way::Out, other), 1);
    let optional = |schema: &mut Value| schema["$defs"]["Asset"]["required"] = json!(["role"]);
    assert_eq!(change("normalized", Way::Out, optional), 1);
    let demanded = |schema: &mut Value| schema["$defs"]["Received"]["required"] = json!(["tenant", "declared"]);
    assert_eq!(change("received", Way::In, demanded), 1);
    let narrower = |schema: &mut Value| schema["$defs"]["Received"]["properties"]["tenant"]["maxLength"] = json!(9);
    assert_eq!(change("received", Way::In, narrower), 1);
    let added = |schema: &mut Value| schema["$defs"]["Received"]["properties"]["novel"] = json!({ "type": "string" });
    assert_eq!(change("received", Way::In, added), 0);
    let fewer = |schema: &mut Value| drop(schema["$defs"]["Origin"]["oneOf"].as_array_mut().expect("ways").remove(0));
    assert_ne!(change("received", Way::In, fewer), 0);
    let more = |schema: &mut Value| schema["$defs"]["Origin"]["oneOf"].as_array_mut().expect("ways").push(json!({}));
    assert_eq!(change("received", Way::In, more), 0);
}

/// A world where `media_id` was done, and then its manifest was changed as a worker of another version would have it.
fn done_elsewhere(rabbit: &Rabbit, media_id: &str, change: fn(&mut Value)) -> (Rig, Value) {
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    rig.declare();
    let worker = rig.worker();
    rig.vouch(&rig.outcome(media_id, &fixture("voice-note.ogg")));
    worker.stops();
    let path = rig.dir.path().join(format!("store/acme/{media_id}/manifest.json"));
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("a manifest")).expect("JSON");
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).expect("written");
    (rig, manifest)
}

#[test]
fn what_a_newer_worker_said_is_said_again_with_all_that_only_it_knows() {
    let Some(rabbit) = calm() else { return };
    let (rig, manifest) = done_elsewhere(rabbit, "newer", |manifest| {
        manifest["data"]["transcript"] = json!({ "language": "pt" });
        manifest["data"]["assets"][0]["channels"] = json!(1);
    });
    let worker = rig.worker();
    rig.ask("newer", &fixture("voice-note.ogg"));
    let again = &rig.bus.ledger().wait_for("newer", 2, SOON)[1];
    assert_eq!((again.id(), again.data()), (manifest["event_id"].as_str().expect("an id"), &manifest["data"]));
    worker.stops();
}

#[test]
fn what_another_version_did_is_left_alone_where_it_cannot_be_read() {
    let Some(rabbit) = calm() else { return };
    let (rig, manifest) = done_elsewhere(rabbit, "foreign", |manifest| manifest["data"]["kind"] = json!("hologram"));
    let worker = rig.worker();
    rig.ask("foreign", &fixture("voice-note.ogg"));
    let outcome = &rig.bus.ledger().wait_for("foreign", 2, SOON)[1];
    assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "worker.outdated"), "{:#}", outcome.event);
    assert_eq!(outcome.data()["attempts"], 2, "a newer worker had its chance");
    assert_eq!(rig.object("acme/foreign/manifest.json"), manifest.to_string().into_bytes());
    worker.stops();
}

#[test]
fn a_manifest_in_an_unknown_state_is_never_overwritten() {
    let Some(rabbit) = calm() else { return };
    let unknown = json!({ "state": "archived", "time": "2026-11-22T10:00:01Z", "data": { "since": "c-1" } });
    let (rig, _) = done_elsewhere(rabbit, "unknown", |_| {});
    let path = rig.dir.path().join("store/acme/unknown/manifest.json");
    std::fs::write(path, unknown.to_string()).expect("written");
    let worker = rig.worker();
    for (id, change) in [("ask-unknown", json!({})), ("other", json!({})), ("again", json!({ "renormalize": true }))] {
        let mut event = event("unknown", &fixture("voice-note.ogg"));
        event["id"] = json!(id);
        event["data"].as_object_mut().expect("data").extend(change.as_object().expect("fields").clone());
        rig.bus.publish(&letter(&event));
    }
    for outcome in &rig.bus.ledger().wait_for("unknown", 4, SOON)[1..] {
        assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "worker.outdated"), "{:#}", outcome.event);
    }
    assert_eq!(rig.object("acme/unknown/manifest.json"), unknown.to_string().into_bytes());
    worker.stops();
}

#[test]
fn fields_that_are_not_known_yet_are_passed_over_wherever_they_stand() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let mut newer = event("novel", &fixture("contact.vcf"));
    newer["novelty"] = json!("an attribute");
    newer["data"]["declared"] = json!({ "mime_type": "text/vcard" });
    for part in ["/data", "/data/origin", "/data/declared"] {
        newer.pointer_mut(part).expect(part)["novelty"] = json!({ "deep": [1, { "deeper": null }] });
    }
    rig.bus.publish(&letter(&newer));
    rig.vouch(&rig.bus.ledger().wait("novel", SOON));
    worker.stops();
}
