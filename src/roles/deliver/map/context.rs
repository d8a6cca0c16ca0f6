//! What expressions and templates of a map see.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::subject::Subject;
use crate::events::Event;

/// The event's `id`, `source`, `type`, `time` and `data`; `message`, `context` and `original` of the data, empty where there is none;
/// `outcome`, its word; `media_key`, 64 hex digits that stand for the media;
/// `assets` by role; `links` to them by role, and `links.page`, where links are configured; `marker`, which notes end with.
#[must_use]
pub fn context(event: &Event, subject: &Subject, links: &BTreeMap<String, String>, marker: &str) -> Value {
    let object =
        |key: &str| event.data.get(key).filter(|value| value.is_object()).cloned().unwrap_or_else(|| json!({}));
    json!({
        "message": object("message"),
        "context": object("context"),
        "original": object("original"),
        "id": event.id,
        "source": event.source,
        "type": event.kind,
        "time": event.time,
        "data": event.data,
        "outcome": subject.word.as_str(),
        "media_key": media_key(&subject.tenant, &subject.media_id),
        "assets": assets(&event.data),
        "links": links,
        "marker": marker,
    })
}

/// Stands for a media in fields of a CRM: hex only, since some refuse dots in external ids, and ids of messages hold phone
/// numbers.
#[must_use]
pub fn media_key(tenant: &str, media_id: &str) -> String {
    hex::encode(Sha256::digest(format!("{}:{tenant}/{media_id}", tenant.len())))
}

/// What the names of a media's files at a destination begin with: nothing of the customer's file name, and the same for the same
/// media, so that they are found by it.
#[must_use]
pub fn file_stem(tenant: &str, media_id: &str) -> String {
    format!("mediamill-{:.16}", media_key(tenant, media_id))
}

/// The assets of a normalized event by role, and the original where it is kept.
pub(super) fn assets(data: &Value) -> Map<String, Value> {
    let mut assets = Map::new();
    for asset in data.get("assets").and_then(Value::as_array).into_iter().flatten() {
        if let Some(role) = asset.get("role").and_then(Value::as_str) {
            assets.entry(role).or_insert_with(|| asset.clone());
        }
    }
    let original = data.get("original");
    if let Some(original) = original.filter(|original| original.get("key").is_some_and(Value::is_string)) {
        assets.entry("original").or_insert_with(|| original.clone());
    }
    assets
}
