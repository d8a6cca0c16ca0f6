//! What an event is about, as far as deliveries go.

use jiff::Timestamp;
use serde_json::Value;

use crate::events::{
    ALERT_TYPE, EDITED_TYPE, ERASED_TYPE, Event, FAILED_TYPE, NORMALIZED_TYPE, REJECTED_TYPE, REVOKED_TYPE,
    TRANSCRIBED_TYPE,
};

/// The events that can be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Assets are stored.
    Normalized,
    /// A file can never be processed.
    Rejected,
    /// Retries are spent, or an operator is needed.
    Failed,
    /// A media was erased.
    Erased,
    /// A transcript is there.
    Transcribed,
    /// The text under a media was changed, or the message taken back.
    Edited,
    /// An operator is needed.
    Alert,
}

impl Word {
    /// All of them, with the words of the configuration, and the routing keys that their events have.
    pub const ALL: [(Self, &'static str, &'static [&'static str]); 7] = [
        (Self::Normalized, "normalized", &["media.normalized.*", "media.normalized"]),
        (Self::Rejected, "rejected", &["media.rejected"]),
        (Self::Failed, "failed", &["media.failed"]),
        (Self::Erased, "erased", &["media.erased"]),
        (Self::Transcribed, "transcribed", &["media.transcribed"]),
        (Self::Edited, "edited", &["message.edited", "message.revoked"]),
        (Self::Alert, "alert", &["alert"]),
    ];

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(word, ..)| *word == self).map_or("", |(_, text, _)| text)
    }

    /// The event of a word in the configuration.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word, _)| *word == text).map(|(word, ..)| *word)
    }

    /// The routing keys that its events have.
    #[must_use]
    pub fn keys(self) -> &'static [&'static str] {
        Self::ALL.iter().find(|(word, ..)| *word == self).map_or(&[], |(.., keys)| keys)
    }

    fn of(event_type: &str) -> Option<Self> {
        Some(match event_type {
            NORMALIZED_TYPE => Self::Normalized,
            REJECTED_TYPE => Self::Rejected,
            FAILED_TYPE => Self::Failed,
            ERASED_TYPE => Self::Erased,
            TRANSCRIBED_TYPE => Self::Transcribed,
            EDITED_TYPE | REVOKED_TYPE => Self::Edited,
            ALERT_TYPE => Self::Alert,
            _ => return None,
        })
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `id` of the event.
    pub event_id: String,
    /// Its type.
    pub word: Word,
    /// Whose media it is; empty for an alert that is nobody's.
    pub tenant: String,
    /// Which media; empty for an alert.
    pub media_id: String,
    /// Which of the media's outcomes it is; 0 where the event has none.
    pub revision: i64,
    /// Kind of the media, where the event says it.
    pub kind: Option<String>,
    /// The sender's tags.
    pub tags: Vec<String>,
    /// The event's time.
    pub time: Option<Timestamp>,
}

impl Subject {
    /// Reads it off an event; nothing where it is of a type that is not delivered, or has no ids.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let word = Word::of(&event.kind)?;
        let text = |key: &str| event.data.get(key).and_then(Value::as_str).map(str::to_owned);
        let (tenant, media_id) = (text("tenant"), text("media_id"));
        let is_named = tenant.as_deref().is_some_and(|id| !id.is_empty()) && media_id.is_some();
        if word != Word::Alert && !is_named {
            return None;
        }
        let tags = event.data.get("tags").and_then(Value::as_array);
        let tags = tags.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self {
            event_id: event.id.clone(),
            word,
            tenant: tenant.unwrap_or_default(),
            media_id: media_id.unwrap_or_default(),
            revision: event.data.get("revision").and_then(Value::as_i64).unwrap_or(0),
            kind: text("kind"),
            tags,
            time: event.timestamp(),
        })
    }

    /// What stands in front of the records of its steps in the ledger: outcomes that have no revision of their own would
    /// otherwise share one.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        match self.word {
            Word::Normalized | Word::Rejected => "",
            Word::Failed => "failed/",
            Word::Transcribed => "transcribed/",
            Word::Edited => "edited/",
            Word::Erased | Word::Alert => "other/",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, data: Value) -> Event {
        let (id, source) = ("e1".to_owned(), "mediamill".to_owned());
        Event { id, source, kind: kind.to_owned(), subject: None, time: None, trace: None, data }
    }

    #[test]
    fn a_subject_has_the_ids_of_its_event() {
        let data = json!({ "tenant": "acme", "media_id": "m1", "revision": 3, "kind": "audio", "tags": ["vip", 7] });
        let subject = Subject::of(&event(NORMALIZED_TYPE, data)).expect("a subject");
        assert_eq!((subject.word, subject.revision, subject.scope()), (Word::Normalized, 3, ""));
        assert_eq!((subject.kind.as_deref(), subject.tags), (Some("audio"), vec!["vip".to_owned()]));
        let none = [
            (NORMALIZED_TYPE, json!({ "media_id": "m1" })),
            (NORMALIZED_TYPE, json!({ "tenant": "", "media_id": "m1" })),
            ("other.v1", json!({ "tenant": "acme", "media_id": "m1" })),
            (ERASED_TYPE, json!(null)),
        ];
        for (kind, data) in none {
            assert_eq!(Subject::of(&event(kind, data)), None, "{kind}");
        }
        assert!(Subject::of(&event(ALERT_TYPE, json!({}))).is_some(), "an alert is about no media");
    }

    #[test]
    fn words_lead_to_themselves() {
        for (word, text, keys) in Word::ALL {
            assert_eq!((Word::parse(text), word.as_str(), word.keys()), (Some(word), text, keys));
        }
        assert_eq!(Word::parse("received"), None);
    }
}
