//! What a bench writes: a line of the journal for each job, `report.json` in the end. Read again to resume and to
//! compare.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `schema` of every report that this version writes.
pub const REPORT_SCHEMA: &str = "mediamill.bench.v1";

/// What a file is to those who listen and look. A profile has settings of its own for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Sound of one channel.
    Voice,
    /// Sound of more.
    Music,
    /// Moving pictures.
    Video,
}

impl Class {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Music => "music",
            Self::Video => "video",
        }
    }
}

/// One job: a file by a point, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Versions of mediamill and libavcodec.
    pub build: String,
    /// Label of the point.
    pub point: String,
    /// Version of its profile.
    pub profile_version: String,
    /// The file, below the corpus.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// From 0.
    pub repeat: u32,
    /// Absent for pictures, documents, and what was rejected.
    pub class: Option<Class>,
    /// `copied`, `remuxed`, `encoded`, `kept-original`, or the code of a rejection or failure.
    pub outcome: String,
    /// Whether the file came to no end for the machine's sake, or by a crash or a spent limit.
    pub failed: bool,
    /// Size of the original.
    pub bytes_before: u64,
    /// Size of the playback asset; of the original where that is what is played.
    pub bytes_after: u64,
    /// Length of the media in ms.
    pub duration_ms: u64,
    /// CPU seconds of the child.
    pub cpu_s: f64,
    /// Seconds of wall clock, from the job to its report.
    pub wall_s: f64,
    /// Peak resident memory of the child.
    pub peak_memory_bytes: u64,
    /// Of encoded files, once for each point.
    pub scores: Option<Scores>,
}

/// How near an encoded file is to its original, over the first 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// Mean opinion score, 1 to 5, by ViSQOL v3 in its speech mode (16 kHz; Hines et al. 2015, Chinen et al. 2020).
    pub mos: Option<f64>,
    /// How far the loudness is from what was intended, in LU (EBU R 128).
    pub loudness_error_lu: Option<f64>,
    /// SSIM over all planes, mean of all frames (Wang et al. 2004; libavfilter's).
    pub ssim: Option<f64>,
    /// SSIM of the worst frame.
    pub ssim_worst: Option<f64>,
    /// PSNR over all planes in dB, mean of all frames; identical frames count as 100.
    pub psnr_db: Option<f64>,
    /// SSIMULACRA 2, mean of a frame every 4 s: 90 is visually lossless, 70 high, 50 medium quality.
    pub ssimulacra2: Option<f64>,
    /// SSIMULACRA 2 of the worst of these frames.
    pub ssimulacra2_worst: Option<f64>,
    /// Frames of either side that the other does not have.
    pub unmatched_frames: Option<u32>,
}

/// `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchReport {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// When it was written, RFC 3339.
    pub created: String,
    /// Where it was measured.
    pub machine: Machine,
    /// Files, left-aside ones too.
    pub corpus: Corpus,
    /// By class and point.
    pub summaries: Vec<Summary>,
    /// Every job.
    pub runs: Vec<Run>,
}

/// Where a bench was run, and with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Logical processors.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// Version of mediamill.
    pub mediamill: String,
    /// Versions of the libav libraries.
    pub libav: BTreeMap<String, String>,
    /// Jobs at the same time.
    pub jobs: u32,
    /// Threads of each codec.
    pub threads: u32,
    /// Repeats of every job.
    pub repeats: u32,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Corpus {
    /// Files that were found.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Pictures, documents, and what was rejected, with the outcome.
    pub left_aside: BTreeMap<String, String>,
}

/// One point over all files of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Which class.
    pub class: Class,
    /// Label of the point.
    pub point: String,
    /// Version of its profile.
    pub profile_version: String,
    /// Files.
    pub files: u32,
    /// Of these, files that were encoded; the others kept their streams, and their quality.
    pub encoded: u32,
    /// Of all files together.
    pub bytes_before: u64,
    /// Of all files together.
    pub bytes_after: u64,
    /// What is saved of the bytes, in percent.
    pub saved_percent: f64,
    /// CPU seconds of all files together, medians of the repeats.
    pub cpu_s: f64,
    /// Seconds of media for one second of CPU.
    pub speed: f64,
    /// Jobs per second with as many at a time as the machine says.
    pub jobs_per_s: f64,
    /// Job times in seconds: median.
    pub wall_p50_s: f64,
    /// 95th percentile.
    pub wall_p95_s: f64,
    /// 99th percentile.
    pub wall_p99_s: f64,
    /// The largest child.
    pub peak_memory_bytes: u64,
    /// 0 to 100, mean over the encoded files: (MOS − 1) / 4 for sound, SSIMULACRA 2 for video; 100 where nothing was
    /// encoded, absent where nothing could be scored.
    pub quality: Option<f64>,
    /// Whether no other point of the class has both fewer bytes and more quality.
    pub pareto: bool,
    /// By metric, over the encoded files.
    pub scores: BTreeMap<String, Figure>,
    /// Per 1,000 media, where prices were given.
    pub cost: Option<Cost>,
}

/// A metric over files: an average hides a ruined one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Mean over files.
    pub mean: f64,
    /// The worst file's.
    pub worst: f64,
    /// Which one.
    pub worst_file: String,
    /// Files that have a score.
    pub files: u32,
}

/// Money for 1,000 media, in the currency of the prices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// For keeping the playback assets a month.
    pub storage_month: f64,
    /// For making them.
    pub cpu: f64,
}

/// A gates file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatesFile {
    /// `[gates]`
    pub gates: Gates,
}

/// What a report must hold. Absent gates are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Files that may fail for the machine's sake or by crashing, not those that are rejected.
    pub failed_max: Option<u32>,
    /// Mean MOS of voice and music, at least.
    pub mos_min: Option<f64>,
    /// MOS of the worst file, at least.
    pub mos_worst_min: Option<f64>,
    /// Mean SSIMULACRA 2, at least.
    pub ssimulacra2_min: Option<f64>,
    /// SSIMULACRA 2 of the worst file, at least.
    pub ssimulacra2_worst_min: Option<f64>,
    /// Bytes saved in percent, at least.
    pub saved_percent_min: Option<f64>,
    /// CPU time may grow by so many percent over the older report, beyond noise.
    pub cpu_growth_percent_max: Option<f64>,
    /// Bytes may grow by so many percent.
    pub bytes_growth_percent_max: Option<f64>,
    /// Mean MOS may fall by so much.
    pub mos_fall_max: Option<f64>,
    /// Mean SSIMULACRA 2 may fall by so much.
    pub ssimulacra2_fall_max: Option<f64>,
}
