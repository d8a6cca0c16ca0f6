//! Reads only the ids of a message that is too large to be read as a whole.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::MAX_ID_BYTES;
use super::envelope::{Event, Headers, binary_attributes, from_attributes, media_type};

/// The attributes in structured mode, and the ids.
#[derive(Debug, Deserialize)]
struct Structured {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    data: Ids,
}

/// The ids. All other fields are passed over without being kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ids {
    tenant: Id,
    media_id: Id,
}

/// An id, or whatever stands in its place.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Other(IgnoredAny),
    #[default]
    Missing,
}

/// Reads the attributes and the ids of a message in either mode; nothing where it is no event with JSON data.
pub(super) fn glance(content_type: Option<&str>, headers: &Headers, body: &[u8]) -> Option<Event> {
    let binary = binary_attributes(headers);
    let structured =
        content_type.is_some_and(|content_type| media_type(content_type).starts_with("application/cloudevents"));
    if binary.contains_key("specversion") && !structured {
        let ids = serde_json::from_slice(body).ok()?;
        return from_attributes(&|name| binary.get(name).cloned(), data(ids)).ok();
    }
    let Structured { specversion, id, source, kind, time, subject, data: ids } = serde_json::from_slice(body).ok()?;
    let attribute = |name: &'static str| match name {
        "specversion" => Some(specversion.clone()),
        "id" => Some(id.clone()),
        "source" => Some(source.clone()),
        "type" => Some(kind.clone()),
        "time" => time.clone(),
        "subject" => subject.clone(),
        _ => None,
    };
    from_attributes(&attribute, data(ids)).ok()
}

fn data(ids: Ids) -> Value {
    json!({ "tenant": ids.tenant.value(), "media_id": ids.media_id.value() })
}

impl Id {
    fn value(self) -> Value {
        match self {
            // A longer id counts as missing: no answer has a part of what made the message too large.
            Self::Text(text) if text.len() <= MAX_ID_BYTES => text.into(),
            Self::Whole(number) => number.into(),
            Self::Fraction(number) => number.into(),
            Self::Text(_) | Self::Other(_) | Self::Missing => Value::Null,
        }
    }
}
