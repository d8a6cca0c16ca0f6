//! Origins that are slow, lie, refuse and never end. Their trouble is their own: outcomes say so, and others are served.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::trial::{Trial, part};
use crate::support::http::{Asked, Http, Step, answer, ok, redirect};
use crate::support::ledger::Outcome;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, event, event_from, fixture, sha256};

/// Half of the jobs come from an origin with this script; the other half are the usual ones.
fn origin(
    fault: &'static str,
    count: usize,
    script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
    expected: fn(&Outcome) -> bool,
) {
    let Some(rabbit) = calm() else { return };
    let server = Http::start(script);
    let mut rig = Rig::new(rabbit);
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", true);
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", json!([server.authority()]));
    rig.set("SOURCE_READ_TIMEOUT_S", 1);
    rig.set("SOURCE_TOTAL_TIMEOUT_S", 2);
    rig.set("LIMITS_INPUT_BYTES", 1 << 20);
    let mut trial = Trial::of(fault, &rig);
    trial.expect(expected);
    let worker = trial.worker();
    for n in 0..count {
        let url = server.url(&format!("/{n}.txt"));
        trial.ask_for(&event_from(&format!("theirs-{n}"), json!({ "kind": "http", "url": url })));
    }
    trial.ask(part(2));
    trial.ends([worker]);
}

fn is_theirs(outcome: &Outcome) -> bool {
    outcome.data()["media_id"].as_str().is_some_and(|media_id| media_id.starts_with("theirs"))
}

fn ends_as(outcome: &Outcome, word: &str, code: &str) -> bool {
    let (word, code) = if is_theirs(outcome) { (word, code) } else { ("normalized", "") };
    (outcome.word.as_str(), outcome.code()) == (word, code)
}

#[test]
fn an_origin_that_sends_a_byte_now_and_then() {
    let drip =
        |_: &Asked| [answer("200 OK", &[], ""), vec![Step::Drip(vec![b'x'; 100], Duration::from_millis(300))]].concat();
    // After some of them, the origin is left alone for a while.
    let expected = |outcome: &Outcome| {
        ["source.timeout", "source.unavailable"].into_iter().any(|code| ends_as(outcome, "failed", code))
    };
    origin("source: slow-loris", part(40), drip, expected);
}

#[test]
fn an_origin_that_has_nothing() {
    let none = |_: &Asked| answer("404 Not Found", &["content-length: 0"], "");
    origin("source: 404", part(2), none, |outcome| ends_as(outcome, "rejected", "source.not-found"));
}

#[test]
fn an_origin_that_asks_for_patience() {
    let count = AtomicUsize::new(0);
    let busy = move |_: &Asked| match count.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => answer("429 Too Many Requests", &["retry-after: 1", "content-length: 0"], ""),
        _ => ok("hello, world"),
    };
    // Chance may have it that one job is told so every time.
    let expected = |outcome: &Outcome| outcome.word == "normalized" || ends_as(outcome, "failed", "source.unavailable");
    origin("source: 429 with Retry-After", part(2), busy, expected);
}

#[test]
fn an_origin_that_breaks_off() {
    let short = |_: &Asked| answer("200 OK", &["content-length: 1000"], "hello, world");
    origin("source: truncated body", part(4), short, |outcome| ends_as(outcome, "failed", "source.unavailable"));
}

#[test]
fn an_origin_that_leads_in_circles() {
    let circle = |asked: &Asked| redirect(302, &asked.path);
    origin("source: redirect loop", part(2), circle, |outcome| ends_as(outcome, "rejected", "source.invalid"));
}

#[test]
fn an_origin_that_never_ends() {
    let endless = |_: &Asked| [answer("200 OK", &[], ""), vec![Step::Forever(vec![b'x'; 0x8000])]].concat();
    origin("source: endless body", part(4), endless, |outcome| ends_as(outcome, "rejected", "media.limit-bytes"));
}

#[test]
fn senders_that_declare_what_is_not_so() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("source: size lie, hash lie", &rig);
    trial.expect(|outcome| match outcome.data()["media_id"].as_str().unwrap_or_default().split('-').next() {
        Some("size") => outcome.code() == "source.size-mismatch",
        Some("hash") => outcome.code() == "source.hash-mismatch",
        _ => outcome.word == "normalized",
    });
    let worker = trial.worker();
    let path = fixture("note.txt");
    for n in 0..part(4) {
        let mut size = event(&format!("size-{n}"), &path);
        size["data"]["declared"] = json!({ "size_bytes": 7 });
        trial.ask_for(&size);
        let mut hash = event(&format!("hash-{n}"), &path);
        hash["data"]["declared"] = json!({ "sha256": sha256(b"another file") });
        trial.ask_for(&hash);
    }
    trial.ask(part(2));
    trial.ends([worker]);
}
