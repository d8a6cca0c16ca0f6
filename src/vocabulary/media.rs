//! Words for media and for what is done to them, used in events and in decisions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind of a file by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Sound, with or without cover art.
    Audio,
    /// Moving pictures, with or without sound, including animated GIF.
    Video,
    /// A still picture, or an animation that is kept unchanged.
    Image,
    /// Any other file that people attach.
    Document,
}

impl Kind {
    /// The word used in routing keys, file names, metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Image => "image",
            Self::Document => "document",
        }
    }
}

/// The parts of the original that could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// Packets that the demuxer or decoder refused.
    pub bad_packets: u64,
    /// Packets in all.
    pub packets: u64,
    /// Whether the file ended before the end that its container declares.
    pub truncated: bool,
    /// How much of the declared length is missing, in ms, if the container declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_ms: Option<u64>,
}

/// The purpose of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Plays on all common devices: MP3 or MP4.
    Playback,
    /// A JPEG, upright.
    Thumbnail,
    /// A still picture for programs that do not show the original: JPEG or PNG, upright, in sRGB, without metadata. Or
    /// the original's picture byte for byte without metadata.
    Rendition,
    /// A PNG picture of the sound's waveform.
    Waveform,
    /// The sound's peaks for players that draw the waveform themselves (audiowaveform JSON, version 2).
    Peaks,
    /// The file as it was received.
    Original,
}

/// What was done to the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Container and streams already conformed to the profile: the asset has the original's bytes.
    Copied,
    /// Streams were copied into a new container.
    Remuxed,
    /// At least one stream was encoded.
    Encoded,
    /// There is no playback asset: people open the original.
    KeptOriginal,
}

impl Action {
    /// The word in events, tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Remuxed => "remuxed",
            Self::Encoded => "encoded",
            Self::KeptOriginal => "kept-original",
        }
    }
}

/// Why a stream or the file was treated in this way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stream index; absent if the reason concerns the file as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<usize>,
    /// `copy`, `encode`, `drop` or `keep`.
    pub verdict: String,
    /// Stable kebab-case reason: `codec`, `resolution`, `no-audio`, `cover-art`, …
    pub reason: String,
    /// The figures behind the reason, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Loudness by EBU R 128 / ITU-R BS.1770-4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loudness {
    /// Integrated loudness of the original in LUFS; absent if all of it is below the gate (silence).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrated_lufs: Option<f64>,
    /// Highest true peak of the original in dBTP; absent for digital silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_peak_dbtp: Option<f64>,
    /// Loudness range in LU; absent if the sound is too short to measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_lu: Option<f64>,
    /// Gain applied to the playback asset, in dB.
    pub gain_db: f64,
}

/// The protections that were in force around the decoder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxStatus {
    /// `required`, `best-effort` or `off`, as configured.
    pub mode: String,
    /// `full`, `partial` or `none`.
    pub landlock: String,
    /// Landlock ABI version of the kernel; 0 if it has none.
    pub landlock_abi: u32,
    /// Whether the seccomp filter was installed.
    pub seccomp: bool,
}
