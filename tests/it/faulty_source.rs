//! Real workers and HTTP origins that fail: passing trouble climbs the ladder, the rest is rejected with its code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cmd::repo_file;
use crate::support::http::{Asked, Http, Step, answer, ok, redirect};
use crate::support::ledger::Outcome;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event_from, letter};

/// A rig whose workers may fetch from this server.
fn rig(server: &Http) -> Option<Rig> {
    let mut rig = Rig::new(calm()?);
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", true);
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", json!([server.authority()]));
    rig.set("SOURCE_READ_TIMEOUT_S", 1);
    rig.set("SOURCE_TOTAL_TIMEOUT_S", 3);
    rig.set("LIMITS_INPUT_BYTES", 1 << 20);
    Some(rig)
}

fn ask(rig: &Rig, media_id: &str, url: &str) {
    rig.bus.publish(&letter(&event_from(media_id, json!({ "kind": "http", "url": url }))));
}

fn voice_note() -> Vec<u8> {
    std::fs::read(repo_file("fixtures/voice-note.ogg")).expect("a fixture")
}

fn then_stall(mut steps: Vec<Step>) -> Vec<Step> {
    steps.push(Step::Stall);
    steps
}

/// What a path stands for.
fn script(asked: &Asked) -> Vec<Step> {
    match asked.path.split('?').next().unwrap_or_default() {
        "/fine" => ok(voice_note()),
        "/moved" => redirect(302, "/fine"),
        "/loop" => redirect(302, "/loop"),
        "/inside" => redirect(302, "http://127.0.0.1:1/"),
        "/none" => answer("404 Not Found", &["content-length: 0"], ""),
        "/expired" => answer("403 Forbidden", &["content-length: 0"], ""),
        "/empty" => ok(""),
        "/announced" => then_stall(answer("200 OK", &["content-length: 99999999"], "")),
        "/endless" => [answer("200 OK", &[], ""), vec![Step::Forever(vec![7; 0x8000])]].concat(),
        "/stalled" => then_stall(answer("200 OK", &["content-length: 9"], "OggS")),
        "/dripped" => {
            let body = Step::Drip(voice_note(), Duration::from_millis(100));
            [answer("200 OK", &[], ""), vec![body]].concat()
        }
        "/truncated" => answer("200 OK", &["content-length: 99999"], voice_note()),
        "/broken" => answer("500 Internal Server Error", &["content-length: 0"], ""),
        _ => Vec::new(),
    }
}

#[test]
fn each_kind_of_trouble_has_its_outcome() {
    let server = Http::start(script);
    let Some(rig) = rig(&server) else { return };
    let worker = rig.worker();
    let expected = [
        ("fine", "normalized", ""),
        ("moved", "normalized", ""),
        ("loop", "rejected", "source.invalid"),
        ("inside", "rejected", "source.denied"),
        ("none", "rejected", "source.not-found"),
        ("expired", "rejected", "source.forbidden"),
        ("empty", "rejected", "media.empty"),
        ("announced", "rejected", "media.limit-bytes"),
        ("endless", "rejected", "media.limit-bytes"),
        ("stalled", "failed", "source.timeout"),
        ("dripped", "failed", "source.timeout"),
        ("truncated", "failed", "source.unavailable"),
        ("broken", "failed", "source.unavailable"),
        ("silent", "failed", "source.unavailable"),
    ];
    for (path, ..) in expected {
        ask(&rig, path, &server.url(&format!("/{path}?signature=s3cr3t")));
    }
    for (path, word, code) in expected {
        let outcome = rig.bus.ledger().wait(path, SOON * 2);
        assert_eq!((outcome.word.as_str(), outcome.code()), (word, code), "{path}: {:#}", outcome.event);
        assert_eq!(outcome.data()["attempts"], tries(&outcome), "{path}");
        assert!(!outcome.event.to_string().contains("s3cr3t"), "{path}: {:#}", outcome.event);
    }
    let log = worker.stops();
    assert!(!log.contains("s3cr3t"), "{log}");
}

/// The rig's ladder has two rungs.
fn tries(outcome: &Outcome) -> Value {
    match outcome.word.as_str() {
        "failed" => json!(3),
        "rejected" => json!(1),
        _ => Value::Null,
    }
}

#[test]
fn an_origin_that_asks_for_patience_gets_it() {
    let count = AtomicUsize::new(0);
    let server = Http::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("429 Too Many Requests", &["retry-after: 2", "content-length: 0"], ""),
        _ => ok(voice_note()),
    });
    let Some(rig) = rig(&server) else { return };
    let worker = rig.worker();
    let asked_at = std::time::Instant::now();
    ask(&rig, "patient", &server.url("/"));
    rig.vouch(&rig.bus.ledger().wait("patient", SOON));
    assert!(asked_at.elapsed() >= Duration::from_secs(2), "the rung of 2 s, not the one of 1 s");
    assert_eq!(server.asked().len(), 2);
    worker.stops();
}

#[test]
fn one_bad_origin_does_not_hold_up_the_others() {
    let server = Http::start(script);
    let Some(rig) = rig(&server) else { return };
    let worker = rig.worker();
    let letters: Vec<_> = (0..40)
        .map(|n| {
            let (name, path) = if n % 2 == 0 { ("bad", "/broken") } else { ("good", "/fine") };
            letter(&event_from(&format!("{name}-{n}"), json!({ "kind": "http", "url": server.url(path) })))
        })
        .collect();
    rig.bus.publish_all(&letters);
    rig.bus.ledger().wait_for_files(letters.len(), SOON * 2);
    for (media_id, outcomes) in rig.bus.ledger().all() {
        let word = if media_id.starts_with("good") { "normalized" } else { "failed" };
        assert_eq!(outcomes.len(), 1, "{media_id}");
        assert_eq!(outcomes[0].word, word, "{media_id}");
    }
    worker.stops();
}
