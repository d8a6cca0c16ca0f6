//! What a message that asks for work turned out to be: a request, a request that can only be answered, or neither.
//!
//! Whoever can be named by at least one id gets an answer. Texts name the field that is wrong and never its value.

use std::io;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::envelope::{EnvelopeError, Event, Headers};
use super::glance::glance;
use super::{MAX_CONTEXT_BYTES, Message, Origin, Privacy, RECEIVED_TYPE, Received};

/// What a message that asks for work turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A request.
    Valid(Event, Received),
    /// A request that cannot be done as it is, from a sender who can be told: what can be read of it, and what is wrong.
    Invalid(Event, Received, EnvelopeError),
    /// Nothing that could be answered.
    Unreadable(EnvelopeError),
}

impl Incoming {
    /// Reads a message. Of one with more than [`super::MAX_REQUEST_BYTES`] nothing but attributes and ids is read.
    #[must_use]
    pub fn read(content_type: Option<&str>, headers: &Headers, body: &[u8]) -> Self {
        let (event, error) = match Event::decode(content_type, headers, body) {
            Ok(event) => match event.received() {
                Ok(received) => return Self::Valid(event, received),
                Err(error) => (Some(event), error),
            },
            Err(error @ EnvelopeError::TooLarge { .. }) => (glance(content_type, headers, body), error),
            Err(error) => (None, error),
        };
        let asked = event.filter(|event| event.kind == RECEIVED_TYPE);
        match asked.and_then(|event| Some((event.salvage()?, event))) {
            Some((received, event)) => Self::Invalid(event, received, error),
            None => Self::Unreadable(error),
        }
    }
}

impl Event {
    /// The data as a request for work.
    ///
    /// # Errors
    /// [`EnvelopeError::Type`], [`EnvelopeError::Data`] and [`EnvelopeError::Context`].
    pub fn received(&self) -> Result<Received, EnvelopeError> {
        if self.kind != RECEIVED_TYPE {
            return Err(EnvelopeError::Type);
        }
        if self.data.get("context").is_some_and(|context| !context_fits(context)) {
            return Err(EnvelopeError::Context);
        }
        serde_path_to_error::deserialize(&self.data).map_err(|err| EnvelopeError::Data(blame(&self.data, &err)))
    }

    /// What can be told of a request whose data is invalid, so that its sender can be: the ids, and what is echoed. An id
    /// that is a number is its decimal text. Where one id is there, the other one may be missing: it is empty then.
    #[must_use]
    pub fn salvage(&self) -> Option<Received> {
        let text = |name: &str| self.data.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| self.data.get(name).filter(|id| id.is_number()).map(Value::to_string);
        let id = |name: &str| text(name).filter(|id| !id.is_empty()).or_else(|| number(name));
        let echo = |name: &str| self.data.get(name).cloned().unwrap_or_default();
        let (tenant, media_id) = (id("tenant"), id("media_id"));
        if tenant.is_none() && media_id.is_none() {
            return None;
        }
        Some(Received {
            tenant: tenant.unwrap_or_default(),
            media_id: media_id.unwrap_or_default(),
            origin: Origin::File { path: String::new() },
            declared: None,
            profile: text("profile"),
            renormalize: false,
            message: serde_json::from_value(echo("message")).unwrap_or_default(),
            privacy: serde_json::from_value(echo("privacy")).unwrap_or_default(),
            tags: serde_json::from_value(echo("tags")).unwrap_or_default(),
            context: self.data.get("context").filter(|context| context_fits(context)).cloned(),
        })
    }
}

/// Whether `context` is within its limit. Counts without writing it anywhere.
fn context_fits(context: &Value) -> bool {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > MAX_CONTEXT_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Count(0), context).is_ok()
}

/// Which field is wrong and what it should be, without its value.
fn blame(data: &Value, err: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, problem) = (err.path().to_string(), without_values(err.inner()));
    let field = match path.as_str() {
        // Below these, serde reads all fields before it looks at any, and then does not know which one it was.
        "message" => inner::<Message>(&path, data),
        "privacy" => inner::<Privacy>(&path, data),
        "origin" => origin(&path, data),
        "." => "data".to_owned(),
        _ => path,
    };
    format!("{field}: {problem}")
}

/// The field of an object of optional fields that cannot be read alone either. Only fields that the schema knows can be
/// wrong, so that no name of the sender's own is repeated.
fn inner<T: DeserializeOwned>(path: &str, data: &Value) -> String {
    let fields = data.get(path).and_then(Value::as_object).into_iter().flatten();
    let alone = |name: &String, value: &Value| Value::Object([(name.clone(), value.clone())].into_iter().collect());
    let wrong = fields.into_iter().find(|(name, value)| serde_json::from_value::<T>(alone(name, value)).is_err());
    wrong.map_or_else(|| path.to_owned(), |(name, _)| format!("{path}.{name}"))
}

/// The field of `origin` that is wrong: a kind that is none, or what should be text and is not.
fn origin(path: &str, data: &Value) -> String {
    let Some(origin) = data.get(path).and_then(Value::as_object) else { return path.to_owned() };
    let known = ["s3", "http", "file", "channel"];
    if !origin.get("kind").and_then(Value::as_str).is_some_and(|kind| known.contains(&kind)) {
        return format!("{path}.kind");
    }
    let fields = ["bucket", "key", "url", "path", "account", "media"];
    let wrong = fields.into_iter().find(|name| origin.get(*name).is_some_and(|v| !v.is_string()));
    wrong.map_or_else(|| path.to_owned(), |name| format!("{path}.{name}"))
}

/// What serde says, without the value that it complains of.
fn without_values(err: &serde_json::Error) -> String {
    let text = err.to_string();
    if text.starts_with("missing field") {
        return text;
    }
    text.rsplit_once(", expected ").map_or_else(|| "it is wrong".to_owned(), |(_, rest)| format!("expected {rest}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::MAX_REQUEST_BYTES;
    use super::*;
    use crate::error::{Code, Fault};

    fn envelope(data: &Value) -> Value {
        json!({ "specversion": "1.0", "id": "e1", "source": "crm", "type": RECEIVED_TYPE, "data": data })
    }

    fn request() -> Value {
        json!({ "tenant": "acme", "media_id": "m1", "origin": { "kind": "s3", "bucket": "inbox", "key": "a" } })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut data = request();
        data[name] = value;
        data
    }

    fn read(data: &Value) -> Incoming {
        Incoming::read(None, &Headers::new(), envelope(data).to_string().as_bytes())
    }

    /// What is answered, the code and the text.
    fn answered(data: &Value) -> (Received, Code, String) {
        match read(data) {
            Incoming::Invalid(_, received, error) => {
                let fault = Fault::from(error);
                (received, fault.code().expect("a code"), fault.message().to_owned())
            }
            other => panic!("{data}: {other:?}"),
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named_and_its_value_is_not() {
        for (name, value, field) in [
            ("declared", json!({ "size_bytes": "secret" }), "declared.size_bytes: expected u64"),
            ("declared", json!({ "size_bytes": -1 }), "declared.size_bytes: expected u64"),
            ("tags", json!("secret"), "tags: expected a sequence"),
            ("tags", json!(["a", "b", 7]), "tags[2]: expected a string"),
            ("message", json!({ "channel": "x", "voice": "secret" }), "message.voice: expected a boolean"),
            ("message", json!({ "of_their_own": 7, "caption": ["secret"] }), "message.caption: expected a string"),
            ("privacy", json!({ "retention_days": "secret" }), "privacy.retention_days: expected u32"),
            ("profile", json!(7), "profile: expected a string"),
            ("tenant", json!(7), "tenant: expected a string"),
            ("origin", json!({ "kind": "secret" }), "origin.kind: expected one of"),
            ("origin", json!({ "kind": "http", "url": 7 }), "origin.url: expected a string"),
            ("origin", json!({ "kind": "http" }), "origin: missing field `url`"),
            ("origin", json!({ "kind": "channel", "account": "a", "media": 7 }), "origin.media: expected a string"),
            ("origin", json!("secret"), "origin: expected"),
        ] {
            let (_, code, text) = answered(&with(name, value));
            assert_eq!(code, Code::EventInvalid, "{text}");
            assert!(text.contains(field), "{field} is not in: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
        let missing = json!({ "tenant": "acme", "media_id": "m1" });
        assert!(answered(&missing).2.contains("data: missing field `origin`"));
    }

    #[test]
    fn whoever_can_be_named_is_answered() {
        let ids = |data: &Value| {
            let (received, code, _) = answered(data);
            assert_eq!(code, Code::EventInvalid);
            (received.tenant, received.media_id)
        };
        let is = |tenant: &str, media_id: &str| (tenant.to_owned(), media_id.to_owned());
        assert_eq!(ids(&with("media_id", json!(12345))), is("acme", "12345"));
        assert_eq!(ids(&with("tenant", json!(-5))), is("-5", "m1"));
        assert_eq!(ids(&with("tenant", json!(null))), is("", "m1"));
        assert_eq!(ids(&with("media_id", json!(["m1"]))), is("acme", ""));
        assert_eq!(ids(&json!({ "tenant": 1.5, "media_id": 2 })), is("1.5", "2"));
        assert_eq!(ids(&json!({ "media_id": "m1" })), is("", "m1"));
        for nobody in [json!({ "hello": "world" }), json!([]), json!(null), json!({ "tenant": "", "media_id": {} })] {
            assert!(matches!(read(&nobody), Incoming::Unreadable(EnvelopeError::Data(_))), "{nobody}");
        }
    }

    #[test]
    fn optional_fields_may_be_null() {
        for name in ["declared", "profile", "message", "privacy", "tags", "context"] {
            let Incoming::Valid(_, received) = read(&with(name, json!(null))) else { panic!("{name}") };
            assert!(received.tags.is_empty() && received.message.is_none(), "{name}");
        }
    }

    #[test]
    fn a_context_has_a_limit_and_the_rest_of_the_request_is_echoed() {
        let at_limit = "x".repeat(MAX_CONTEXT_BYTES - 2);
        assert!(matches!(read(&with("context", json!(at_limit))), Incoming::Valid(..)));
        let mut data = with("context", json!(format!("{at_limit}x")));
        data["message"] = json!({ "caption": "c" });
        data["tags"] = json!(["t"]);
        let (received, code, text) = answered(&data);
        assert_eq!((code, received.context, received.tags.len()), (Code::EventLimitContext, None, 1));
        assert_eq!(received.message.and_then(|message| message.caption).as_deref(), Some("c"));
        assert!(text.contains("65536"), "{text}");
        // Whatever else is wrong: what is too large is not echoed.
        data["declared"] = json!(7);
        assert_eq!(answered(&data).0.context, None);
    }

    #[test]
    fn a_message_that_is_too_large_is_answered_where_its_ids_can_be_found() {
        let mut data = with("context", json!("x".repeat(MAX_REQUEST_BYTES)));
        data["tags"] = json!(["t"]);
        let (received, code, text) = answered(&data);
        assert_eq!((received.tenant.as_str(), received.media_id.as_str()), ("acme", "m1"));
        assert_eq!((code, received.context, received.tags.len()), (Code::EventLimitBytes, None, 0));
        assert!(text.contains("1048576"), "{text}");
        data["media_id"] = json!(7);
        assert_eq!(answered(&data).0.media_id, "7");

        let names = ["specversion", "id", "source", "type"].map(|name| format!("cloudEvents:{name}"));
        let headers: Headers = names.into_iter().zip(["1.0", "e1", "crm", RECEIVED_TYPE].map(str::to_owned)).collect();
        let binary = Incoming::read(Some("application/json"), &headers, data.to_string().as_bytes());
        assert!(matches!(binary, Incoming::Invalid(_, _, EnvelopeError::TooLarge { .. })), "{binary:?}");

        let blank = vec![b' '; MAX_REQUEST_BYTES + 1];
        let of_another_type = envelope(&data).to_string().replace("received.v1", "received.v2");
        for bytes in [blank.as_slice(), of_another_type.as_bytes()] {
            let nobody = Incoming::read(None, &Headers::new(), bytes);
            assert!(matches!(nobody, Incoming::Unreadable(EnvelopeError::TooLarge { .. })), "{nobody:?}");
        }
    }
}
