//! HubSpot end to end, against the fake of `tests/crm`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{deliverer, destination, normalized, rig, sent};
use crate::support::crm::Crm;
use crate::support::processes::wait_until;
use crate::support::rig::{Rig, sha256};

const PHONE: &str = "+5511987654321";

/// A contact in HubSpot, and a deliverer's destination there.
fn world() -> Option<(Rig, Crm, String)> {
    let mut rig = rig()?;
    let crm = Crm::start("hubspot");
    let made = crm.act(json!({
        "act": "create", "type": "contacts",
        "properties": { "firstname": "Zoe", "phone": "(11) 98765-4321" },
    }));
    let contact = made["id"].as_str().expect("an id").to_owned();
    let keys = [
        ("kind", "hubspot"),
        ("url", crm.url()),
        ("token", "pat-test-key"),
        ("allow_private", "true"),
        ("region", "BR"),
        ("read_back_lag_s", "1"),
    ];
    destination(&mut rig, "crm", &keys);
    Some((rig, crm, contact))
}

/// An event about a file that the store has.
fn voice_note(rig: &Rig, media_id: &str) -> Value {
    let mut event = normalized(media_id);
    let bytes = format!("sound of {media_id}").into_bytes();
    let sha256 = sha256(&bytes);
    let key = format!("acme/{media_id}/{}/audio.mp3", &sha256[..32]);
    let path = rig.dir.path().join("store").join(&key);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
    std::fs::write(path, &bytes).expect("a file");
    let assets = event["data"]["assets"].as_array_mut().expect("assets");
    let playback = assets.iter_mut().find(|asset| asset["role"] == "playback").expect("a playback asset");
    playback["key"] = json!(key);
    playback["sha256"] = json!(sha256);
    playback["size_bytes"] = json!(bytes.len());
    event["data"]["message"] = json!({ "channel": "whatsapp", "phone": PHONE, "caption": "<b>für</b> Zoë" });
    event["data"]["context"] = json!({});
    event
}

fn notes(crm: &Crm) -> Vec<Value> {
    let all = crm.state()["objects"]["notes"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|note| note["archived"] != json!(true)).collect()
}

fn files(crm: &Crm) -> Vec<Value> {
    let all = crm.state()["files"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|file| file["deleted"] != json!(true)).collect()
}

fn is_idle(rig: &Rig) -> bool {
    ["deliver.crm", "delay.1s", "delay.2s"].iter().map(|queue| rig.bus.depth(queue).ready).sum::<u32>() == 0
}

#[test]
fn a_voice_note_becomes_one_note_with_its_file_on_the_contact_and_is_gone_after_the_erase() {
    let Some((rig, crm, contact)) = world() else { return };
    let deliverer = deliverer(&rig);
    let event = voice_note(&rig, "v1");
    for _ in 0..3 {
        rig.bus.publish(&sent("media.normalized.audio", &event));
    }
    wait_until("a note", || !notes(&crm).is_empty() && is_idle(&rig));
    let (found, stored) = (notes(&crm), files(&crm));
    assert_eq!((found.len(), stored.len()), (1, 1));
    let body = found[0]["properties"]["hs_note_body"].as_str().expect("a body");
    assert!(body.contains("&lt;b&gt;für&lt;") && body.contains("https://media.example.test/c/"), "{body}");
    assert_eq!(found[0]["properties"]["hs_attachment_ids"], stored[0]["id"]);
    assert_eq!(stored[0]["access"], "PRIVATE");
    let links = crm.state()["associations"].to_string();
    assert!(links.contains(&format!(r#"["contacts","{contact}"]"#)), "{links}");
    let api: Vec<_> = crm.calls().into_iter().map(|call| (call.method, call.status)).collect();
    assert_eq!(api.len(), 3, "search, upload, note: {api:?}");
    let erased = json!({
        "specversion": "1.0", "id": "e-1", "source": "catalog", "type": "mediamill.media.erased.v1",
        "time": jiff::Timestamp::now().to_string(), "data": { "tenant": "acme", "media_id": "v1" },
    });
    rig.bus.publish(&sent("media.erased", &erased));
    wait_until("nothing left", || notes(&crm).is_empty() && files(&crm).is_empty());
    rig.bus.publish(&sent("media.normalized.audio", &event));
    wait_until("an empty queue", || is_idle(&rig));
    deliverer.stops();
    let state = crm.state();
    assert!(notes(&crm).is_empty(), "once erased, always erased");
    assert_eq!(
        (&state["files"][0]["gdpr"], &state["objects"]["notes"][0]["properties"]["hs_note_body"]),
        (&json!(true), &json!("erased"))
    );
}

#[test]
fn nobody_and_two_who_match_are_parked_and_replayed_once_there_is_one() {
    let Some((rig, crm, contact)) = world() else { return };
    let deliverer = deliverer(&rig);
    crm.act(json!({ "act": "create", "type": "contacts", "properties": { "mobilephone": PHONE } }));
    let mut stranger = voice_note(&rig, "stranger");
    stranger["data"]["message"]["phone"] = json!("+4915112345678");
    rig.bus.publish(&sent("media.normalized.audio", &voice_note(&rig, "twins")));
    rig.bus.publish(&sent("media.normalized.audio", &stranger));
    wait_until("both are parked", || rig.bus.depth("deliver.crm.dead").ready == 2);
    let listed = super::told(&rig, &["deliver", "replay", "crm", "--list"]).stdout;
    assert!(listed.contains("deliver.ambiguous") && listed.contains("deliver.no-record"), "{listed}");
    assert!(notes(&crm).is_empty() && files(&crm).is_empty());
    crm.act(json!({ "act": "delete", "type": "contacts", "id": contact }));
    super::told(&rig, &["deliver", "replay", "crm", "--code", "deliver.ambiguous"]);
    wait_until("the note of the one that is left", || notes(&crm).len() == 1);
    deliverer.stops();
    assert_eq!(rig.bus.depth("deliver.crm.dead").ready, 1);
}

#[test]
fn a_rejected_file_leaves_a_note_that_says_what_was_sent() {
    let Some((rig, crm, _)) = world() else { return };
    let deliverer = deliverer(&rig);
    let data = json!({
        "tenant": "acme", "media_id": "r1", "cause": "c", "code": "media.encrypted", "stage": "transcode", "attempts": 1,
        "explanation": "the media is encrypted",
        "original": { "mime_type": "video/mp4", "size_bytes": 3_440_000, "sha256": "00" },
        "message": { "phone": PHONE },
    });
    let event = json!({
        "specversion": "1.0", "id": "7c108181-d7d2-592e-afee-000000000001", "source": "mediamill",
        "type": "mediamill.media.rejected.v1", "time": jiff::Timestamp::now().to_string(), "data": data,
    });
    rig.bus.publish(&sent("media.rejected", &event));
    wait_until("a note", || notes(&crm).len() == 1);
    deliverer.stops();
    let found = notes(&crm);
    let body = found[0]["properties"]["hs_note_body"].as_str().expect("a body");
    assert!(body.contains("media.encrypted") && body.contains("3.4 MB") && body.contains("video/mp4"), "{body}");
}

/// Kills a deliverer while this fault holds the answer of a request, or the request itself.
fn killed_at(fault: &str, path: &str) {
    let Some((rig, crm, _)) = world() else { return };
    // A claim of a dead process must not be waited for: it is the ledger's only user.
    crm.faults(json!([{ "fault": fault, "method": "POST", "path": path }]));
    let first = deliverer(&rig);
    rig.bus.publish(&sent("media.normalized.audio", &voice_note(&rig, "v1")));
    crm.wait_held();
    first.kill();
    crm.release();
    let second = deliverer(&rig);
    wait_until("a note", || !notes(&crm).is_empty() && is_idle(&rig));
    rig.bus.publish(&sent("media.normalized.audio", &voice_note(&rig, "v1")));
    wait_until("an empty queue", || is_idle(&rig));
    std::thread::sleep(Duration::from_millis(300));
    wait_until("an empty queue", || is_idle(&rig));
    second.stops();
    assert_eq!((notes(&crm).len(), files(&crm).len()), (1, 1), "{fault} {path}");
}

#[test]
fn a_kill_before_or_after_each_write_leads_to_one_note_and_one_file() {
    for path in ["/files$", "/notes$"] {
        for fault in ["hold-before", "hold-after"] {
            killed_at(fault, path);
        }
    }
}

#[test]
fn answers_that_are_lost_locked_records_and_quotas_lead_to_one_note_and_one_file() {
    for (fault, path) in [
        ("drop-before", "/notes$"),
        ("drop-after", "/notes$"),
        ("drop-after", "/files$"),
        ("lock", "/notes$"),
        ("quota", "/contacts/search$"),
        ("status", "/notes$"),
    ] {
        let Some((rig, crm, _)) = world() else { return };
        crm.faults(json!([{ "fault": fault, "method": "POST", "path": path }]));
        let deliverer = deliverer(&rig);
        rig.bus.publish(&sent("media.normalized.audio", &voice_note(&rig, "v1")));
        wait_until(fault, || !notes(&crm).is_empty() && is_idle(&rig));
        deliverer.stops();
        assert_eq!((notes(&crm).len(), files(&crm).len()), (1, 1), "{fault} {path}");
    }
}

#[test]
fn a_refused_key_stops_the_destination() {
    let Some((mut rig, crm, _)) = world() else { return };
    rig.set("DELIVER__CRM__TOKEN", "pat-wrong");
    rig.bus.bind_queue("alerts", "alert");
    let deliverer = deliverer(&rig);
    for n in 0..3 {
        rig.bus.publish(&sent("media.normalized.audio", &voice_note(&rig, &format!("v{n}"))));
    }
    wait_until("the alert", || rig.bus.depth("alerts").ready == 1);
    wait_until("they wait", || rig.bus.depth("deliver.crm").ready == 3);
    deliverer.stops();
    assert!(crm.calls().len() <= 2, "no quota is burnt: {:?}", crm.calls());
    assert_eq!(rig.bus.depth("deliver.crm.dead").ready, 0);
}
