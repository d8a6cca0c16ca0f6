//! Words for media and what is done to them, as they stand in events and as decisions use them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Sound, with or without cover art.
    Audio,
    /// Moving pictures, with or without sound; animated GIF too.
    Video,
    /// A still picture, or an animation that stays as it is.
    Image,
    /// Anything else that people attach.
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

/// How much of the original could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// Packets that the demuxer or decoder refused.
    pub bad_packets: u64,
    /// Packets in all.
    pub packets: u64,
    /// Whether the file ended before its container said so.
    pub truncated: bool,
    /// How much of the declared length is not there, in ms, where the container declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_ms: Option<u64>,
}

/// What an asset is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Plays everywhere: MP3 or MP4.
    Playback,
    /// Upright JPEG.
    Thumbnail,
    /// PNG picture of the sound.
    Waveform,
    /// The sound's peaks for a player that draws by itself (audiowaveform JSON, version 2).
    Peaks,
    /// The file as it came.
    Original,
}

/// What was done to the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Container and streams were already as the profile wants them: the bytes are the original's.
    Copied,
    /// Streams kept bit by bit, container written anew.
    Remuxed,
    /// At least one stream was encoded.
    Encoded,
    /// No playback asset: the original is what people open.
    KeptOriginal,
}

impl Action {
    /// The word used in events, tables and metrics.
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

/// Why a stream, or the file, was treated as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stream index; absent where the file as a whole is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<usize>,
    /// `copy`, `encode`, `drop` or `keep`.
    pub verdict: String,
    /// Stable kebab-case reason: `codec`, `resolution`, `no-audio`, `cover-art`, …
    pub reason: String,
    /// The figures behind it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Loudness by EBU R 128 / ITU-R BS.1770-4.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loudness {
    /// Integrated loudness of the original in LUFS; absent where all of it is below the gate (silence).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrated_lufs: Option<f64>,
    /// Highest true peak of the original in dBTP; absent for digital silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_peak_dbtp: Option<f64>,
    /// Loudness range in LU; absent where it is too short to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_lu: Option<f64>,
    /// Gain that was applied to the playback asset, in dB.
    pub gain_db: f64,
}

/// What was in force around the decoder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxStatus {
    /// `required`, `best-effort` or `off`, as configured.
    pub mode: String,
    /// `full`, `partial` or `none`.
    pub landlock: String,
    /// Landlock ABI version of the kernel, 0 where there is none.
    pub landlock_abi: u32,
    /// Whether the seccomp filter is on.
    pub seccomp: bool,
}
