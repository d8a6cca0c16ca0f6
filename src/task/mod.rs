//! The job that a child gets, and the report that it returns.
//!
//! Paths are file names in the job's scratch directory: a child can open no files elsewhere.

mod libav;
mod limits;
mod quality;
mod work;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::profile::RawProfile;
use crate::vocabulary::{Action, Damage, Kind, Loudness, Peaks, Reason, Role, SandboxStatus, Stream};

pub use libav::{Component, Libav};
pub use limits::{Limits, SandboxMode};
pub use quality::{PictureQuality, Quality, SoundQuality};
pub use work::{Run, Work};

/// Name of the fetched original in every scratch directory.
pub const INPUT: &str = "input";
/// The file that a child writes the short name of the container to as soon as it has recognised it, in case the child
/// ends before it can report it.
pub const RECOGNISED: &str = "recognised";
/// Name of the playback asset when it is measured.
pub const PLAYBACK: &str = "playback";
/// The file that [`Task::Measure`] writes the beginning of the original's sound to: one channel at [`PCM_RATE_HZ`] as
/// little-endian 32-bit floats.
pub const PCM_OF_INPUT: &str = "input.pcm";
/// The same for the playback asset.
pub const PCM_OF_PLAYBACK: &str = "playback.pcm";
/// The sample rate of ViSQOL's speech mode.
pub const PCM_RATE_HZ: u32 = 16_000;

/// A job for one child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What to do with [`INPUT`].
    pub task: Task,
    /// The profile that says how.
    pub profile: RawProfile,
    /// The limits that it runs under.
    pub limits: Limits,
    /// Threads for each codec; at least 1.
    pub threads: u32,
    /// Added to the child's nice value, so that bulk jobs get less CPU time than voice notes.
    pub nice: i32,
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Probe, plan, produce the assets, check them.
    Normalize,
    /// Probe and plan only, without writing anything.
    Probe,
    /// Compare [`PLAYBACK`] with [`INPUT`], from which the same profile produced it.
    Measure,
    /// Nothing, to measure the cost of the process itself.
    Empty,
    /// Try to break out in the way that the first line of [`INPUT`] names. Refused except in tests.
    Escape,
}

/// What a child found and produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The kind of media, by content.
    pub kind: Kind,
    /// The MIME type, by content.
    pub mime_type: String,
    /// The usual file extension of the original, without dot.
    pub extension: String,
    /// The short name of the container.
    pub container: String,
    /// Length as decoded, in ms.
    pub duration_ms: Option<u64>,
    /// The original's streams.
    pub streams: Vec<Stream>,
    /// The time of recording that the device wrote into the file.
    pub created_at: Option<String>,
    /// The parts that could not be decoded.
    pub damage: Option<Damage>,
    /// What was done, or for a probe: what would be done.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The loudness, if sound was decoded.
    pub loudness: Option<Loudness>,
    /// The peaks of the sound, if they are to be in the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Peaks>,
    /// The produced files in the scratch directory. With [`Action::Copied`] the playback asset is [`INPUT`] itself.
    pub produced: Vec<Produced>,
    /// The result of [`Task::Measure`].
    pub quality: Option<Quality>,
    /// The CPU time of the child in seconds.
    pub cpu_s: f64,
    /// The child's peak resident memory in bytes.
    pub peak_memory_bytes: u64,
    /// Versions of the libav libraries.
    pub libav: BTreeMap<String, String>,
    /// What confined the child.
    pub sandbox: SandboxStatus,
}

/// One file that the child produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Produced {
    /// The purpose of the file.
    pub role: Role,
    /// Name in the scratch directory.
    pub file: String,
    /// Name of the stored object: `audio.mp3`, `video.mp4`, `thumbnail.jpg`, `waveform.png`, `peaks.json`.
    pub object: String,
    /// MIME type.
    pub mime_type: String,
    /// Codecs, video first.
    pub codecs: Vec<String>,
    /// Width as displayed, in pixels.
    pub width: Option<u32>,
    /// Height as displayed, in pixels.
    pub height: Option<u32>,
    /// Length in ms.
    pub duration_ms: Option<u64>,
    /// Average bit rate in bit/s.
    pub bit_rate: Option<u64>,
}
