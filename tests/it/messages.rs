//! What may arrive in a lane: both modes of CloudEvents, traces, and everything that is no event at all.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::bus::{Found, Letter};
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, fixture, headers, letter};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn raw(body: impl Into<Vec<u8>>, properties: BasicProperties) -> Letter {
    Letter { routing_key: "media.received".to_owned(), properties, body: body.into() }
}

/// Sends, and gives back the one dead letter that comes of it.
fn buried(rig: &Rig, letter: &Letter) -> Found {
    rig.bus.publish(letter);
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    rig.bus.take_all("dead").remove(0)
}

#[test]
fn binary_mode_in_both_spellings_and_its_trace() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    for (n, mark) in ["cloudEvents:", "cloudEvents_"].into_iter().enumerate() {
        let media_id = format!("binary-{n}");
        let event = event(&media_id, &fixture("note.txt"));
        let names = ["specversion", "id", "source", "type", "time"].map(|name| (format!("{mark}{name}"), name));
        let mut pairs: Vec<_> =
            names.iter().map(|(header, name)| (header.as_str(), event[*name].as_str().expect("text"))).collect();
        pairs.extend([("traceparent", TRACE), ("tracestate", STATE)]);
        let properties =
            BasicProperties::default().with_content_type("application/json".into()).with_headers(headers(&pairs));
        rig.bus.publish(&raw(event["data"].to_string(), properties));
        let outcome = rig.bus.ledger().wait(&media_id, SOON);
        assert_eq!(outcome.word, "normalized", "{:#}", outcome.event);
        assert_eq!((outcome.traceparent.as_deref(), outcome.tracestate.as_deref()), (Some(TRACE), Some(STATE)));
        assert_eq!((&outcome.event["traceparent"], &outcome.event["tracestate"]), (&json!(TRACE), &json!(STATE)));
        assert_eq!(outcome.data()["cause"], event["id"]);
    }
    worker.stops();
}

#[test]
fn structured_mode_needs_no_headers_and_passes_its_trace_on() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let _worker = rig.worker();
    let mut event = event("bare", &fixture("note.txt"));
    event["traceparent"] = json!(TRACE);
    rig.bus.publish(&raw(event.to_string(), BasicProperties::default()));
    let outcome = rig.bus.ledger().wait("bare", SOON);
    assert_eq!((outcome.word.as_str(), outcome.traceparent.as_deref()), ("normalized", Some(TRACE)));
    assert_eq!((outcome.tracestate, outcome.event.get("tracestate")), (None, None));
    assert_eq!(outcome.event["subject"], "acme/bare");
}

#[test]
fn bytes_that_are_no_event_are_buried_with_the_reason_and_the_next_message_is_served() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let good = || event("poison", &fixture("note.txt"));
    let mut of_another_type = good();
    of_another_type["type"] = json!("mediamill.media.received.v2");
    let mut of_another_version = good();
    of_another_version["specversion"] = json!("0.3");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let plain = BasicProperties::default;
    let cases = [
        ("event.malformed", raw("hello", plain())),
        ("event.malformed", raw("", plain())),
        ("event.malformed", raw(b"\xff\xfe{\"a\":".as_slice(), plain())),
        ("event.malformed", raw(deep, plain())),
        ("event.limit-bytes", raw(format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20)), plain())),
        ("event.malformed", raw(good().to_string(), plain().with_content_type("text/plain".into()))),
        ("event.unsupported", raw(of_another_type.to_string(), plain())),
        ("event.unsupported", raw(of_another_version.to_string(), plain())),
        ("event.unsupported", raw("[]", plain().with_content_type("application/cloudevents-batch+json".into()))),
        ("event.invalid", raw(event_without_ids().to_string(), plain())),
    ];
    for (code, letter) in cases {
        let dead = buried(&rig, &letter);
        assert_eq!(dead.header("x-mediamill-code").as_deref(), Some(code));
        assert_eq!(dead.header("x-mediamill-stage").as_deref(), Some("parse"));
        assert!(dead.header("x-mediamill-reason").is_some_and(|reason| reason.len() > 10), "{dead:?}");
        assert_eq!(dead.body, letter.body);
        assert_eq!(dead.properties.content_type(), letter.properties.content_type());
    }
    assert_eq!(rig.bus.ledger().len(), 0);
    assert_eq!(rig.outcome("after-poison", &fixture("note.txt")).word, "normalized");
    worker.stops();
}

fn event_without_ids() -> Value {
    let mut event = event("x", &fixture("note.txt"));
    event["data"] = json!({ "hello": "world" });
    event
}

#[test]
fn data_that_breaks_the_schema_is_answered_where_there_is_somebody_to_answer() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let _worker = rig.worker();
    let mut event = event("invalid", &fixture("note.txt"));
    event["data"]["origin"] = json!({ "kind": "carrier-pigeon" });
    event["data"]["context"] = json!({ "deal": 7 });
    rig.bus.publish(&letter(&event));
    let outcome = rig.bus.ledger().wait("invalid", SOON);
    assert_eq!((outcome.word.as_str(), outcome.code()), ("rejected", "event.invalid"), "{:#}", outcome.event);
    assert_eq!(outcome.data()["context"], event["data"]["context"]);
}

/// Sends, and gives back what the rejected event says.
fn rejected(rig: &Rig, media_id: &str, event: &Value) -> Value {
    rig.bus.publish(&letter(event));
    let outcome = rig.bus.ledger().wait(media_id, SOON);
    assert_eq!((outcome.word.as_str(), &outcome.data()["cause"]), ("rejected", &event["id"]), "{:#}", outcome.event);
    outcome.data().clone()
}

#[test]
fn an_id_that_is_a_number_or_missing_is_answered_with_the_other_one() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let _worker = rig.worker();
    let mut number = event("12345", &fixture("note.txt"));
    number["data"]["media_id"] = json!(12345);
    let data = rejected(&rig, "12345", &number);
    assert_eq!((&data["code"], &data["tenant"]), (&json!("event.invalid"), &json!("acme")), "{data:#}");
    let said = data["explanation"].as_str().expect("a text");
    assert!(said.contains("media_id: expected a string") && !said.contains("12345"), "{said}");
    let mut missing = event("no-tenant", &fixture("note.txt"));
    missing["data"].as_object_mut().expect("data").remove("tenant");
    let data = rejected(&rig, "no-tenant", &missing);
    assert_eq!((&data["code"], &data["tenant"]), (&json!("event.invalid"), &json!("")), "{data:#}");
}

#[test]
fn what_is_too_large_is_answered_with_a_code_of_its_own() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let mut large = event("large-context", &fixture("note.txt"));
    large["data"]["context"] = json!({ "history": "x".repeat(64 << 10) });
    large["data"]["tags"] = json!(["a"]);
    large["data"]["message"] = json!({ "caption": "c", "of_their_own": 1 });
    let data = rejected(&rig, "large-context", &large);
    assert_eq!((&data["code"], data.get("context")), (&json!("event.limit-context"), None), "{data:#}");
    assert_eq!((&data["tags"], &data["message"]), (&large["data"]["tags"], &large["data"]["message"]));

    let mut larger = event("large-message", &fixture("note.txt"));
    // RabbitMQ 4 takes messages of up to 16 MiB (its default of max_message_size).
    larger["data"]["context"] = json!("x".repeat(15 << 20));
    let data = rejected(&rig, "large-message", &larger);
    assert_eq!((&data["code"], &data["tenant"]), (&json!("event.limit-bytes"), &json!("acme")), "{data:#}");
    assert_eq!(rig.bus.depth("dead").ready, 0);
    assert_eq!(rig.outcome("after", &fixture("note.txt")).word, "normalized");
    worker.stops();
}

#[test]
fn headers_of_every_kind_and_size_are_survived() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let mut odd = FieldTable::default();
    odd.insert("traceparent".into(), AMQPValue::LongLongInt(7));
    odd.insert("x-mediamill-attempts".into(), AMQPValue::LongString("many".into()));
    odd.insert("table".into(), AMQPValue::FieldTable(headers(&[("a", "b")])));
    odd.insert("void".into(), AMQPValue::Void);
    odd.insert("large".into(), AMQPValue::LongString("x".repeat(100_000).into()));
    let properties = BasicProperties::default().with_headers(odd).with_expiration("600000".into());
    rig.bus.publish(&raw(event("odd", &fixture("note.txt")).to_string(), properties.clone()));
    assert_eq!(rig.bus.ledger().wait("odd", SOON).word, "normalized");
    let dead = buried(&rig, &raw("odd and no event", properties));
    assert_eq!(dead.header("x-mediamill-code").as_deref(), Some("event.malformed"));
    worker.stops();
}

#[test]
fn clocks_of_senders_may_say_anything() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    for (n, time) in ["1970-01-01T00:00:00Z", "2199-12-31T23:59:59Z", "yesterday"].into_iter().enumerate() {
        let mut event = event(&format!("clock-{n}"), &fixture("note.txt"));
        event["time"] = json!(time);
        rig.bus.publish(&letter(&event));
        let outcome = rig.bus.ledger().wait(&format!("clock-{n}"), SOON);
        assert_eq!(outcome.word, "normalized", "{:#}", outcome.event);
        assert_eq!(outcome.data()["timings_ms"]["queue"].as_u64().is_some_and(|ms| ms > 0), n == 0, "{time}");
    }
    worker.stops();
}
