//! What a child is asked, and what it answers.
//!
//! Paths are names of files in the job's scratch directory: a child can open files in that directory only.

mod libav;
mod limits;
mod quality;
mod work;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::profile::RawProfile;
use crate::vocabulary::{Action, Damage, Kind, Loudness, Reason, Role, SandboxStatus, Stream};

pub use libav::{Component, Libav};
pub use limits::{Limits, SandboxMode};
pub use quality::{PictureQuality, Quality, SoundQuality};
pub use work::{Run, Work};

/// Name of the fetched original inside every scratch directory.
pub const INPUT: &str = "input";
/// Where a child writes the short name of the container as soon as it has recognised one, for the case that it does not live
/// to report it.
pub const RECOGNISED: &str = "recognised";
/// Name of the playback asset where it is to be measured.
pub const PLAYBACK: &str = "playback";
/// Where [`Task::Measure`] leaves the beginning of the original's sound: one channel at [`PCM_RATE_HZ`], little-endian
/// 32-bit floats.
pub const PCM_OF_INPUT: &str = "input.pcm";
/// The same of the playback asset's.
pub const PCM_OF_PLAYBACK: &str = "playback.pcm";
/// What ViSQOL's speech mode works at.
pub const PCM_RATE_HZ: u32 = 16_000;

/// One job for one child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// What to do with [`INPUT`].
    pub task: Task,
    /// The profile to do it by.
    pub profile: RawProfile,
    /// What it may use.
    pub limits: Limits,
    /// Threads for each codec, at least 1.
    pub threads: u32,
    /// Added to the child's nice value: bulk work makes way for voice.
    pub nice: i32,
}

/// What a child is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Probe, plan, make the assets, prove them.
    Normalize,
    /// Probe and plan only: nothing is written.
    Probe,
    /// Compare [`PLAYBACK`] with [`INPUT`], which it was made of by the same profile.
    Measure,
    /// Nothing at all: what the process itself costs.
    Empty,
    /// Try to break out, in the way that the first line of [`INPUT`] names. Refused outside test builds of the worker.
    Escape,
}

/// What a child found and made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// By content.
    pub kind: Kind,
    /// MIME type by content.
    pub mime_type: String,
    /// Usual file extension of the original, without dot.
    pub extension: String,
    /// Short name of the container.
    pub container: String,
    /// Length as decoded, in ms.
    pub duration_ms: Option<u64>,
    /// The original's streams.
    pub streams: Vec<Stream>,
    /// When the device says that it was recorded.
    pub created_at: Option<String>,
    /// What could not be decoded.
    pub damage: Option<Damage>,
    /// What was done (or, for a probe, would be).
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Where sound was decoded.
    pub loudness: Option<Loudness>,
    /// Files in the scratch directory. With [`Action::Copied`] the playback asset is [`INPUT`] itself.
    pub produced: Vec<Produced>,
    /// What [`Task::Measure`] found.
    pub quality: Option<Quality>,
    /// Seconds of CPU that the child used.
    pub cpu_s: f64,
    /// The child's peak resident memory in bytes.
    pub peak_memory_bytes: u64,
    /// Versions of the libav libraries.
    pub libav: BTreeMap<String, String>,
    /// What held the child.
    pub sandbox: SandboxStatus,
}

/// One file that the child wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Produced {
    /// What it is for.
    pub role: Role,
    /// Name in the scratch directory.
    pub file: String,
    /// Name for the object: `audio.mp3`, `video.mp4`, `thumbnail.jpg`, `waveform.png`, `peaks.json`.
    pub object: String,
    /// MIME type.
    pub mime_type: String,
    /// Codecs, video first.
    pub codecs: Vec<String>,
    /// As displayed.
    pub width: Option<u32>,
    /// As displayed.
    pub height: Option<u32>,
    /// Length in ms.
    pub duration_ms: Option<u64>,
    /// Average in bit/s.
    pub bit_rate: Option<u64>,
}
