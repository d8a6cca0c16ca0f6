//! Writes structured mode.

use serde::Serialize;
use serde_json::Value;

use super::Event;

/// The JSON of structured mode, with its attributes in this order.
#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    datacontenttype: &'static str,
    data: &'a Value,
}

pub(super) fn write(event: &Event) -> Vec<u8> {
    let Event { id, source, kind, subject, time, trace, data } = event;
    let structured = Structured {
        specversion: "1.0",
        id,
        source,
        kind,
        subject: subject.as_deref(),
        time: time.as_deref(),
        traceparent: trace.as_ref().map(|trace| trace.traceparent.as_str()),
        tracestate: trace.as_ref().and_then(|trace| trace.tracestate.as_deref()),
        datacontenttype: "application/json",
        data,
    };
    // Text and JSON values can always be written.
    serde_json::to_vec(&structured).unwrap_or_else(|_| unreachable!("an event that cannot be written as JSON"))
}
