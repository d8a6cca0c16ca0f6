//! What crosses the sockets: one job down, progress and one answer up. Length-prefixed JSON.
//!
//! Paths are names inside the job's scratch directory, never more: that directory is all the child can open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{Limits, RawProfile};
use crate::events::{Action, Damage, Kind, Loudness, Reason, Role, SandboxStatus, Stream};

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

/// From the child, any number of `Progress`, then exactly one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "say")]
pub enum Answer {
    /// How far the job is.
    Progress {
        /// 0 to 1, of the whole job.
        fraction: f32,
    },
    /// Done and proven.
    Done {
        /// What was found and made.
        report: Box<Report>,
    },
    /// Not done.
    Failed {
        /// What that means for the job.
        verdict: Verdict,
        /// A [`crate::error::Code`] as text.
        code: String,
        /// A sentence for people.
        message: String,
    },
}

/// The kinds of [`crate::error::Fault`] that a child can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The file can never be processed.
    Rejected,
    /// File or machine may be to blame.
    Suspect,
    /// Passing trouble: no space left, for one.
    Transient,
    /// The child is to blame itself: an encoder is missing, a bug.
    Broken,
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

/// How near a playback asset is to its original, over the first 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Where both have sound.
    pub sound: Option<SoundQuality>,
    /// Where the picture was encoded.
    pub picture: Option<PictureQuality>,
}

/// Of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoundQuality {
    /// Integrated loudness of the playback asset less the original's, in LU, measured on one channel; absent where
    /// either is silent.
    pub loudness_change_lu: Option<f64>,
}

/// Of the picture, against the original upright, scaled and tone-mapped as planned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PictureQuality {
    /// Pairs of frames that were compared.
    pub frames: u32,
    /// Frames of either side that the other does not have.
    pub unmatched: u32,
    /// libavfilter's SSIM over all planes, mean.
    pub ssim: f64,
    /// Of the worst frame.
    pub ssim_worst: f64,
    /// libavfilter's PSNR over all planes in dB, mean; identical frames count as 100.
    pub psnr_db: f64,
    /// SSIMULACRA 2 of a frame every 4 s, mean; absent where frames are too small.
    pub ssimulacra2: Option<f64>,
    /// Of the worst of these.
    pub ssimulacra2_worst: Option<f64>,
}

/// What libav is and has where the children run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libav {
    /// Version of each library: `libavcodec` → `59.37.100`.
    pub versions: BTreeMap<String, String>,
    /// What the pipeline asks for.
    pub components: Vec<Component>,
}

/// One part of libav that the pipeline asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `encoder`, `filter`, `demuxer` or `decoder`.
    pub role: String,
    /// libav's name; a decoder goes by its codec's.
    pub name: String,
    /// Whether this build has it.
    pub present: bool,
}

/// From the worker to the fork server. One datagram each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub(super) enum Order {
    /// Fork a child; the job's socket, its scratch directory and its standard error come along, in this order.
    Launch {
        /// The worker's number for the job.
        job: u64,
        /// What all files of its scratch directory may take, in bytes.
        scratch_bytes: u64,
    },
    /// End the child, if it still runs.
    Kill {
        /// As given to `Launch`.
        job: u64,
    },
}

/// From the fork server to the worker. One datagram each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub(super) enum Notice {
    /// Warm and waiting. Sent once, first.
    Ready {
        /// What held a trial child.
        sandbox: SandboxStatus,
        /// What its children have of libav.
        libav: Libav,
        /// Why its children take all libraries with them, where they do: each then costs a few ms more.
        heavy: Option<String>,
    },
    /// This machine cannot hold a child as the configuration demands. Sent once, first and last.
    Refused {
        /// What is missing.
        missing: String,
    },
    /// A child is gone and reaped.
    Ended {
        /// As given to `Launch`.
        job: u64,
        /// What became of it.
        end: ChildEnd,
    },
}

/// What became of a child, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChildEnd {
    /// It never ran: `fork` failed with this error number.
    NotForked {
        /// `errno`.
        errno: i32,
    },
    /// It left by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// What it used.
        used: Usage,
    },
    /// It took more than it may of what no resource limit bounds, and was killed for it.
    Exceeded {
        /// What it took too much of.
        excess: Excess,
        /// What it used.
        used: Usage,
    },
    /// It was ended by a signal.
    Signalled {
        /// The signal.
        signal: i32,
        /// What it used.
        used: Usage,
    },
}

/// What a child can take too much of without meeting a resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Excess {
    /// Bytes of all files in its scratch directory.
    ScratchBytes,
    /// Files in its scratch directory.
    Files,
    /// Threads.
    Threads,
}

/// What a child used, counted by the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// CPU time, user and system, in µs.
    pub(super) cpu_us: u64,
    /// Peak resident memory in bytes.
    pub(super) peak_memory_bytes: u64,
}

/// A contract type as JSON; none of them can fail to be written.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
