//! What the API is asked and what it answers. The OpenAPI document is made from these types.

mod privacy;

pub use privacy::{ErasureAsked, ErasureProgress, ErasureState, HoldAccepted, HoldAsked, Person, SubjectAsked};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A page of media, the latest message first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MediaPage {
    /// The media.
    pub items: Vec<Media>,
    /// What `cursor` has to be for the next page; absent where this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is known of a media.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Media {
    /// Whose it is.
    pub tenant: String,
    /// Which one.
    pub media_id: String,
    /// `normalized`, `rejected` or `failed`.
    pub state: String,
    /// Which of its outcomes this is.
    pub revision: i64,
    /// When the message was sent (RFC 3339).
    pub sent_at: String,
    /// When it was normalized, rejected or failed (RFC 3339).
    pub outcome_at: String,
    /// When its time is over (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// `audio`, `video`, `image` or `document`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `whatsapp`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// `inbound` or `outbound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Name of the compression profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Why it was rejected or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The sender's name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The text under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// What is said in it; in a page of media its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// Its labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Keyed hashes of the person, the CRM's contact and the conversation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Its files.
    pub objects: Vec<MediaObject>,
    /// `data` of its outcome, as the event had it, without what identifies people. In a page of media it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// A file of a media.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MediaObject {
    /// `playback`, `thumbnail`, `rendition`, `waveform`, `peaks` or `original`.
    pub role: String,
    /// Its path below the address of the catalogue.
    pub path: String,
    /// MIME type.
    pub mime_type: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Length in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Where a file is, for who asks for JSON: a URL that needs no token and works for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObjectLink {
    /// The URL. Where the store signs none, it is the catalogue's own, which needs the token as before.
    pub url: String,
    /// When the URL ends (RFC 3339); absent for the catalogue's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Why a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// A stable code.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// Number of the certificate of an erased media.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// A link that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revocation {
    /// The id of the link, as the audit log has it.
    pub link: String,
    /// When it was revoked (RFC 3339).
    pub revoked_at: String,
}
