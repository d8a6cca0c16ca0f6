//! `mediamill.media.normalized.v1`: the assets are stored, and the event describes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Message, Privacy};
use crate::vocabulary::{Action, Damage, Kind, Loudness, Peaks, Reason, Role, SandboxStatus, Stream};

/// The data of a *media normalized* event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Normalized {
    /// From the received event.
    pub tenant: String,
    /// From the received event.
    pub media_id: String,
    /// `id` of the received event that led to this one.
    pub cause: String,
    /// Which of the media's outcomes this is, from 1: normalizing it again by another profile, or with `renormalize`, makes
    /// the next one. Events of version 0.1 have none and are the first.
    #[serde(default = "first")]
    pub revision: u32,
    /// What the file is, by its content.
    pub kind: Kind,
    /// The file as it came.
    pub original: Original,
    /// What was stored; every object named here exists, with the checksum given here.
    pub assets: Vec<Asset>,
    /// What was done, and why.
    pub decision: Decision,
    /// Loudness of the sound by EBU R 128, where it was decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
    /// Peaks of the sound that is played, for players that draw the waveform, where the profile does not ask for an object
    /// of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
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
    /// When the media is to be deleted (RFC 3339), by what the worker knew; the catalogue's answer counts. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Where the time went.
    pub timings_ms: Timings,
    /// Which worker did it, with which libraries, in which sandbox.
    pub worker: WorkerInfo,
}

/// The revision of an event that names none.
const fn first() -> u32 {
    1
}

/// The file as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Original {
    /// MIME type by content.
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
    /// Short name of the container: `ogg`, `mp4`, `jpeg`, `pdf`, …
    pub container: String,
    /// Length as decoded, in ms; absent for stills and documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Its streams.
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// When the device says that it recorded the media (RFC 3339, or without zone as cameras write it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Whether a part of it could not be used.
    #[serde(default)]
    pub damaged: bool,
    /// Which part, where it is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
    /// Key of the stored original, null where the profile does not keep it.
    pub key: Option<String>,
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asset {
    /// What it is for.
    pub role: Role,
    /// Key in the object store.
    pub key: String,
    /// MIME type.
    pub mime_type: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// The codec: of the picture, where there is sound too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// All codecs, video first: `h264`, `aac`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<String>,
    /// Width in pixels as displayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels as displayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Length in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Average over the file in bit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
}

/// What was done, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// For the file as a whole.
    pub action: Action,
    /// One entry a stream, and where needed one for the file.
    pub reasons: Vec<Reason>,
    /// Name of the profile.
    pub profile: String,
    /// First 12 hex digits of the SHA-256 of the profile's contents.
    pub profile_version: String,
    /// Size of the original.
    pub bytes_before: u64,
    /// Size of the playback asset or of a picture's rendition, or of the original where it is what is played or shown.
    pub bytes_after: u64,
}

/// Where the time went, in ms of wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// From the event's `time` to the moment a slot took it.
    pub queue: u64,
    /// Getting the bytes.
    pub fetch: u64,
    /// In the jailed child.
    pub decode: u64,
    /// Storing the assets.
    pub store: u64,
    /// From taking the message to the outcome.
    pub total: u64,
}

/// Which worker did it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerInfo {
    /// mediamill's version.
    pub version: String,
    /// Version of each libav library: `libavcodec` → `59.37.100`.
    pub libav: BTreeMap<String, String>,
    /// What held the decoder.
    pub sandbox: SandboxStatus,
}
