//! A row of the index.

use jiff::Timestamp;
use serde_json::Value;

use super::change::MediaState;
use super::query::Place;

/// What the index knows of a media.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// Whose it is.
    pub tenant: String,
    /// Which one.
    pub media_id: String,
    /// What became of it.
    pub state: MediaState,
    /// Which of its outcomes this is.
    pub revision: i64,
    /// `time` of the outcome's event.
    pub outcome_at: Timestamp,
    /// When the message was sent.
    pub sent_at: Timestamp,
    /// When its time is over.
    pub expires_at: Option<Timestamp>,
    /// `audio`, `video`, `image`, `document`.
    pub kind: Option<String>,
    /// `whatsapp`, …
    pub channel: Option<String>,
    /// `inbound`, `outbound`.
    pub direction: Option<String>,
    /// Name of the compression profile.
    pub profile: Option<String>,
    /// Why it was rejected or failed.
    pub code: Option<String>,
    /// The sender's name of the file.
    pub file_name: Option<String>,
    /// The text under it.
    pub caption: Option<String>,
    /// What is said in it.
    pub transcript: Option<String>,
    /// Number of the certificate, where it was erased.
    pub certificate: Option<String>,
    /// Its labels.
    pub tags: Vec<String>,
    /// Keyed hashes of the person, the CRM's contact and the conversation.
    pub contacts: Vec<String>,
    /// `data` of the outcome, without what identifies people.
    pub data: Value,
    /// Its place among all rows.
    pub place: Place,
}

impl Row {
    /// Whether readers may see it: it has an outcome, was not erased, and its time is not over.
    #[must_use]
    pub fn is_there(&self, now: Timestamp) -> bool {
        !matches!(self.state, MediaState::Erased | MediaState::Waiting) && !self.is_past_due(now)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_past_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// Its ids and its state: the rest is customers'.
impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row")
            .field("tenant", &self.tenant)
            .field("media_id", &self.media_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
