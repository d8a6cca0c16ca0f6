//! Events and manifests as changes of the index.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::index::{Change, Entry, MediaState};
use crate::error::{Code, Fault};
use crate::events::{
    EDITED_TYPE, ERASED_TYPE, Edited, Erased, Event, FAILED_TYPE, Manifest, Message, NORMALIZED_TYPE, Normalized,
    Privacy, REJECTED_TYPE, Rejected, StoredOutcome, TRANSCRIBED_TYPE, Transcribed,
};
use crate::links::role_name;
use crate::vocabulary::Role;

/// Fields of a message that say nothing of who it is from. People are known by keyed hashes.
const IMPERSONAL: [&str; 5] = ["channel", "direction", "voice", "received_at", "sent_at"];
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Who a message is from and belongs to, as keyed hashes: given a tenant and a message.
pub type Hasher = dyn Fn(&str, &Message) -> Vec<String> + Send + Sync;

/// What the index makes of an event; nothing where it is of a type that the index has no use for.
///
/// # Errors
/// A [`Fault::Rejected`] where its data cannot be read. It says which type it is, and no word of the data.
pub fn change(event: &Event, hasher: &Hasher) -> Result<Option<Change>, Fault> {
    let time = event.timestamp().ok_or_else(|| unreadable(&event.kind))?;
    let change = match event.kind.as_str() {
        NORMALIZED_TYPE => {
            let data: Normalized = data(event)?;
            Change::Outcome(Box::new(normalized(&event.id, time, &data, &event.data, hasher)))
        }
        REJECTED_TYPE | FAILED_TYPE => {
            let state = if event.kind == REJECTED_TYPE { MediaState::Rejected } else { MediaState::Failed };
            let data: Rejected = data(event)?;
            Change::Outcome(Box::new(rejected(state, &event.id, time, &data, &event.data, hasher)))
        }
        ERASED_TYPE => erased(data(event)?, time),
        EDITED_TYPE => {
            let Edited { tenant, media_id, message, edited_at } = data(event)?;
            let captioned_at = edited_at.and_then(|at| at.parse().ok()).unwrap_or(time);
            Change::Captioned { tenant, media_id, caption: message.caption, captioned_at }
        }
        TRANSCRIBED_TYPE => {
            let Transcribed { tenant, media_id, text, .. } = data(event)?;
            Change::Transcribed { tenant, media_id, text, transcribed_at: time }
        }
        _ => return Ok(None),
    };
    Ok(Some(change))
}

/// What the index makes of a manifest.
#[must_use]
pub fn change_of_manifest(manifest: &Manifest, hasher: &Hasher) -> Option<Change> {
    let entry = match manifest.current() {
        StoredOutcome::Normalized(record) => {
            let time = record.time().parse().ok()?;
            normalized(record.event_id(), time, &record.data, record.value(), hasher)
        }
        StoredOutcome::Rejected(record) => {
            let time = record.time().parse().ok()?;
            rejected(MediaState::Rejected, record.event_id(), time, &record.data, record.value(), hasher)
        }
    };
    Some(Change::Outcome(Box::new(entry)))
}

/// What the index makes of an erased media.
#[must_use]
pub(super) fn erased(erased: Erased, time: Timestamp) -> Change {
    let erased_at = erased.erased_at.parse().unwrap_or(time);
    let Erased { tenant, media_id, certificate, .. } = erased;
    Change::Erased { tenant, media_id, certificate, erased_at }
}

fn normalized(event_id: &str, time: Timestamp, data: &Normalized, value: &Value, hasher: &Hasher) -> Entry {
    let message = data.message.clone().unwrap_or_default();
    let sent_at = sent_at(&message, time);
    Entry {
        tenant: data.tenant.clone(),
        media_id: data.media_id.clone(),
        state: MediaState::Normalized,
        revision: data.revision,
        event_id: event_id.to_owned(),
        outcome_at: time,
        sent_at,
        expires_at: expires_at(value, data.privacy.as_ref(), sent_at),
        kind: Some(data.kind.as_str().to_owned()),
        channel: message.channel.clone(),
        direction: message.direction.clone(),
        profile: Some(data.decision.profile.clone()),
        code: None,
        file_name: data.original.file_name.clone(),
        caption: message.caption.clone(),
        tags: data.tags.clone(),
        contacts: hasher(&data.tenant, &message),
        data: without_people(value).to_string(),
    }
}

fn rejected(
    state: MediaState,
    event_id: &str,
    time: Timestamp,
    data: &Rejected,
    value: &Value,
    hasher: &Hasher,
) -> Entry {
    let message = data.message.clone().unwrap_or_default();
    let sent_at = sent_at(&message, time);
    Entry {
        tenant: data.tenant.clone(),
        media_id: data.media_id.clone(),
        state,
        revision: data.revision.unwrap_or(1),
        event_id: event_id.to_owned(),
        outcome_at: time,
        sent_at,
        expires_at: expires_at(value, data.privacy.as_ref(), sent_at),
        kind: None,
        channel: message.channel.clone(),
        direction: message.direction.clone(),
        profile: None,
        code: Some(data.code.clone()),
        file_name: data.original.as_ref().and_then(|original| original.file_name.clone()),
        caption: message.caption.clone(),
        tags: data.tags.clone(),
        contacts: hasher(&data.tenant, &message),
        data: without_people(value).to_string(),
    }
}

fn sent_at(message: &Message, time: Timestamp) -> Timestamp {
    let known = [&message.sent_at, &message.received_at];
    known.into_iter().flatten().find_map(|at| at.parse().ok()).unwrap_or(time)
}

/// As the worker has worked it out, or else by what the sender asked for.
fn expires_at(data: &Value, privacy: Option<&Privacy>, sent_at: Timestamp) -> Option<Timestamp> {
    let said = data.get("expires_at").and_then(Value::as_str).and_then(|at| at.parse().ok());
    said.or_else(|| {
        let days = privacy?.retention_days?;
        sent_at.checked_add(DAY * i32::try_from(days).ok()?).ok()
    })
}

/// The data of an outcome without the fields of the message that identify people, and without the sender's own fields there,
/// which may. The text and the file's name have columns of their own.
fn without_people(value: &Value) -> Value {
    let Value::Object(map) = value else { return Value::Null };
    let mut map = map.clone();
    if let Some(Value::Object(message)) = map.get_mut("message") {
        let kept: Map<String, Value> = IMPERSONAL.iter().filter_map(|key| message.remove_entry(*key)).collect();
        *message = kept;
    }
    if let Some(Value::Object(original)) = map.get_mut("original") {
        original.remove("file_name");
    }
    Value::Object(map)
}

fn data<T: serde::de::DeserializeOwned>(event: &Event) -> Result<T, Fault> {
    T::deserialize(&event.data).map_err(|_| unreadable(&event.kind))
}

fn unreadable(kind: &str) -> Fault {
    Fault::rejected(Code::EventInvalid, format!("the catalogue cannot read an event of the type {kind}"))
}

/// A file of a media, as its outcome names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is for.
    pub role: Role,
    /// Its key in the store.
    pub key: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its length in ms.
    pub duration_ms: Option<u64>,
}

/// The files of a media, from the data of its outcome. The original is one of them where it is kept.
#[must_use]
pub fn objects(data: &Value) -> Vec<Object> {
    let mut found: Vec<Object> = data
        .get("assets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|asset| object(asset, None))
        .collect();
    let original = data.get("original").and_then(|original| object(original, Some(Role::Original)));
    if let Some(original) = original.filter(|_| !found.iter().any(|object| object.role == Role::Original)) {
        found.push(original);
    }
    found
}

fn object(value: &Value, role: Option<Role>) -> Option<Object> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let named = || {
        let name = value.get("role")?.as_str()?;
        let all = [Role::Playback, Role::Thumbnail, Role::Rendition, Role::Waveform, Role::Peaks, Role::Original];
        all.into_iter().find(|role| role_name(*role) == name)
    };
    Some(Object {
        role: role.or_else(named)?,
        key: text("key")?,
        mime_type: text("mime_type")?,
        size_bytes: value.get("size_bytes")?.as_u64()?,
        sha256: text("sha256")?,
        duration_ms: value.get("duration_ms").and_then(Value::as_u64),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nobody(_tenant: &str, _message: &Message) -> Vec<String> {
        Vec::new()
    }

    fn event(kind: &str, data: Value) -> Event {
        Event {
            id: "e".to_owned(),
            source: "mediamill".to_owned(),
            kind: kind.to_owned(),
            subject: None,
            time: Some("2026-11-22T10:00:01Z".to_owned()),
            trace: None,
            data,
        }
    }

    fn rejection() -> Value {
        json!({
            "tenant": "acme", "media_id": "m", "cause": "c", "code": "media.empty", "stage": "fetch", "explanation": "no",
            "attempts": 1, "later": { "field": 1 }, "privacy": { "retention_days": 30 }, "tags": ["vip"],
            "message": {
                "channel": "whatsapp", "direction": "inbound", "phone": "+5511999990000", "contact_name": "Maria",
                "caption": "hello", "sent_at": "2026-11-20T00:00:00Z", "own": "Maria", "message_id": "wamid.x",
                "contact_id": "deal-7", "conversation_id": "c-9", "user_id": "u-1",
            },
        })
    }

    #[test]
    fn a_row_holds_nobodys_name_and_every_field_of_a_later_version() {
        let change = change(&event(REJECTED_TYPE, rejection()), &nobody).expect("readable").expect("of use");
        let Change::Outcome(entry) = change else { panic!("no outcome") };
        assert_eq!((entry.state, entry.code.as_deref()), (MediaState::Rejected, Some("media.empty")));
        assert_eq!(entry.sent_at.to_string(), "2026-11-20T00:00:00Z");
        assert_eq!(entry.expires_at.map(|at| at.to_string()).as_deref(), Some("2026-12-20T00:00:00Z"));
        for word in ["+5511", "Maria", "wamid", "deal-7", "c-9", "u-1", "hello"] {
            assert!(!entry.data.contains(word), "{word}: {}", entry.data);
        }
        assert!(entry.data.contains(r#""later":{"field":1}"#), "{}", entry.data);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_a_word_of_it() {
        let mut data = rejection();
        data["attempts"] = json!("+5511999990000");
        let fault = change(&event(REJECTED_TYPE, data), &nobody).expect_err("no number");
        assert!(fault.code() == Some(Code::EventInvalid) && !fault.message().contains("5511"), "{fault}");
        assert_eq!(change(&event("other.v1", Value::Null), &nobody), Ok(None));
    }

    #[test]
    fn the_original_is_a_file_once() {
        let file = |key: &str| json!({ "key": key, "mime_type": "audio/ogg", "size_bytes": 1, "sha256": "ab" });
        let mut asset = file("acme/m/x/original.ogg");
        asset["role"] = json!("original");
        let roles = |data: &Value| objects(data).into_iter().map(|object| object.role).collect::<Vec<_>>();
        assert_eq!(roles(&json!({ "original": file("k"), "assets": [asset] })), [Role::Original]);
        assert_eq!(roles(&json!({ "original": file("k"), "assets": [{ "role": "hologram" }] })), [Role::Original]);
        let kept = json!({ "original": { "key": null, "mime_type": "audio/ogg", "size_bytes": 1, "sha256": "ab" } });
        assert_eq!(roles(&kept), []);
    }
}
