//! What changes the index.

use jiff::Timestamp;

/// What became of a media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaState {
    /// Something else is known of it already, such as its transcript; its outcome has not come yet.
    Waiting,
    /// Not now; it may be tried again.
    Failed,
    /// It can never be processed. Its original may be stored.
    Rejected,
    /// Its files are stored.
    Normalized,
    /// Nothing of it is stored any more, for good.
    Erased,
}

impl MediaState {
    /// In the order of their standing: a later one takes an earlier one's place, and never the other way round.
    const ALL: [Self; 5] = [Self::Waiting, Self::Failed, Self::Rejected, Self::Normalized, Self::Erased];

    /// As it stands in rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Normalized => "normalized",
            Self::Erased => "erased",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub(super) const fn standing(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Failed => 1,
            Self::Rejected => 2,
            Self::Normalized => 3,
            Self::Erased => 4,
        }
    }
}

/// An outcome of a media, as the index keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Whose it is.
    pub tenant: String,
    /// Which one.
    pub media_id: String,
    /// [`MediaState::Failed`], [`MediaState::Rejected`] or [`MediaState::Normalized`].
    pub state: MediaState,
    /// Which of its outcomes this is.
    pub revision: u32,
    /// `id` of the outcome's event.
    pub event_id: String,
    /// `time` of the outcome's event.
    pub outcome_at: Timestamp,
    /// When the message was sent, or else received, or else the time of its event.
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
    /// Its labels.
    pub tags: Vec<String>,
    /// Keyed hashes of the person, the CRM's contact and the conversation.
    pub contacts: Vec<String>,
    /// `data` of the event as JSON, without what identifies people.
    pub data: String,
}

/// One change of the index. `Debug` shows ids only.
#[derive(Clone, PartialEq)]
pub enum Change {
    /// A media has an outcome.
    Outcome(Box<Entry>),
    /// A media was erased.
    Erased {
        /// Whose it was.
        tenant: String,
        /// Which one.
        media_id: String,
        /// Number of the certificate.
        certificate: String,
        /// When.
        erased_at: Timestamp,
    },
    /// The text under a media is another one now.
    Captioned {
        /// Whose it is.
        tenant: String,
        /// Which one.
        media_id: String,
        /// The new text; nothing where there is none any more.
        caption: Option<String>,
        /// When: of several the latest counts.
        captioned_at: Timestamp,
    },
    /// What is said in a media was written down.
    Transcribed {
        /// Whose it is.
        tenant: String,
        /// Which one.
        media_id: String,
        /// All that is said.
        text: String,
        /// `time` of the event: of several the latest counts.
        transcribed_at: Timestamp,
    },
    /// A media's time is over at another time than its outcome says, or never.
    Expires {
        /// Whose it is.
        tenant: String,
        /// Which one.
        media_id: String,
        /// When.
        expires_at: Option<Timestamp>,
    },
}

impl Change {
    /// The media that it is about: tenant and id.
    #[must_use]
    pub fn media(&self) -> (&str, &str) {
        match self {
            Self::Outcome(entry) => (&entry.tenant, &entry.media_id),
            Self::Erased { tenant, media_id, .. }
            | Self::Captioned { tenant, media_id, .. }
            | Self::Transcribed { tenant, media_id, .. }
            | Self::Expires { tenant, media_id, .. } => (tenant, media_id),
        }
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self {
            Self::Outcome(entry) => entry.state.as_str(),
            Self::Erased { .. } => "erased",
            Self::Captioned { .. } => "captioned",
            Self::Transcribed { .. } => "transcribed",
            Self::Expires { .. } => "expires",
        };
        let (tenant, media_id) = self.media();
        f.debug_struct("Change")
            .field("what", &what)
            .field("tenant", &tenant)
            .field("media_id", &media_id)
            .finish_non_exhaustive()
    }
}
