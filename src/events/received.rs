//! `mediamill.media.received.v1`: the request to process one file.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Routing key of requests whose file its provider keeps for a short time only.
pub const URGENT_KEY: &str = "media.received.urgent";

/// The data of a *media received* event. `(tenant, media_id)` names one file: it is fetched and normalized once, whatever
/// number of events ask for it, unless one names another profile or asks to `renormalize`. The message as a whole has at
/// most 1048576 bytes (`event.limit-bytes`). An optional field that is null counts as absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Whose media it is; first part of every object key.
    pub tenant: String,
    /// The sender's id of the file, unique within the tenant.
    pub media_id: String,
    /// Where the bytes are.
    pub origin: Origin,
    /// What the channel said about the file: size and hash are checked, the rest is a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Declared>,
    /// Name of the compression profile; the worker's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Whether to normalize the media again although it has an outcome: a new revision takes the old one's place.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "bool")]
    pub renormalize: bool,
    /// The chat message that carried the file; echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Consent and retention; echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Free labels; echoed.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<String>,
    /// Anything with at most 65536 bytes of JSON without white space (`event.limit-context`); echoed untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// As optional fields of other types are read.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// An object in the S3 that the worker is configured for.
    S3 {
        /// Bucket name.
        bucket: String,
        /// Object key.
        key: String,
    },
    /// A URL, https unless the configuration allows otherwise.
    Http {
        /// The URL, which may carry a short-lived signature: it is never logged.
        url: String,
    },
    /// A file below one of the worker's configured roots.
    File {
        /// Absolute path.
        path: String,
    },
    /// An object in a bucket of the tenant's, in any kind of store.
    Object {
        /// Name of the bucket: a table below `buckets` in the worker's configuration. It says whose the bucket is and has the
        /// credentials.
        account: String,
        /// `s3://bucket/key`, `gs://bucket/key` or `az://container/key`, percent-encoded, below the address of the account.
        url: String,
    },
    /// A file that a messaging provider keeps for one of the accounts that the worker is configured for.
    Channel {
        /// Name of the account: a table below `channels` in the worker's configuration. It alone says which hosts are asked,
        /// and with which credentials.
        account: String,
        /// The provider's id of the file, or its URL where the provider gives no id. A URL of a host that is not the
        /// account's is refused, and it is never logged.
        media: String,
    },
}

/// What the channel said about the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Declared {
    /// MIME type, with parameters or without. A hint for the event, never for a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// SHA-256 of the bytes, in hex or base64; checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Size of the file in bytes; checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The name that the sender's device gave the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
}

/// The chat message that carried the file. Fields that are not listed are kept and echoed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `whatsapp`, `telegram`, `email`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// `inbound` or `outbound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The channel's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The CRM contact, deal or ticket it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<String>,
    /// Text under the media. Never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Whether the sender recorded it as a voice note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<bool>,
    /// When the channel received it (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// When it was sent, as the channel says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    /// Phone number of the contact in E.164 (`+5511999990000`). Never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The channel's id of the contact where it is no phone number, such as WhatsApp's business-scoped user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Name that the contact goes by in the channel. Never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<String>,
    /// Fields of the sender's own.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Consent and retention, as the sender states them. Fields that are not listed are kept and echoed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Privacy {
    /// `granted`, `denied`, `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// After how many days the assets should be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Fields of the sender's own.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
