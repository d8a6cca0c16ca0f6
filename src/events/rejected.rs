//! `mediamill.media.rejected.v1` and `mediamill.media.failed.v1`: no assets, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Message, Privacy};
use crate::vocabulary::Stage;

/// The data of a *media rejected* event: this file can never be processed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// From the received event.
    pub tenant: String,
    /// From the received event.
    pub media_id: String,
    /// `id` of the received event that led to this one.
    pub cause: String,
    /// Stable reason; docs/events.md lists them all.
    pub code: String,
    /// The step at which it ended.
    pub stage: Stage,
    /// One sentence for people.
    pub explanation: String,
    /// How often the job was tried.
    pub attempts: u32,
    /// The file as it came, where it was fetched and is kept although nothing could be made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<RejectedOriginal>,
    /// Which of the media's outcomes this is, from 1, where its original is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// When its original is to be deleted (RFC 3339), where it is kept; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// A file that was fetched, kept and rejected: what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedOriginal {
    /// MIME type by content; `application/octet-stream` where nothing recognised it.
    pub mime_type: String,
    /// MIME type as declared, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_mime_type: Option<String>,
    /// File name as declared, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Short name of the container, where it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Key of the stored original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The data of a *media failed* event: the same shape, but trying again later may help (`mediamill replay`).
pub type Failed = Rejected;
