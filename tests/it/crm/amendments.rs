//! Transcripts and changes of messages, which come after the note: they are added to it once, and are erased with it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::trial::Trial;
use super::vendors::{Vendor, chatwoot, has, hubspot, list, salesforce, zendesk, zoho};
use crate::deliver::{deliverer, sent};
use crate::support::processes::wait_until;

/// An event about the first media that adds to its note.
fn addition(word: &str, time: &str, data: Value) -> Value {
    addition_to("m0", word, time, data)
}

/// The same about another media.
pub(super) fn addition_to(media_id: &str, word: &str, time: &str, data: Value) -> Value {
    let mut all = json!({ "tenant": "acme", "media_id": media_id, "message": { "channel": "whatsapp" } });
    all.as_object_mut().expect("an object").extend(data.as_object().expect("an object").clone());
    json!({
        "specversion": "1.0", "id": Uuid::new_v4().to_string(), "source": "tests",
        "type": format!("mediamill.{word}.v1"), "time": time, "data": all,
    })
}

fn transcript(text: &str, time: &str) -> Value {
    addition("media.transcribed", time, json!({ "text": text, "language": "en" }))
}

/// How often words stand in what is live in the CRM.
fn times(trial: &Trial, words: &str) -> usize {
    let state = trial.crm.state();
    if trial.vendor.name == "zendesk" {
        // A comment has its text twice there: as it came, and plain.
        let comments = list(&state, "/tickets").into_iter().flat_map(|ticket| list(ticket, "/comments"));
        return comments.filter(|comment| has(comment, words)).count();
    }
    state.to_string().matches(words).count()
}

impl Trial {
    fn adds(&self, event: &Value) {
        let key = event["type"].as_str().and_then(|kind| kind.strip_prefix("mediamill.")?.strip_suffix(".v1"));
        let letters = [(); 3].map(|()| sent(key.expect("a type"), event));
        self.rig.bus.publish_all(&letters);
    }
}

/// `grows` where notes cannot be changed: then an addition is a note of its own.
fn is_added_once(vendor: Vendor, grows: bool) {
    let Some(mut trial) = Trial::start(vendor) else { return };
    let name = trial.vendor.name;
    // It comes before the note, and waits.
    let first = transcript("good day <b>Zoe</b>", "2026-11-22T10:00:00Z");
    trial.adds(&first);
    trial.publish();
    wait_until("the transcript", || times(&trial, "good day") > 0);
    assert_eq!(times(&trial, "good day"), 1, "{name}: {:#}", trial.crm.state());
    assert!(
        !has(&trial.crm.state(), "<b>Zoe") || ["salesforce", "zoho", "chatwoot"].contains(&name),
        "HTML is escaped"
    );
    let notes = |trial: &Trial| trial.counts(&trial.marker(0)).notes;
    assert_eq!(notes(&trial), 1, "{name}");
    // Killed between what it wrote and the answer: the last call writes.
    let (method, path) = written(name);
    trial.crm.faults(json!([{"fault": "hold-after", "method": method, "path": path}]));
    trial.adds(&transcript("good night", "2026-11-22T11:00:00Z"));
    trial.crm.wait_held();
    trial.deliverer.take().expect("one that runs").kill();
    trial.crm.faults(json!([]));
    trial.crm.release();
    trial.deliverer = Some(deliverer(&trial.rig));
    wait_until("an empty queue", || trial.rig.bus.depth("deliver.crm").ready == 0);
    trial.adds(&addition("message.edited", "2026-11-22T12:00:00Z", json!({ "message": { "caption": "a new text" } })));
    trial.adds(&addition("message.revoked", "2026-11-22T13:00:00Z", json!({})));
    wait_until("all", || times(&trial, "a new text") > 0 && times(&trial, "took the message back") > 0);
    let counted = ["good day", "good night", "a new text", "took the message back"].map(|words| times(&trial, words));
    assert_eq!(counted, [usize::from(grows), 1, 1, 1], "{name}: {:#}", trial.crm.state());
    assert_eq!(notes(&trial), 1, "{name}");
    trial.erased();
    let left = ["good day", "good night", "a new text", "took the message back"].map(|words| times(&trial, words));
    assert_eq!(left, [0; 4], "{name}: {:#}", trial.crm.state());
    trial.deliverer.take().expect("one that runs").stops();
}

/// What an addition is written with.
fn written(name: &str) -> (&'static str, &'static str) {
    match name {
        "hubspot" => ("PATCH", "/notes/"),
        "salesforce" => ("PATCH", "/Task/"),
        "zoho" => ("PUT", "/Notes/"),
        "zendesk" => ("PUT", "/tickets/"),
        _ => ("POST", "/messages$"),
    }
}

#[test]
fn a_note_of_hubspot_gets_transcripts_and_changes_once() {
    is_added_once(hubspot(), false);
}

#[test]
fn a_task_of_salesforce_gets_transcripts_and_changes_once() {
    is_added_once(salesforce(), false);
}

#[test]
fn a_note_of_zoho_gets_transcripts_and_changes_once() {
    is_added_once(zoho(), false);
}

#[test]
fn a_ticket_of_zendesk_gets_transcripts_and_changes_once() {
    is_added_once(zendesk(true), true);
    is_added_once(zendesk(false), true);
}

#[test]
fn a_conversation_of_chatwoot_gets_transcripts_and_changes_once() {
    is_added_once(chatwoot(true), true);
}
