//! The role that fills the index, with a real RabbitMQ; and the way back from the store.

use std::sync::Arc;
use std::time::Duration;

use lapin::BasicProperties;
use mediamill::roles::catalog::index::{Index, MediaState, Row};
use mediamill::roles::catalog::{self, Rebuild};
use mediamill::store::Store;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Empty, both};
use crate::support::bus::{Letter, block_on};
use crate::support::cmd::Run;
use crate::support::rabbit;
use crate::support::rig::{Rig, SOON, fixture};

fn letter(key: &str, kind: &str, data: Value) -> Letter {
    let event = json!({
        "specversion": "1.0", "id": format!("{}-{key}", data["media_id"]), "source": "tests", "type": kind,
        "time": "2026-11-22T10:00:01Z", "data": data,
    });
    let properties = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    Letter { routing_key: key.to_owned(), properties, body: event.to_string().into_bytes() }
}

pub(crate) fn rejected(media_id: &str) -> Letter {
    let data = json!({
        "tenant": "acme", "media_id": media_id, "cause": "c", "code": "media.empty", "stage": "fetch", "explanation": "no",
        "attempts": 1, "message": { "channel": "whatsapp", "caption": "hello there" },
    });
    letter("media.rejected", "mediamill.media.rejected.v1", data)
}

pub(super) fn transcribed(media_id: &str) -> Letter {
    transcribed_as(media_id, "spoken words")
}

pub(crate) fn transcribed_as(media_id: &str, text: &str) -> Letter {
    let data = json!({ "tenant": "acme", "media_id": media_id, "text": text });
    letter("media.transcribed", "mediamill.media.transcribed.v1", data)
}

pub(crate) fn erased(media_id: &str) -> Letter {
    let data = json!({
        "tenant": "acme", "media_id": media_id, "certificate": "cert-1", "because": "request",
        "erased_at": "2026-11-23T00:00:00Z",
    });
    letter("media.erased", "mediamill.media.erased.v1", data)
}

pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    // A database that was away is asked again after a pause, which a loaded machine makes longer.
    let deadline = std::time::Instant::now() + SOON * 3;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn row(index: &dyn Index, media_id: &str) -> Option<Row> {
    block_on(index.get("acme", media_id)).expect("an answer")
}

#[test]
fn outcomes_become_rows_and_are_acknowledged_after_that() {
    let Some(rabbit) = rabbit::calm() else { return };
    for Empty { name, index, dir, .. } in block_on(both()) {
        let rig = Rig::deaf(rabbit);
        let config = rig.config();
        let store = block_on(Store::connect(&config.store)).expect("a store");
        let service = catalog::service(&config, Arc::clone(&index), &store).expect("a service");
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let running = std::thread::spawn(move || block_on(service.run(stop)).expect("it runs"));
        until("a consumer", || rig.bus.depth("catalog").consumers > 0);
        let letters: Vec<Letter> = (0..300).map(|n| rejected(&format!("m{n}"))).collect();
        // All of them twice, and in between what nobody can read, and what is of no use.
        rig.bus.publish_all(&letters);
        let short = json!({ "tenant": "acme", "media_id": "x" });
        rig.bus.publish(&letter("media.failed", "mediamill.media.failed.v1", short.clone()));
        rig.bus.publish(&letter("media.failed", "of-another-type", short));
        rig.bus.publish_all(&letters);
        rig.bus.publish_all(&[transcribed("m7"), erased("m8")]);
        until("an erased row", || row(&*index, "m8").is_some_and(|row| row.state == MediaState::Erased));
        rig.bus.publish(&transcribed("m8"));
        rig.bus.publish(&transcribed("m9"));
        until("a transcript", || row(&*index, "m9").is_some_and(|row| row.transcript.is_some()));
        until("an empty queue", || rig.bus.depth("catalog").ready == 0);
        assert_eq!(row(&*index, "m7").expect("a row").transcript.as_deref(), Some("spoken words"), "{name}");
        let counts = block_on(index.counts()).expect("an answer");
        assert_eq!(counts, [("erased".to_owned(), 1), ("rejected".to_owned(), 299)], "{name}");
        until("a dead letter", || rig.bus.depth("catalog.dead").ready == 1);
        shutdown.cancel();
        running.join().expect("no panic");
        assert_eq!(rig.bus.depth("catalog").ready, 0, "{name}: all is acknowledged");
        // Transcripts have no manifest: they come back from the store, and the one of the erased media does not.
        let again = block_on(Empty::sqlite());
        let hasher = catalog::hasher(&config);
        let rebuild = Rebuild { store: &store, index: Arc::clone(&again.index), hasher: &hasher };
        let done = block_on(rebuild.run(&|_| ())).expect("rebuilt");
        assert_eq!((done.overrides, done.unreadable), (2, 0), "{name}");
        drop(dir);
    }
}

#[test]
fn an_index_is_rebuilt_from_the_store_and_searched_on_the_command_line() {
    let Some(rabbit) = rabbit::calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("CATALOG_URL", format!("sqlite://{}/catalog.db", rig.dir.path().display()));
    let worker = rig.worker();
    rig.outcome("voice", &fixture("voice-note.ogg"));
    rig.outcome("photo", &fixture("photo-exif.jpg"));
    worker.stops();
    for round in 0..2 {
        let said = Run::of(&mut rig.command(&["catalog", "rebuild"])).exits(0).stdout;
        let changed = if round == 0 {
            "2 manifests (0 erased), 0 objects of .catalog; 2 rows changed, 0 unreadable"
        } else {
            "2 manifests"
        };
        assert!(said.starts_with(changed), "{said}");
    }
    let found =
        Run::of(&mut rig.command(&["find", "--tenant", "acme", "--kind", "audio", "--format", "json"])).exits(0);
    let [row] = &found.json_lines()[..] else { panic!("{}", found.stdout) };
    assert_eq!((row["media_id"].as_str(), row["state"].as_str()), (Some("voice"), Some("normalized")));
    let roles: Vec<_> = row["objects"].as_array().expect("files").iter().map(|file| file["role"].clone()).collect();
    assert!(roles.contains(&json!("playback")) && roles.contains(&json!("original")), "{roles:?}");
    let others = Run::of(&mut rig.command(&["find", "--tenant", "globex"])).exits(0);
    assert_eq!(others.stdout, "", "nothing of another tenant is found");
    // A damaged manifest is told of, and keeps nothing else from the index.
    let manifest = rig.dir.path().join("store/acme/photo/manifest.json");
    std::fs::write(&manifest, b"{").expect("written");
    Run::of(&mut rig.command(&["catalog", "rebuild"])).exits(1);
}
