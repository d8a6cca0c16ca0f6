//! `mediamill deliver`, as a process, against receivers that say what a test wants.

mod hubspot;
mod isolation;
mod webhook;

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::bus::Letter;
use crate::support::cmd::{Run, repo_file};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, sha256};
use crate::support::worker::Worker;

/// A key of a webhook.
pub(crate) const KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A rig whose deliverer has a ledger of its own and short delays.
pub(crate) fn rig() -> Option<Rig> {
    let mut rig = Rig::new(calm()?);
    let ledger = format!("sqlite:{}/ledger.db", rig.dir.path().display());
    rig.set("LEDGER_URL", ledger);
    rig.set("LEDGER_RETRY_DELAYS_S", "1,2");
    rig.set("LEDGER_RETRY_JITTER_PERCENT", 0);
    rig.set("LINKS_PUBLIC_URL", "https://media.example.test");
    rig.set("LINKS_KEY", "0123456789abcdef0123456789abcdef");
    Some(rig)
}

/// Sets keys of a destination.
pub(crate) fn destination(rig: &mut Rig, name: &str, keys: &[(&str, &str)]) {
    for (key, value) in keys {
        let name = name.replace('-', "_").to_uppercase();
        rig.set(&format!("DELIVER__{name}__{}", key.to_uppercase()), value);
    }
}

/// A webhook of this network.
pub(crate) fn webhook(rig: &mut Rig, name: &str, url: &str) {
    destination(rig, name, &[("kind", "webhook"), ("url", url), ("signing_key", KEY), ("allow_private", "true")]);
}

/// A deliverer that consumes.
pub(crate) fn deliverer(rig: &Rig) -> Worker {
    let mut deliverer = rig.worker_of(rig.command(&["deliver"]));
    deliverer.consumes(1);
    deliverer
}

/// The normalized event of docs/events.md, about this media.
pub(crate) fn normalized(media_id: &str) -> Value {
    let text = std::fs::read_to_string(repo_file("docs/events.md")).expect("a document");
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let events = blocks.filter_map(|block| serde_json::from_str::<Value>(block).ok());
    let mut event =
        events.into_iter().find(|event| event["type"] == "mediamill.media.normalized.v1").expect("an example");
    event["id"] = json!(format!("6c108181-d7d2-592e-afee-{}", &sha256(media_id.as_bytes())[..12]));
    event["time"] = json!(jiff::Timestamp::now().to_string());
    event["data"]["media_id"] = json!(media_id);
    event
}

/// An event on its way to whoever is bound.
pub(crate) fn sent(key: &str, event: &Value) -> Letter {
    let properties = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    Letter { routing_key: key.to_owned(), properties, body: event.to_string().into_bytes() }
}

/// A command of the deliverer, which has to succeed.
#[track_caller]
pub(crate) fn told(rig: &Rig, args: &[&str]) -> Run {
    Run::of(&mut rig.command(args)).exits(0)
}
