//! What an OpenTelemetry collector is told, and that no job waits for one.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::bus::Letter;
use crate::support::cmd::program;
use crate::support::collector::Collector;
use crate::support::http::{Http, Step};
use crate::support::processes::wait_until;
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::{Rig, SOON, event, fixture, headers, letter};
use crate::support::worker::Worker;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
/// How long the worker gives one request to the collector.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

fn rig(rabbit: &Rabbit, endpoint: &str) -> Rig {
    let mut rig = Rig::new(rabbit);
    rig.set("TRACES_ENDPOINT", endpoint);
    rig
}

/// A worker that sends a batch for every few spans.
fn eager_worker(rig: &Rig) -> Worker {
    let mut command = program();
    command.arg("worker").env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut worker = rig.worker_of(command);
    worker.consumes(1);
    worker
}

fn traced(event: &Value) -> Letter {
    let letter = letter(event);
    let properties = letter.properties.with_headers(headers(&[("traceparent", PRODUCER), ("tracestate", STATE)]));
    Letter { properties: properties.with_message_id("message-1".into()), ..letter }
}

#[test]
fn the_steps_of_a_job_are_spans_in_its_senders_trace() {
    let Some(rabbit) = calm() else { return };
    let collector = Collector::start();
    let rig = rig(rabbit, &collector.url());
    let worker = rig.worker();
    let mut ask = event("traced", &fixture("voice-note.ogg"));
    ask["data"]["declared"] = json!({ "file_name": "from Ann.opus" });
    ask["data"]["message"] = json!({ "channel": "whatsapp", "caption": "for Ann only" });
    rig.bus.publish(&traced(&ask));
    let outcome = rig.bus.ledger().wait("traced", SOON);
    rig.vouch(&outcome);
    // Long before the next batch is due: what is queued is sent at the end.
    let log = worker.stops();

    let job = collector.job("traced");
    let process = &job.process;
    assert_eq!((process.trace_id.as_str(), process.parent_id.as_str()), (TRACE, "00f067aa0ba902b7"));
    let exchange = rig.config().broker.exchange;
    assert_eq!((&process.name, process.kind, process.status), (&format!("process {exchange}.audio"), 5, 0));
    let destination = format!("{exchange}:media.received.audio:{exchange}.audio");
    for (name, value) in [
        ("messaging.system", "rabbitmq"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", &destination),
        ("messaging.rabbitmq.destination.routing_key", "media.received.audio"),
        ("messaging.message.id", "message-1"),
        ("mediamill.tenant", "acme"),
        ("mediamill.outcome", "normalized"),
        ("mediamill.attempt", "1"),
    ] {
        assert_eq!(process.attribute(name), value, "{name}");
    }
    assert_eq!(process.resource["service.name"], "mediamill");
    for step in ["fetch", "transcode", "store"] {
        let span = job.child(step);
        assert_eq!((span.name.as_str(), span.kind, span.status, &span.trace_id), (step, 1, 0, &process.trace_id));
    }
    let publish = job.child("publish");
    assert_eq!((&publish.name, publish.kind), (&format!("publish {exchange}:media.normalized.audio"), 4));
    assert_eq!(publish.attribute("messaging.operation.type"), "send");
    assert_eq!(publish.attribute("messaging.message.id"), outcome.id());
    assert_eq!(outcome.traceparent, Some(publish.traceparent()));
    assert_eq!(outcome.tracestate.as_deref(), Some(STATE));
    assert_eq!(outcome.event["traceparent"], publish.traceparent());
    assert_eq!(job.children.len(), 4, "{job:#?}");
    let told = format!("{:?}", collector.spans());
    assert!(!told.contains("Ann") && !told.contains("voice-note") && !told.contains("fixtures"), "{told}");
    let line = log.lines().find(|line| line.contains("\"outcome\":\"normalized\"")).expect("a line");
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["span"], json!({ "name": "job", "tenant": "acme", "media_id": "traced", "trace_id": TRACE }));
}

#[test]
fn what_goes_wrong_is_marked_with_its_code() {
    let Some(rabbit) = calm() else { return };
    let collector = Collector::start();
    let rig = rig(rabbit, &format!("{}/", collector.url()));
    let worker = rig.worker();
    // Of nobody who traces: the trace begins here.
    let outcome = rig.outcome("rejected", &fixture("garbage.bin"));
    rig.bus.publish(&Letter { body: b"not JSON".to_vec(), ..traced(&event("x", &fixture("note.txt"))) });
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    worker.stops();

    let job = collector.job("rejected");
    assert!(job.process.parent_id.is_empty() && outcome.traceparent == Some(job.child("publish").traceparent()));
    for span in [&job.process, job.child("transcode")] {
        assert_eq!((span.status, span.attribute("error.type")), (2, "media.unsupported"), "{span:?}");
    }
    assert_eq!((job.child("publish").status, job.child("fetch").status), (0, 0));
    assert_eq!(job.process.attribute("mediamill.outcome"), "rejected");
    let spans = collector.spans();
    let dead = spans.iter().find(|span| span.attribute("mediamill.outcome") == "dead").expect("a span");
    assert_eq!((dead.trace_id.as_str(), dead.attribute("error.type")), (TRACE, "event.malformed"));
    let buried = spans.iter().find(|span| span.parent_id == dead.span_id).expect("a span");
    assert_eq!(buried.name, format!("publish {}.dead", rig.config().broker.exchange));
}

#[test]
fn each_try_is_a_span_in_the_same_trace() {
    let Some(rabbit) = calm() else { return };
    let collector = Collector::start();
    let mut rig = rig(rabbit, &collector.url());
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    let worker = rig.worker();
    // Where the tenant's folder should be is a file.
    std::fs::write(rig.dir.path().join("store/acme"), "").expect("a file");
    rig.bus.publish(&traced(&event("tried", &fixture("note.txt"))));
    let outcome = rig.bus.ledger().wait("tried", SOON);
    assert_eq!(outcome.code(), "store.unavailable");
    worker.stops();
    let spans = collector.spans();
    let tries: Vec<_> = spans.iter().filter(|span| span.name.starts_with("process")).collect();
    let of = |name| tries.iter().map(|span| span.attribute(name)).collect::<Vec<_>>();
    assert_eq!((of("mediamill.attempt"), of("mediamill.outcome")), (vec!["1", "2"], vec!["retry", "failed"]));
    assert_eq!(of("error.type"), ["store.unavailable"; 2]);
    assert!(spans.iter().all(|span| span.trace_id == TRACE), "{spans:#?}");
    assert!(outcome.traceparent.expect("a traceparent").contains(TRACE));
}

#[test]
fn a_sender_who_does_not_sample_is_not_overruled() {
    let Some(rabbit) = calm() else { return };
    let collector = Collector::start();
    let rig = rig(rabbit, &collector.url());
    let worker = rig.worker();
    let mut ask = event("unsampled", &fixture("note.txt"));
    ask["traceparent"] = json!(format!("00-{TRACE}-00f067aa0ba902b7-00"));
    rig.bus.publish(&letter(&ask));
    let said = rig.bus.ledger().wait("unsampled", SOON).traceparent.expect("a traceparent");
    assert!(said.starts_with(&format!("00-{TRACE}-")) && said.ends_with("-00"), "{said}");
    worker.stops();
    assert!(collector.spans().is_empty());
}

#[test]
fn a_collector_that_refuses_is_logged_once() {
    let Some(rabbit) = calm() else { return };
    let collector = Collector::that_answers(|n| if n < 3 { StatusCode::BAD_REQUEST } else { StatusCode::OK });
    let rig = rig(rabbit, &collector.url());
    let worker = eager_worker(&rig);
    for n in 0..5 {
        rig.outcome(&format!("refused-{n}"), &fixture("note.txt"));
        wait_until("another batch", || collector.batches() > n);
    }
    wait_until("a word", || worker.logged("the collector takes traces again") == 1);
    assert_eq!(worker.logged("traces are lost: the collector does not take them"), 1);
    let log = worker.stops();
    assert_eq!(log.matches("\"level\":\"WARN\"").count() + log.matches("\"level\":\"ERROR\"").count(), 1, "{log}");
}

#[test]
fn no_job_and_no_end_waits_for_a_dead_collector() {
    let Some(rabbit) = calm() else { return };
    let stalled = Http::start(|_| vec![Step::Stall]);
    for endpoint in ["http://127.0.0.1:1", &stalled.url("")] {
        let rig = rig(rabbit, endpoint);
        let worker = eager_worker(&rig);
        let begun = Instant::now();
        for n in 0..10 {
            rig.outcome(&format!("waits-{n}"), &fixture("note.txt"));
        }
        assert!(begun.elapsed() < REQUEST_TIMEOUT, "{endpoint}: {:?}", begun.elapsed());
        let begun = Instant::now();
        worker.stops();
        assert!(begun.elapsed() < REQUEST_TIMEOUT, "{endpoint}: {:?}", begun.elapsed());
    }
    assert!(!stalled.asked().is_empty());
}
