//! CloudEvents 1.0 over AMQP: reads structured and binary mode, writes structured mode.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md> and, for the names of headers, its
//! `bindings/amqp-protocol-binding.md`. Error texts never contain a value of the message, because it may be a caption.

use std::collections::BTreeMap;

use base64::Engine;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::structured::Structured;
use super::{
    MAX_CONTEXT_BYTES, MAX_OUTCOME_BYTES, MAX_REQUEST_BYTES, RECEIVED_TYPE, TRACEPARENT, TRACESTATE, TraceContext,
};
use crate::error::{Code, Fault};

/// Content type of structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// What binary mode looks like over AMQP, for those who try the headers of HTTP.
const MODES: &str =
    "over AMQP, headers of binary mode begin with cloudEvents: or cloudEvents_ (not ce- or cloudEvents-)";

/// Headers whose value is text, or can be written as text.
pub type Headers = BTreeMap<String, String>;

/// A CloudEvent with data of JSON: read as a tree, and written as anything that turns into JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<D = Value> {
    /// Together with `source`, unique for the event.
    pub id: String,
    /// Who says it.
    pub source: String,
    /// The `type` attribute.
    pub kind: String,
    /// What it is about: `<tenant>/<media_id>` in outcome events.
    pub subject: Option<String>,
    /// When it happened (RFC 3339).
    pub time: Option<String>,
    /// Its place in a trace, where the message has a valid one.
    pub trace: Option<TraceContext>,
    /// The payload.
    pub data: D,
}

/// Why a message is not an event that asks for work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not read as a whole.
    #[error("the message has {size_bytes} bytes, more than the {limit_bytes} that an event may have")]
    TooLarge {
        /// As many as it has.
        size_bytes: usize,
        /// As many as are read.
        limit_bytes: usize,
    },
    /// A request whose `context` is too large to be stored and sent back.
    #[error("context has more than {MAX_CONTEXT_BYTES} bytes of JSON")]
    Context,
    /// Neither structured nor binary mode.
    #[error("the message is not a CloudEvent: {0}")]
    NotAnEvent(&'static str),
    /// Neither, and its headers look like those of another protocol's binary mode, or there are none.
    #[error("the message is not a CloudEvent: {0}; {MODES}")]
    NoAttributes(&'static str),
    /// Something that should be JSON is not.
    #[error("{part} is not JSON ({error})")]
    Json {
        /// Which part.
        part: &'static str,
        /// What the parser says: line and column, no content.
        error: String,
    },
    /// A required attribute is missing, empty or no text.
    #[error("the attribute {0:?} is missing, empty or not a text")]
    Attribute(&'static str),
    /// Another version of CloudEvents, a batch, or data that is no JSON.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// An event, but not one that asks for work in a way that this version understands.
    #[error("the event is of another type than {RECEIVED_TYPE}")]
    Type,
    /// The right event with the wrong data.
    #[error("data breaks the schema of {RECEIVED_TYPE}: {0}")]
    Data(String),
}

impl From<EnvelopeError> for Fault {
    fn from(err: EnvelopeError) -> Self {
        let message = err.to_string();
        let code = match err {
            EnvelopeError::TooLarge { .. } => Code::EventLimitBytes,
            EnvelopeError::Context => Code::EventLimitContext,
            EnvelopeError::NotAnEvent(_)
            | EnvelopeError::NoAttributes(_)
            | EnvelopeError::Json { .. }
            | EnvelopeError::Attribute(_) => Code::EventMalformed,
            EnvelopeError::Unsupported(_) | EnvelopeError::Type => Code::EventUnsupported,
            EnvelopeError::Data(_) => Code::EventInvalid,
        };
        Self::rejected(code, message)
    }
}

impl Event {
    /// Reads a message of up to [`MAX_REQUEST_BYTES`]. JSON nested deeper than 128 levels is refused (serde_json's limit).
    ///
    /// # Errors
    /// [`EnvelopeError`]
    pub fn decode(content_type: Option<&str>, headers: &Headers, body: &[u8]) -> Result<Self, EnvelopeError> {
        Self::decode_up_to(MAX_REQUEST_BYTES, content_type, headers, body)
    }

    /// Reads an outcome, which may be larger than the request that it echoes: up to [`MAX_OUTCOME_BYTES`].
    ///
    /// # Errors
    /// As [`Event::decode`].
    pub fn decode_outcome(content_type: Option<&str>, headers: &Headers, body: &[u8]) -> Result<Self, EnvelopeError> {
        Self::decode_up_to(MAX_OUTCOME_BYTES, content_type, headers, body)
    }

    fn decode_up_to(
        limit_bytes: usize,
        content_type: Option<&str>,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Self, EnvelopeError> {
        if body.len() > limit_bytes {
            return Err(EnvelopeError::TooLarge { size_bytes: body.len(), limit_bytes });
        }
        let media_type = content_type.map(media_type).unwrap_or_default();
        let binary = binary_attributes(headers);
        let mut event = if media_type == "application/cloudevents-batch+json" {
            return Err(EnvelopeError::Unsupported("a batch of events"));
        } else if media_type.starts_with("application/cloudevents") {
            from_structured(body)?
        } else if binary.contains_key("specversion") {
            from_attributes(&|name| binary.get(name).cloned(), parse("the body", &media_type, body)?)?
        } else if media_type.is_empty() || is_json(&media_type) {
            from_structured(body)?
        } else {
            return Err(EnvelopeError::NoAttributes("neither its content type nor its headers say so"));
        };
        event.trace = TraceContext::read(|name| headers.get(name).cloned()).or(event.trace);
        Ok(event)
    }

    /// Whether a header of this name is read at all.
    #[must_use]
    pub fn reads(header: &str) -> bool {
        attribute_in(header).is_some() || [TRACEPARENT, TRACESTATE].contains(&header)
    }

    /// When the event happened, where that can be read.
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.as_deref()?.parse().ok()
    }
}

impl<D: Serialize> Event<D> {
    /// The event in structured mode.
    #[must_use]
    pub fn to_structured(&self) -> Vec<u8> {
        let Self { id, source, kind, subject, time, trace, data } = self;
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
        structured.to_json()
    }
}

fn from_structured(body: &[u8]) -> Result<Event, EnvelopeError> {
    let Value::Object(mut map) = parse("the event", "", body)? else {
        return Err(EnvelopeError::NotAnEvent("its JSON is no object"));
    };
    if !map.contains_key("specversion") {
        return Err(EnvelopeError::NoAttributes("it has no specversion"));
    }
    let content_type = map.get("datacontenttype").and_then(Value::as_str).map(media_type).unwrap_or_default();
    let data = match (map.remove("data"), map.remove("data_base64")) {
        (Some(data), _) if content_type.is_empty() || is_json(&content_type) => data,
        (None, Some(Value::String(text))) => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| EnvelopeError::NotAnEvent("data_base64 is no base64"))?;
            parse("data_base64", &content_type, &bytes)?
        }
        (Some(_), _) => return Err(EnvelopeError::Unsupported("data that is no JSON")),
        (None, _) => Value::Null,
    };
    from_attributes(&|name| map.get(name).and_then(Value::as_str).map(str::to_owned), data)
}

pub(super) fn from_attributes(
    get: &dyn Fn(&'static str) -> Option<String>,
    data: Value,
) -> Result<Event, EnvelopeError> {
    let required = |name| get(name).filter(|text: &String| !text.is_empty()).ok_or(EnvelopeError::Attribute(name));
    if required("specversion")? != "1.0" {
        return Err(EnvelopeError::Unsupported("this version of CloudEvents"));
    }
    Ok(Event {
        id: required("id")?,
        source: required("source")?,
        kind: required("type")?,
        subject: get("subject"),
        time: get("time"),
        trace: TraceContext::read(get),
        data,
    })
}

/// The attribute that a header has: `cloudEvents:id`, or `cloudEvents_id` where a broker does not like colons.
fn attribute_in(header: &str) -> Option<String> {
    let rest = header.strip_prefix("cloudEvents").or_else(|| header.strip_prefix("cloudevents"))?;
    rest.strip_prefix([':', '_']).map(str::to_ascii_lowercase)
}

pub(super) fn binary_attributes(headers: &Headers) -> Headers {
    headers.iter().filter_map(|(header, value)| Some((attribute_in(header)?, value.clone()))).collect()
}

fn parse(part: &'static str, content_type: &str, bytes: &[u8]) -> Result<Value, EnvelopeError> {
    if !content_type.is_empty() && !is_json(content_type) {
        return Err(EnvelopeError::Unsupported("data that is no JSON"));
    }
    serde_json::from_slice(bytes).map_err(|err| EnvelopeError::Json { part, error: err.to_string() })
}

/// A content type in lower case without its parameters.
pub(super) fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRACE: [(&str, &str); 2] =
        [(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), (TRACESTATE, "rojo=1,congo=2")];

    fn request() -> Value {
        json!({ "tenant": "acme", "media_id": "m1", "origin": { "kind": "s3", "bucket": "inbox", "key": "a" } })
    }

    fn envelope(data: &Value) -> Value {
        json!({ "specversion": "1.0", "id": "e1", "source": "crm", "type": RECEIVED_TYPE, "data": data })
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn decode(content_type: Option<&str>, pairs: &[(&str, &str)], body: &Value) -> Result<Event, EnvelopeError> {
        Event::decode(content_type, &headers(pairs), body.to_string().as_bytes())
    }

    #[test]
    fn structured_mode_by_content_type_or_by_content() {
        for content_type in
            [Some(STRUCTURED), Some("Application/CloudEvents+JSON; charset=utf-8"), Some("application/json"), None]
        {
            let event = decode(content_type, &[], &envelope(&request())).expect("an event");
            assert_eq!((event.id.as_str(), event.received().expect("valid").media_id.as_str()), ("e1", "m1"));
        }
    }

    #[test]
    fn binary_mode_in_both_spellings() {
        for mark in ["cloudEvents:", "cloudEvents_"] {
            let names = ["specversion", "id", "source", "type", "time"].map(|name| format!("{mark}{name}"));
            let values = ["1.0", "e1", "crm", RECEIVED_TYPE, "2026-11-22T10:00:00Z"];
            let pairs: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
            let event = decode(Some("application/json"), &pairs, &request()).expect("an event");
            assert_eq!(event.received().expect("valid").tenant, "acme");
            assert!(event.timestamp().is_some());
            let error = decode(Some("image/png"), &pairs, &request()).expect_err("no JSON");
            assert_eq!(error, EnvelopeError::Unsupported("data that is no JSON"));
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let event = Event {
            id: "1".into(),
            source: "mediamill".into(),
            kind: "t".into(),
            subject: Some("a/b".into()),
            time: Some("2026-11-22T10:00:00Z".into()),
            trace: TraceContext::read(|name| headers(&TRACE).get(name).cloned()),
            data: json!({ "ü": [1, null] }),
        };
        assert_eq!(Event::decode(Some(STRUCTURED), &Headers::new(), &event.to_structured()), Ok(event));
    }

    #[test]
    fn the_trace_of_the_headers_wins_whole_where_it_is_one() {
        let fields = |pairs: &[(&str, &str)], body: &Value| -> Vec<(String, String)> {
            let trace = decode(None, pairs, body).expect("an event").trace.expect("a trace");
            trace.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>();
        let inside = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut event = envelope(&request());
        event[TRACEPARENT] = inside.into();
        event[TRACESTATE] = "inside=1".into();
        assert_eq!(fields(&TRACE, &event), owned(&TRACE));
        assert_eq!(fields(&TRACE[..1], &event), owned(&TRACE[..1]));
        let inside = owned(&[(TRACEPARENT, inside), (TRACESTATE, "inside=1")]);
        assert_eq!(fields(&[], &event), inside);
        assert_eq!(fields(&[(TRACEPARENT, "00-xyz"), TRACE[1]], &event), inside);
    }

    #[test]
    fn bytes_that_are_no_event_are_named_without_their_content() {
        let code = |content_type: Option<&str>, body: &[u8]| {
            let error = Event::decode(content_type, &Headers::new(), body).expect_err("no event");
            assert!(!error.to_string().contains("secret"), "{error}");
            Fault::from(error).code().expect("a code")
        };
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(code(None, b""), Code::EventMalformed);
        assert_eq!(code(None, b"\xff\xfe secret"), Code::EventMalformed);
        assert_eq!(code(Some(STRUCTURED), deep.as_bytes()), Code::EventMalformed);
        assert_eq!(code(None, br#"{"secret":1}"#), Code::EventMalformed);
        assert_eq!(code(None, br#""secret""#), Code::EventMalformed);
        assert_eq!(code(Some("text/plain"), b"secret"), Code::EventMalformed);
        assert_eq!(code(None, &vec![b' '; MAX_REQUEST_BYTES + 1]), Code::EventLimitBytes);
        assert_eq!(code(Some("application/cloudevents-batch+json"), b"[]"), Code::EventUnsupported);
        let old = envelope(&request()).to_string().replace("\"1.0\"", "\"0.3\"");
        assert_eq!(code(None, old.as_bytes()), Code::EventUnsupported);
        let unnamed = envelope(&request()).to_string().replace("\"e1\"", "\"\"");
        assert_eq!(code(None, unnamed.as_bytes()), Code::EventMalformed);
    }

    #[test]
    fn an_outcome_may_be_larger_than_the_request_that_it_echoes() {
        let mut data = request();
        data["message"] = json!({ "caption": "x".repeat(MAX_REQUEST_BYTES) });
        let body = envelope(&data).to_string().into_bytes();
        assert!(matches!(Event::decode(None, &Headers::new(), &body), Err(EnvelopeError::TooLarge { .. })));
        let event = Event::decode_outcome(None, &Headers::new(), &body).expect("an event");
        assert_eq!(event.data, data);
        let endless = vec![b' '; MAX_OUTCOME_BYTES + 1];
        assert!(Event::decode_outcome(None, &Headers::new(), &endless).is_err());
    }

    #[test]
    fn headers_of_http_are_answered_with_those_of_amqp() {
        for mark in ["ce-", "cloudEvents-"] {
            let name = format!("{mark}specversion");
            for (content_type, code) in
                [(Some("application/json"), Code::EventMalformed), (Some("text/plain"), Code::EventMalformed)]
            {
                let error = decode(content_type, &[(name.as_str(), "1.0")], &request()).expect_err("no event");
                assert!(error.to_string().contains("cloudEvents: or cloudEvents_"), "{error}");
                assert_eq!(Fault::from(error).code(), Some(code));
            }
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_messages_and_contexts_are_echoed() {
        let mut data = request();
        data["novel"] = json!({ "a": 1 });
        data["message"] = json!({ "channel": "whatsapp", "of_their_own": { "b": [2] } });
        data["context"] = json!([1, { "c": null }]);
        let received = decode(None, &[], &envelope(&data)).expect("an event").received().expect("valid");
        assert_eq!(serde_json::to_value(received.message).expect("JSON"), data["message"]);
        assert_eq!(received.context, Some(data["context"].clone()));
    }
}
