//! What is logged of jobs: one line an outcome, one line an error, each with what it takes to find the job.

use serde_json::Value;

use crate::support::bus::Letter;
use crate::support::http::{Http, ok};
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, event_from, fixture, letter};
use crate::support::s3::S3;

fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// What the SDK of the store says of itself at `trace` has the access key id in it, and what HTTP clients say has addresses.
#[test]
fn no_filter_lets_credentials_and_addresses_into_the_log() {
    let Some(rabbit) = calm() else { return };
    let s3 = S3::start();
    let mut rig = Rig::new(rabbit);
    for (name, value) in s3.env() {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    rig.set("LOG_FILTER", "trace,aws_sigv4=trace,aws_smithy_runtime::client=trace,hyper_util=trace,lapin=trace");
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", "true");
    let origin = Http::start(|_| ok("a text, fetched from a signed address"));
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", origin.authority());
    let worker = rig.worker();
    let signed = serde_json::json!({ "kind": "http", "url": origin.url("/canary-path?sig=s3cr3t") });
    rig.bus.publish(&letter(&event_from("traced", signed)));
    assert_eq!(rig.bus.ledger().wait("traced", SOON).word, "normalized");
    let log = worker.stops();
    assert!(log.contains("\"outcome\":\"normalized\""), "{log}");
    for canary in ["tester", "not a secret", "s3cr3t", "canary-path", "Authorization", "guest"] {
        let found: Vec<_> = log.lines().filter(|line| line.contains(canary)).collect();
        assert!(found.is_empty(), "{canary}: {} lines, such as {}", found.len(), found[0]);
    }
}

#[test]
fn an_outcome_is_one_line_and_an_error_is_logged_once() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", "true");
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", "127.0.0.1:1");
    let worker = rig.worker();
    let mut good = event("good", &fixture("voice-note.ogg"));
    good["data"]["message"] = serde_json::json!({ "channel": "whatsapp", "caption": "for Ann only" });
    rig.bus.publish(&letter(&good));
    rig.ask("bad", &fixture("garbage.bin"));
    let nowhere = serde_json::json!({ "kind": "http", "url": "http://127.0.0.1:1/x?sig=s3cr3t" });
    rig.bus.publish(&letter(&event_from("gone", nowhere)));
    let mut invalid = event("invalid", &fixture("note.txt"));
    invalid["data"]["tags"] = serde_json::json!(7);
    rig.bus.publish(&letter(&invalid));
    rig.bus.publish(&Letter { body: b"not JSON".to_vec(), ..letter(&event("x", &fixture("note.txt"))) });
    rig.bus.ledger().wait_for_files(4, SOON);
    wait_until("two dead letters", || rig.bus.depth("dead").ready == 2);
    let log = worker.stops();
    assert!(!log.contains("Ann") && !log.contains("s3cr3t"), "{log}");

    let lines = lines(&log);
    let of = |media_id: &str| lines.iter().filter(|line| line["media_id"] == media_id).collect::<Vec<_>>();
    for (media_id, word, code, tries) in [
        ("good", "normalized", Value::Null, 1),
        ("bad", "rejected", "media.unsupported".into(), 1),
        ("invalid", "rejected", "event.invalid".into(), 1),
        ("gone", "failed", "source.unavailable".into(), 2),
    ] {
        let lines = of(media_id);
        assert_eq!(lines.len(), tries, "{media_id}: {lines:#?}");
        assert!(lines.iter().all(|line| line["tenant"] == "acme" && line["code"] == code), "{lines:#?}");
        let outcomes: Vec<_> = lines.iter().filter_map(|line| line["outcome"].as_str()).collect();
        assert_eq!(outcomes, [word], "{media_id}");
        let spans = lines.iter().map(|line| &line["span"]);
        assert!(spans.clone().all(|span| span["media_id"] == media_id && span["trace_id"].is_null()), "{lines:#?}");
    }
    let dead: Vec<_> = lines.iter().filter(|line| line["outcome"] == "dead").collect();
    assert!(dead.len() == 1 && dead[0]["code"] == "event.malformed", "{dead:#?}");
    let bad: Vec<_> = lines.iter().filter(|line| line["level"] == "WARN" || line["level"] == "ERROR").collect();
    assert_eq!(bad.len(), 5, "{bad:#?}");
}
