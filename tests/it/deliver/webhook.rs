//! Signed webhooks end to end.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{KEY, deliverer, normalized, rig, sent, told, webhook};
use crate::support::cmd::{Run, repo_file};
use crate::support::http::{Asked, Http, answer, ok};
use crate::support::processes::wait_until;
use crate::support::say::no_service;

fn header(asked: &Asked, name: &str) -> String {
    let line = asked.headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {:?}", asked.headers)).to_owned()
}

fn json_of(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).expect("JSON")
}

/// The requests with the case of signatures, which `Asked` has not.
fn receiver() -> (Http, Arc<AtomicUsize>) {
    let status = Arc::new(AtomicUsize::new(200));
    let says = Arc::clone(&status);
    let http = Http::start(move |_| match says.load(Ordering::Relaxed) {
        200 => ok(""),
        status => answer(&format!("{status} No"), &["content-length: 0"], ""),
    });
    (http, status)
}

#[test]
fn an_event_is_posted_once_signed_and_with_links_however_often_it_is_published() {
    let Some(mut rig) = rig() else { return };
    let (http, _) = receiver();
    webhook(&mut rig, "hook", &http.url("/in"));
    rig.set("DELIVER__HOOK__TENANTS", "acme");
    let deliverer = deliverer(&rig);
    let event = normalized("once");
    let mut other = normalized("other");
    other["data"]["tenant"] = json!("else");
    let letters = [sent("media.normalized.audio", &event), sent("media.normalized.audio", &other)];
    for _ in 0..3 {
        rig.bus.publish_all(&letters);
    }
    wait_until("a webhook", || !http.asked().is_empty());
    wait_until("an empty queue", || rig.bus.depth("deliver.hook").ready == 0);
    deliverer.stops();
    let asked = http.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let said = json_of(&asked[0]);
    assert_eq!((&said["id"], &said["data"]["media_id"]), (&event["id"], &json!("once")));
    let link = said["data"]["links"]["playback"].as_str().expect("a link");
    assert!(link.starts_with("https://media.example.test/c/") && link.ends_with("/playback.mp3"), "{link}");
    assert_eq!(header(&asked[0], "webhook-id"), event["id"].as_str().expect("text"));
    assert_eq!(header(&asked[0], "content-type"), "application/cloudevents+json");
}

#[test]
fn the_library_of_standard_webhooks_verifies_what_is_sent() {
    let python = repo_file("target/venv-judges/bin/python");
    if !python.exists() {
        no_service("the judges are not installed; scripts/venv.sh judges does that");
        return;
    }
    let Some(mut rig) = rig() else { return };
    // The path of the request holds the signature as it is: `Http` keeps headers in lower case.
    let heard = rig.dir.path().join("heard.jsonl");
    let receiver = Command::new(&python)
        .arg(repo_file("tests/judges/webhook_receiver.py"))
        .arg(&heard)
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut receiver = receiver.expect("Python starts");
    let mut line = String::new();
    let out = receiver.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a port");
    webhook(&mut rig, "hook", &format!("http://127.0.0.1:{}/in", line.trim()));
    rig.set("DELIVER__HOOK__SIGNING_KEY_NEXT", "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    let deliverer = deliverer(&rig);
    for n in 0..5 {
        let mut event = normalized(&format!("für Zoë {n} ✓"));
        event["data"]["context"] = json!({ "note": "🎵 \u{2028} \"quoted\" \\ \n" });
        rig.bus.publish(&sent("media.normalized.audio", &event));
    }
    wait_until("five webhooks", || std::fs::read_to_string(&heard).is_ok_and(|text| text.lines().count() == 5));
    deliverer.stops();
    receiver.kill().expect("it ends");
    receiver.wait().expect("it ended");
    for key in [KEY, "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="] {
        let keyed = rig.dir.path().join("keyed.jsonl");
        let lines = std::fs::read_to_string(&heard).expect("heard");
        let lines = lines.lines().map(|line| {
            let mut sent: Value = serde_json::from_str(line).expect("JSON");
            sent["key"] = json!(key);
            format!("{sent}\n")
        });
        std::fs::write(&keyed, lines.collect::<String>()).expect("written");
        let run = Run::of(Command::new(&python).arg(repo_file("tests/judges/webhooks.py")).arg(&keyed));
        assert!(run.stdout.contains("\n0 judged wrong") && run.stdout.matches("ok  ").count() == 20, "{}", run.stdout);
        run.exits(0);
    }
}

#[test]
fn a_failure_comes_again_with_the_same_id_and_a_dead_destination_holds_no_other_one_up() {
    let Some(mut rig) = rig() else { return };
    let (fails, status) = receiver();
    let (works, _) = receiver();
    status.store(503, Ordering::Relaxed);
    webhook(&mut rig, "fails", &fails.url("/in"));
    webhook(&mut rig, "works", &works.url("/in"));
    let deliverer = deliverer(&rig);
    rig.bus.publish(&sent("media.normalized.audio", &normalized("again")));
    wait_until("an attempt", || !fails.asked().is_empty());
    let begun = Instant::now();
    rig.bus.publish(&sent("media.normalized.audio", &normalized("beside")));
    wait_until("both at the other one", || works.asked().len() == 2);
    assert!(begun.elapsed() < Duration::from_secs(5));
    status.store(200, Ordering::Relaxed);
    wait_until("the rest", || {
        let asked = fails.asked();
        let ids: std::collections::BTreeSet<String> = asked.iter().map(|asked| header(asked, "webhook-id")).collect();
        ids.len() == 2 && rig.bus.depth("delay.1s").ready + rig.bus.depth("delay.2s").ready == 0 && asked.len() >= 3
    });
    deliverer.stops();
    assert_eq!(rig.bus.depth("deliver.fails.dead").ready, 0);
}

#[test]
fn a_destination_that_is_gone_stops_tells_and_goes_on_when_told_to() {
    let Some(mut rig) = rig() else { return };
    let (http, status) = receiver();
    status.store(410, Ordering::Relaxed);
    webhook(&mut rig, "hook", &http.url("/in"));
    rig.bus.bind_queue("alerts", "alert");
    let deliverer = deliverer(&rig);
    rig.bus.publish(&sent("media.normalized.audio", &normalized("gone")));
    wait_until("the alert", || rig.bus.depth("alerts").ready == 1);
    let alert: Value = serde_json::from_slice(&rig.bus.take_all("alerts")[0].body).expect("JSON");
    assert_eq!((&alert["data"]["code"], &alert["data"]["destination"]), (&json!("deliver.gone"), &json!("hook")));
    rig.bus.publish(&sent("media.normalized.audio", &normalized("waits")));
    wait_until("both wait", || rig.bus.depth("deliver.hook").ready == 2);
    assert_eq!((http.asked().len(), rig.bus.depth("deliver.hook.dead").ready), (1, 0), "nothing is burnt");
    // Over a restart it is still stopped.
    deliverer.stops();
    let deliverer = self::deliverer(&rig);
    status.store(200, Ordering::Relaxed);
    assert_eq!(http.asked().len(), 1);
    told(&rig, &["deliver", "resume", "hook"]);
    wait_until("both are delivered", || http.asked().len() == 3);
    deliverer.stops();
    assert_eq!(rig.bus.depth("deliver.hook").ready, 0);
}

#[test]
fn a_receiver_may_end_an_event_and_an_old_one_is_not_sent_and_both_can_be_replayed() {
    let Some(mut rig) = rig() else { return };
    let http = Http::start(|asked| match json_of(asked)["data"]["media_id"].as_str() {
        Some("aborted") => answer("400 No", &["webhook-delivery: abort-message", "content-length: 0"], ""),
        _ => ok(""),
    });
    webhook(&mut rig, "hook", &http.url("/in"));
    let deliverer = deliverer(&rig);
    let mut old = normalized("old");
    old["time"] = json!("2026-01-01T00:00:00Z");
    rig.bus.publish(&sent("media.normalized.audio", &normalized("aborted")));
    rig.bus.publish(&sent("media.normalized.audio", &old));
    let mut letters = Vec::new();
    wait_until("two dead letters", || {
        letters.extend(rig.bus.take_all("deliver.hook.dead"));
        letters.len() == 2
    });
    let mut codes: Vec<_> = letters.iter().filter_map(|letter| letter.header("x-mediamill-code")).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["deliver.aborted", "deliver.expired"]);
    deliverer.stops();
    assert_eq!(http.asked().len(), 1);
}

#[test]
fn what_was_erased_is_never_sent_again_and_a_resend_has_the_same_id() {
    let Some(mut rig) = rig() else { return };
    let (http, _) = receiver();
    webhook(&mut rig, "hook", &http.url("/in"));
    let deliverer = deliverer(&rig);
    let (stays, goes) = (normalized("stays"), normalized("goes"));
    let manifest = |event: &Value| json!({ "event_id": event["id"], "time": event["time"], "state": "normalized", "data": event["data"] });
    for event in [&stays, &goes] {
        let folder = rig.dir.path().join("store/acme").join(event["data"]["media_id"].as_str().expect("text"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("manifest.json"), manifest(event).to_string()).expect("a manifest");
        rig.bus.publish(&sent("media.normalized.audio", event));
    }
    wait_until("both", || http.asked().len() == 2);
    let erased = json!({
        "specversion": "1.0", "id": "e-1", "source": "catalog", "type": "mediamill.media.erased.v1",
        "time": jiff::Timestamp::now().to_string(), "data": { "tenant": "acme", "media_id": "goes" },
    });
    rig.bus.publish(&sent("media.erased", &erased));
    wait_until("the receiver is told", || http.asked().len() == 3);
    for media in ["acme/stays", "acme/goes"] {
        told(&rig, &["deliver", "resend", "hook", "--media", media]);
    }
    wait_until("one again", || http.asked().len() == 4);
    wait_until("no more", || rig.bus.depth("deliver.hook").ready + rig.bus.depth("deliver.commands").ready == 0);
    deliverer.stops();
    let ids: Vec<String> = http.asked().iter().map(|asked| header(asked, "webhook-id")).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert_eq!(ids[3], stays["id"].as_str().expect("text"));
}

#[test]
fn check_prints_the_request_and_sends_nothing() {
    let Some(mut rig) = rig() else { return };
    let (http, _) = receiver();
    webhook(&mut rig, "hook", &http.url("/in"));
    let event = rig.dir.path().join("event.json");
    let mut shown = normalized("shown");
    shown["data"]["message"] = json!({ "phone": "+5511987654321" });
    std::fs::write(&event, shown.to_string()).expect("written");
    let event = event.display().to_string();
    let shown = told(&rig, &["deliver", "check", "hook", "--event", &event]).stdout;
    assert!(
        shown.contains(&format!("POST {}", http.url("/in"))) && shown.contains("webhook-signature: v1,"),
        "{shown}"
    );
    let shown = told(&rig, &["deliver", "check", "--kind", "hubspot", "--event", &event]).stdout;
    for part in
        ["contacts/search", "/files/2026-03/files", "hs_note_body", "mediamill 6c108181d7d2", r#""id": "{contact}""#]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(http.asked().is_empty());
}
