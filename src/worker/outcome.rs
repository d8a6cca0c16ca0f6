//! The three ways in which a well-formed message ends, and the events that say so.

use serde_json::Value;
use uuid::Uuid;

use crate::error::{Code, Fault};
use crate::events::{
    Event, FAILED_TYPE, Failed, Manifest, NORMALIZED_TYPE, REJECTED_TYPE, Received, Rejected, Stage, TraceContext,
};

/// The namespace of outcome event ids (a random UUID of this project's own, RFC 9562 section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6469_616d_4c1c_8f3e_2a51_7b90_d4e6);

/// A step that ended a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", stage.as_str())]
pub struct Failure {
    /// The step.
    pub stage: Stage,
    /// What happened, and what it means for the job.
    pub fault: Fault,
}

/// Marks an error with the step at which it came up.
pub(super) trait At<T> {
    /// The error as the end of a job at `stage`.
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Into<Fault>> At<T> for Result<T, E> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|err| Failure { stage, fault: err.into() })
    }
}

/// How a job ended for those who sent it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Assets are stored.
    Normalized(Box<Manifest>),
    /// This file can never be processed.
    Rejected(Box<Ended>),
    /// Retries are spent, or an operator is needed.
    Failed(Box<Ended>),
}

/// The end of a job without assets.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Of the outcome event.
    pub event_id: String,
    /// Its data; a failed event's has the same shape.
    pub data: Rejected,
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
            Self::Rejected(ended) | Self::Failed(ended) => Code::parse(&ended.data.code),
        }
    }

    /// Where the event goes on the topic exchange.
    #[must_use]
    pub fn routing_key(&self) -> String {
        match self {
            Self::Normalized(manifest) => format!("media.normalized.{}", manifest.data.kind.as_str()),
            Self::Rejected(_) => "media.rejected".to_owned(),
            Self::Failed(_) => "media.failed".to_owned(),
        }
    }

    /// The event itself. `source` is this worker's name for itself, `trace` the received event's.
    #[must_use]
    pub fn event(&self, source: &str, trace: Option<TraceContext>) -> Event {
        let (id, time, kind, tenant, media_id, data) = match self {
            Self::Normalized(manifest) => {
                let data = &manifest.data;
                let time = manifest.time().to_owned();
                (manifest.event_id(), time, NORMALIZED_TYPE, &data.tenant, &data.media_id, manifest.said().clone())
            }
            Self::Rejected(ended) => ended.parts(REJECTED_TYPE),
            Self::Failed(ended) => ended.parts(FAILED_TYPE),
        };
        Event {
            id: id.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            subject: Some(format!("{tenant}/{media_id}")),
            time: Some(time),
            trace,
            data,
        }
    }
}

impl Ended {
    fn parts(&self, kind: &'static str) -> (&str, String, &'static str, &String, &String, Value) {
        let Self { event_id, data } = self;
        (event_id, jiff::Timestamp::now().to_string(), kind, &data.tenant, &data.media_id, to_value(data))
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

impl Subject<'_> {
    /// The file can never be processed.
    #[must_use]
    pub fn rejected(&self, stage: Stage, code: Code, explanation: &str) -> Outcome {
        Outcome::Rejected(Box::new(self.ended(REJECTED_TYPE, stage, code, explanation)))
    }

    /// Retries are spent, or an operator is needed.
    #[must_use]
    pub fn failed(&self, stage: Stage, code: Code, explanation: &str) -> Outcome {
        Outcome::Failed(Box::new(self.ended(FAILED_TYPE, stage, code, explanation)))
    }

    fn ended(&self, kind: &str, stage: Stage, code: Code, explanation: &str) -> Ended {
        let Self { cause, received, profile_version, attempts } = *self;
        let data: Failed = Rejected {
            tenant: received.tenant.clone(),
            media_id: received.media_id.clone(),
            cause: cause.to_owned(),
            code: code.as_str().to_owned(),
            stage,
            explanation: explanation.to_owned(),
            attempts,
            message: received.message.clone(),
            privacy: received.privacy.clone(),
            tags: received.tags.clone(),
            context: received.context.clone(),
        };
        Ended { event_id: event_id(&received.tenant, &received.media_id, profile_version, kind), data }
    }
}

/// `id` of an outcome event: the same for every repetition, whichever worker says it.
///
/// UUID version 5 (RFC 9562) over tenant, media id, profile version and event type. Each id has its length in front, so
/// that no two different quadruples give the same text.
#[must_use]
pub fn event_id(tenant: &str, media_id: &str, profile_version: &str, kind: &str) -> String {
    let name = format!("{}\0{tenant}\0{}\0{media_id}\0{profile_version}\0{kind}", tenant.len(), media_id.len());
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

/// Our own types always turn into JSON: string keys, finite numbers.
fn to_value<T: serde::Serialize>(data: &T) -> Value {
    serde_json::to_value(data).unwrap_or_else(|err| {
        tracing::error!(%err, "an outcome does not turn into JSON");
        Value::Null
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_id_and_different_outcomes_have_different_ones() {
        let id = |tenant, media, kind| event_id(tenant, media, "0123456789ab", kind);
        assert_eq!(id("acme", "1", NORMALIZED_TYPE), id("acme", "1", NORMALIZED_TYPE));
        assert_ne!(id("acme", "1", NORMALIZED_TYPE), id("acme", "1", REJECTED_TYPE));
        assert_ne!(id("acme", "1", NORMALIZED_TYPE), id("acme", "2", NORMALIZED_TYPE));
        assert_ne!(id("a\0b", "c", NORMALIZED_TYPE), id("a", "b\0c", NORMALIZED_TYPE));
        assert_eq!(id("acme", "1", NORMALIZED_TYPE), "e70accb2-d81c-5dac-a469-9417d9af5adf");
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
        assert_eq!(outcome.routing_key(), "media.rejected");
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
