//! The public contract: the events that other services send and receive, and the manifest in the store.
//!
//! Fields are only ever added within a version. Unknown fields of an incoming event are ignored, except below
//! `message` and `context`, where they are echoed back.

mod alert;
mod envelope;
mod glance;
mod ids;
mod manifest;
mod message;
mod normalized;
mod payload;
mod privacy;
mod received;
mod record;
mod rejected;
mod request;
mod sizes;
mod structured;
mod tombstone;
mod trace;
mod transcript;

pub use alert::Alert;
pub use envelope::{EnvelopeError, Event, Headers, STRUCTURED};
pub use ids::{outcome_id, received_id, update_id};
pub use manifest::{MAX_REVISIONS, Manifest, ManifestError, StoredOutcome};
pub use message::{Edited, Revoked};
pub use normalized::{Asset, Decision, Normalized, Original, Timings, WorkerInfo};
pub use payload::Payload;
pub use privacy::{Consent, ConsentStatus, ContactIds, Erase, Erased, ErasedBecause, Hold, Residue};
pub use received::{Declared, Message, Origin, Privacy, Received, URGENT_KEY};
pub use record::Record;
pub use rejected::{Failed, Rejected, RejectedOriginal};
pub use request::Incoming;
pub use sizes::{MAX_CONTEXT_BYTES, MAX_OUTCOME_BYTES, MAX_REQUEST_BYTES};
pub use tombstone::Tombstone;
pub use trace::{TRACEPARENT, TRACESTATE, TraceContext};
pub use transcript::{Segment, Transcribed};

pub use crate::vocabulary::{
    Action, Damage, Kind, Loudness, MAX_ID_BYTES, Orientation, Peaks, Reason, Role, SandboxStatus, Stage, Stream,
    StreamDetail,
};

/// `type` of the event that asks for work.
pub const RECEIVED_TYPE: &str = "mediamill.media.received.v1";
/// `type` of the outcome: assets are stored.
pub const NORMALIZED_TYPE: &str = "mediamill.media.normalized.v1";
/// `type` of the outcome: this file can never be processed.
pub const REJECTED_TYPE: &str = "mediamill.media.rejected.v1";
/// `type` of the outcome: retries are spent, or an operator is needed.
pub const FAILED_TYPE: &str = "mediamill.media.failed.v1";
/// `type` of the event: somebody has changed the text under a media.
pub const EDITED_TYPE: &str = "mediamill.message.edited.v1";
/// `type` of the event: somebody has taken a message back.
pub const REVOKED_TYPE: &str = "mediamill.message.revoked.v1";
/// `type` of the event: nothing of a media is stored any more.
pub const ERASED_TYPE: &str = "mediamill.media.erased.v1";
/// `type` of the event: somebody has written down what is said in a media.
pub const TRANSCRIBED_TYPE: &str = "mediamill.media.transcribed.v1";
/// `type` of the event: a person has decided about purposes.
pub const CONSENT_TYPE: &str = "mediamill.privacy.consent.v1";
/// `type` of the event: delete for certain.
pub const ERASE_TYPE: &str = "mediamill.privacy.erase.v1";
/// `type` of the event: something must not be deleted, or may be again.
pub const HOLD_TYPE: &str = "mediamill.privacy.hold.v1";
/// `type` of the event: an operator is needed.
pub const ALERT_TYPE: &str = "mediamill.alert.v1";
/// Routing key of [`ALERT_TYPE`].
pub const ALERT_KEY: &str = "alert";
/// Routing key of [`ERASED_TYPE`].
pub const ERASED_KEY: &str = "media.erased";
/// Routing key of [`TRANSCRIBED_TYPE`].
pub const TRANSCRIBED_KEY: &str = "media.transcribed";
/// Routing key of [`CONSENT_TYPE`].
pub const CONSENT_KEY: &str = "privacy.consent";
/// Routing key of [`ERASE_TYPE`].
pub const ERASE_KEY: &str = "privacy.erase";
/// Routing key of [`HOLD_TYPE`].
pub const HOLD_KEY: &str = "privacy.hold";
