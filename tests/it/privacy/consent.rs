//! Consent before the first byte, holds, and the day on which a media is to be deleted.

use mediamill::events::{ConsentStatus, ContactIds};
use mediamill::privacy::{ContactKey, Decision, HoldState, Record, Records};
use mediamill::store::Store;
use serde_json::{Value, json};

use super::world::{ask, erase, fed, files, known, message, objects, sent};
use crate::support::bus::block_on;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event};

/// Joins something into what is known of a person, as the catalogue would.
fn know(rig: &Rig, phone: &str, change: &Record) {
    let config = rig.config();
    let store = block_on(Store::connect(&config.store)).expect("a store");
    let key = ContactKey::new(&config.privacy).expect("a key");
    let ids = ContactIds { phone: Some(phone.to_owned()), ..ContactIds::default() };
    block_on(Records::new(store).join_person("acme", &key.person("acme", &ids), change)).expect("written");
}

fn decided(purpose: &str, status: ConsentStatus) -> Record {
    let decision = Decision { status, decided_at: jiff::Timestamp::now(), evidence: Some("form-7".to_owned()) };
    Record { consents: [(purpose.to_owned(), decision)].into(), ..Record::default() }
}

#[test]
fn nothing_is_fetched_or_stored_of_whom_consent_is_not_known() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    known(&mut rig);
    rig.set("PRIVACY_CONSENT", "required");
    rig.set("PRIVACY_CACHE_S", "0");
    let worker = rig.worker();
    let store = rig.dir.path().join("store");
    let outcome = |media_id: &str, phone: &str, more: &[(&str, Value)]| {
        let mut event = sent(media_id, message(phone, media_id));
        more.iter().for_each(|(name, value)| event["data"][*name] = value.clone());
        ask(&rig, &event);
        rig.bus.ledger().wait(media_id, SOON)
    };
    // There is no such file: to fetch it would be noticed.
    let nowhere = json!({ "kind": "file", "path": "/nowhere/x" });
    let unknown = outcome("unknown", "+15550100", &[("origin", nowhere.clone())]);
    assert_eq!((unknown.code(), &unknown.data()["stage"]), ("privacy.no-consent", &json!("parse")));
    let denied = outcome("denied", "+15550100", &[("origin", nowhere), ("privacy", json!({ "consent": "denied" }))]);
    assert_eq!(denied.code(), "privacy.denied");
    assert_eq!(files(&store.join("acme")), [""; 0].map(std::path::PathBuf::from), "nothing is stored of them");
    rig.vouch(&outcome("stated", "+15550100", &[("privacy", json!({ "consent": "granted" }))]));

    know(&rig, "+1 555 0101", &decided("store", ConsentStatus::Granted));
    know(&rig, "+1 555 0101", &decided("keep-original", ConsentStatus::Denied));
    let mut garbage = event("garbage", &crate::support::rig::fixture("garbage.bin"));
    garbage["data"]["message"] = message("+15550101", "garbage");
    ask(&rig, &garbage);
    let rejected = rig.bus.ledger().wait("garbage", SOON);
    assert_eq!(rejected.code(), "media.unsupported");
    assert_eq!((&rejected.data()["original"], objects(&store, "garbage")), (&Value::Null, Vec::new()));
    rig.vouch(&outcome("granted", "+15550101", &[]));
    know(&rig, "+1 555 0101", &decided("store", ConsentStatus::Withdrawn));
    assert_eq!(outcome("withdrawn", "+15550101", &[]).code(), "privacy.denied");
    worker.stops();
}

#[test]
fn a_hold_keeps_media_and_an_outcome_says_until_when_it_is_kept() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    known(&mut rig);
    rig.set("TENANTS__ACME__RETENTION_DAYS", "30");
    let worker = rig.worker();
    let store = rig.dir.path().join("store");
    let mut event = sent("held", message("+15550102", "held"));
    event["data"]["message"]["sent_at"] = json!("2026-11-01T00:00:00Z");
    ask(&rig, &event);
    let outcome = rig.bus.ledger().wait("held", SOON);
    assert_eq!(outcome.data()["expires_at"], json!("2026-12-01T00:00:00Z"));
    let held = |held| {
        let hold = HoldState { held, decided_at: jiff::Timestamp::now() };
        Record { holds: [("case-7".to_owned(), hold)].into(), ..Record::default() }
    };
    know(&rig, "+15550102", &held(true));
    let before = objects(&store, "held");
    let run = fed(rig.command(&["erase", "--tenant", "acme"]), "phone=+1 555 0102\n").exits(1);
    let certificate: Value = serde_json::from_str(&run.stdout).expect("a certificate");
    assert_eq!(certificate["refused"], json!([{ "media_id": "held", "held_for": ["case-7"] }]));
    assert_eq!((&certificate["media"], objects(&store, "held")), (&json!(0), before));
    know(&rig, "+15550102", &held(false));
    assert_eq!(erase(&rig, "phone=+15550102\n")["media"], json!(1));
    assert_eq!(objects(&store, "held"), ["manifest.json"]);
    worker.stops();
}
