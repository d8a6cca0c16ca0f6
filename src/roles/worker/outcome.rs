//! The three ways in which a well-formed message ends, and their events.

use jiff::Timestamp;

use crate::error::Code;
use crate::events::{
    Event, FAILED_TYPE, Failed, NORMALIZED_TYPE, Normalized, REJECTED_TYPE, Received, Record, Rejected,
    RejectedOriginal, Stage, StoredOutcome, TraceContext, outcome_id,
};

/// How a job ended for those who sent it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Assets are stored.
    Normalized(Box<Record<Normalized>>),
    /// This file can never be processed.
    Rejected(Box<Record<Rejected>>),
    /// Retries are spent, or an operator is needed.
    Failed(Box<Record<Failed>>),
}

impl Outcome {
    /// The word used in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Normalized(_) => "normalized",
            Self::Rejected(_) => "rejected",
            Self::Failed(_) => "failed",
        }
    }

    /// Why there are no assets.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Normalized(_) => None,
            Self::Rejected(record) | Self::Failed(record) => Code::parse(&record.data.code),
        }
    }

    /// Whether a manifest has it, so that the next worker that gets the message publishes the same.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        match self {
            Self::Normalized(_) => true,
            Self::Rejected(record) => record.data.revision.is_some(),
            Self::Failed(_) => false,
        }
    }

    /// Where the event goes on the topic exchange.
    #[must_use]
    pub fn routing_key(&self) -> String {
        match self {
            Self::Normalized(record) => format!("media.normalized.{}", record.data.kind.as_str()),
            Self::Rejected(_) => "media.rejected".to_owned(),
            Self::Failed(_) => "media.failed".to_owned(),
        }
    }

    /// The event itself. `source` is this worker's name for itself, `trace` the received event's.
    #[must_use]
    pub fn event(&self, source: &str, trace: Option<TraceContext>) -> Event {
        let about = |tenant: &str, media_id: &str| Some(format!("{tenant}/{media_id}"));
        let (kind, id, time, data, subject) = match self {
            Self::Normalized(record) => {
                let subject = about(&record.data.tenant, &record.data.media_id);
                (NORMALIZED_TYPE, record.event_id(), record.time(), record.value(), subject)
            }
            Self::Rejected(record) | Self::Failed(record) => {
                let kind = if matches!(self, Self::Rejected(_)) { REJECTED_TYPE } else { FAILED_TYPE };
                let subject = about(&record.data.tenant, &record.data.media_id);
                (kind, record.event_id(), record.time(), record.value(), subject)
            }
        };
        Event {
            id: id.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            subject,
            time: Some(time.to_owned()),
            trace,
            data: data.clone(),
        }
    }
}

impl From<StoredOutcome> for Outcome {
    fn from(stored: StoredOutcome) -> Self {
        match stored {
            StoredOutcome::Normalized(record) => Self::Normalized(record),
            StoredOutcome::Rejected(record) => Self::Rejected(record),
        }
    }
}

/// What an outcome needs to know of its job.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// `id` of the received event.
    pub cause: &'a str,
    /// The received event's data.
    pub received: &'a Received,
    /// Version of the profile that the event asks for; empty where there is no such profile.
    pub profile_version: &'a str,
    /// How often the job was tried, this time included.
    pub attempts: u32,
}

/// A rejected file that is kept, which of its media's revisions that makes, and when it is to be deleted.
pub(super) type KeptOriginal = (RejectedOriginal, u32, Option<Timestamp>);

impl Subject<'_> {
    /// The file can never be processed.
    #[must_use]
    pub fn rejected(&self, stage: Stage, code: Code, explanation: &str) -> Outcome {
        Outcome::Rejected(Box::new(self.ended(REJECTED_TYPE, stage, code, explanation, None)))
    }

    /// Retries are spent, or an operator is needed.
    #[must_use]
    pub fn failed(&self, stage: Stage, code: Code, explanation: &str) -> Outcome {
        Outcome::Failed(Box::new(self.ended(FAILED_TYPE, stage, code, explanation, None)))
    }

    /// The file can never be processed, and its original is stored: for the manifest.
    pub(super) fn rejected_and_kept(
        &self,
        stage: Stage,
        code: Code,
        explanation: &str,
        kept: KeptOriginal,
    ) -> Record<Rejected> {
        self.ended(REJECTED_TYPE, stage, code, explanation, Some(kept))
    }

    fn ended(
        &self,
        kind: &str,
        stage: Stage,
        code: Code,
        explanation: &str,
        kept: Option<KeptOriginal>,
    ) -> Record<Rejected> {
        let Self { cause, received, profile_version, attempts } = *self;
        let (original, revision, expires_at) = match kept {
            Some((original, revision, expires_at)) => (Some(original), Some(revision), expires_at),
            None => (None, None, None),
        };
        let data: Failed = Rejected {
            tenant: received.tenant.clone(),
            media_id: received.media_id.clone(),
            cause: cause.to_owned(),
            code: code.as_str().to_owned(),
            stage,
            explanation: explanation.to_owned(),
            attempts,
            original,
            revision,
            expires_at: expires_at.map(|at| at.to_string()),
            message: received.message.clone(),
            privacy: received.privacy.clone(),
            tags: received.tags.clone(),
            context: received.context.clone(),
        };
        let about = About { tenant: &received.tenant, media_id: &received.media_id, profile_version, cause };
        // Our own types always turn into JSON: string keys, finite numbers.
        #[expect(clippy::expect_used, reason = "a type of strings and integers always turns into JSON")]
        Record::new(about.event_id(kind, code.as_str()), Timestamp::now().to_string(), data).expect("JSON")
    }
}

/// What every outcome's id is made of.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Whose media it is.
    pub tenant: &'a str,
    /// The media.
    pub media_id: &'a str,
    /// Version of the profile.
    pub profile_version: &'a str,
    /// `id` of the received event.
    pub cause: &'a str,
}

impl About<'_> {
    /// `id` of an outcome event: the same for every repetition, whichever worker publishes it, and another one for every other
    /// outcome.
    /// `which` is as [`outcome_id`] has it.
    #[must_use]
    pub fn event_id(&self, event_type: &str, which: &str) -> String {
        let Self { tenant, media_id, profile_version, cause } = *self;
        outcome_id(tenant, media_id, profile_version, event_type, cause, which)
    }

    /// `id` of the event that says that the media was normalized.
    #[must_use]
    pub fn normalized_id(&self, revision: u32) -> String {
        self.event_id(NORMALIZED_TYPE, &revision.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_id_and_different_outcomes_have_different_ones() {
        let id = |tenant, media_id, kind, cause, which| {
            About { tenant, media_id, profile_version: "0123456789ab", cause }.event_id(kind, which)
        };
        let one = id("acme", "1", NORMALIZED_TYPE, "e1", "1");
        assert_eq!(one, id("acme", "1", NORMALIZED_TYPE, "e1", "1"));
        let others = [
            id("acme", "1", NORMALIZED_TYPE, "e1", "2"),
            id("acme", "1", NORMALIZED_TYPE, "e2", "1"),
            id("acme", "2", NORMALIZED_TYPE, "e1", "1"),
            id("acme", "1", REJECTED_TYPE, "e1", "source.not-found"),
            id("acme", "1", REJECTED_TYPE, "e1", "media.unsupported"),
            id("acme", "1", REJECTED_TYPE, "e2", "source.not-found"),
            id("acme", "1", FAILED_TYPE, "e1", "source.not-found"),
        ];
        for (n, other) in others.iter().enumerate() {
            assert!(*other != one && !others[n + 1..].contains(other), "{n}");
        }
        assert_ne!(id("a\0b", "c", NORMALIZED_TYPE, "e", "1"), id("a", "b\0c", NORMALIZED_TYPE, "e", "1"));
        assert_eq!(one, "d1b70a39-d9de-53df-859e-6c2c0cef875b");
    }

    #[test]
    fn a_rejection_echoes_what_it_was_sent() {
        let received: Received = serde_json::from_value(serde_json::json!({
            "tenant": "acme", "media_id": "m", "origin": { "kind": "http", "url": "https://a.example/x?sig=secret" },
            "message": { "channel": "whatsapp", "of_their_own": [1, 2] }, "tags": ["t"], "context": { "deal": 7 },
        }))
        .expect("valid");
        let subject = Subject { cause: "e1", received: &received, profile_version: "v", attempts: 3 };
        let outcome = subject.rejected(Stage::Fetch, Code::SourceNotFound, "gone");
        let event = outcome.event("mediamill", None);
        assert_eq!((outcome.routing_key().as_str(), outcome.is_stored()), ("media.rejected", false));
        assert_eq!((event.kind.as_str(), event.subject.as_deref()), (REJECTED_TYPE, Some("acme/m")));
        assert_eq!(
            event.data,
            serde_json::json!({
                "tenant": "acme", "media_id": "m", "cause": "e1", "code": "source.not-found", "stage": "fetch",
                "explanation": "gone", "attempts": 3, "message": { "channel": "whatsapp", "of_their_own": [1, 2] },
                "tags": ["t"], "context": { "deal": 7 },
            })
        );
    }
}
