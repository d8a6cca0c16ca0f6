//! The files that a bench writes: a journal line for each job, and `report.json` at the end. They are read again to
//! resume and to compare.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `schema` in reports of this version.
pub const REPORT_SCHEMA: &str = "mediamill.bench.v1";

/// The class of a file, for which profiles have settings of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Sound with one channel.
    Voice,
    /// Sound with more channels.
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

/// One job: one file with one point, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Versions of mediamill and libavcodec.
    pub build: String,
    /// The label of the point.
    pub point: String,
    /// The version of the point's profile.
    pub profile_version: String,
    /// The file's path below the corpus.
    pub file: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The number of the repeat, from 0.
    pub repeat: u32,
    /// Absent for pictures, documents and rejected files.
    pub class: Option<Class>,
    /// `copied`, `remuxed`, `encoded` or `kept-original`; otherwise the code of the rejection or failure.
    pub outcome: String,
    /// Whether the job failed because of the machine, a crash or an exceeded limit.
    pub failed: bool,
    /// Size of the original in bytes.
    pub bytes_before: u64,
    /// Size in bytes of the playback asset, or of the original if that is what is played.
    pub bytes_after: u64,
    /// Objects that a worker stores for it, the manifest among them. Journals of before have 0.
    #[serde(default)]
    pub objects: u32,
    /// Length of the media in ms.
    pub duration_ms: u64,
    /// CPU time of the child in seconds.
    pub cpu_s: f64,
    /// Elapsed time in seconds, from the job to its report.
    pub wall_s: f64,
    /// Peak resident memory of the child in bytes.
    pub peak_memory_bytes: u64,
    /// The scores of an encoded file; only in one of the repeats of each point.
    pub scores: Option<Scores>,
}

/// How similar an encoded file is to its original over the first 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// Mean opinion score, 1 to 5, by ViSQOL v3 in its speech mode (16 kHz; Hines et al. 2015, Chinen et al. 2020).
    pub mos: Option<f64>,
    /// Difference of the loudness from the intended one, in LU (EBU R 128).
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
    /// Frames of one side without a counterpart on the other.
    pub unmatched_frames: Option<u32>,
}

/// `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BenchReport {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// When it was written, RFC 3339.
    pub created: String,
    /// The machine that it was measured on.
    pub machine: Machine,
    /// The files, including those that were left aside.
    pub corpus: Corpus,
    /// The summaries by class and point.
    pub summaries: Vec<Summary>,
    /// All jobs.
    pub runs: Vec<Run>,
}

/// The machine and the options of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Model name of the processor.
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
    /// How many jobs ran at the same time.
    pub jobs: u32,
    /// Threads for each codec.
    pub threads: u32,
    /// How often each job was repeated.
    pub repeats: u32,
}

/// The files of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Corpus {
    /// How many files were found.
    pub files: u32,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Pictures, documents and rejected files, with the outcome of each.
    pub left_aside: BTreeMap<String, String>,
}

/// The figures of one point over all files of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The class of the files.
    pub class: Class,
    /// The label of the point.
    pub point: String,
    /// The version of the point's profile.
    pub profile_version: String,
    /// How many files.
    pub files: u32,
    /// How many of them were encoded; the others kept their streams and so their quality.
    pub encoded: u32,
    /// Size of all originals in bytes.
    pub bytes_before: u64,
    /// Size of all playback assets in bytes.
    pub bytes_after: u64,
    /// The saving in bytes, in percent.
    pub saved_percent: f64,
    /// CPU time of all files together in seconds; for each file the median of its repeats.
    pub cpu_s: f64,
    /// Seconds of media processed in one second of CPU time.
    pub speed: f64,
    /// Jobs per second with the number of parallel jobs in [`Machine`].
    pub jobs_per_s: f64,
    /// Median of the job times in seconds.
    pub wall_p50_s: f64,
    /// 95th percentile of the job times in seconds.
    pub wall_p95_s: f64,
    /// 99th percentile of the job times in seconds.
    pub wall_p99_s: f64,
    /// Peak resident memory of the largest child in bytes.
    pub peak_memory_bytes: u64,
    /// Mean over the encoded files, 0 to 100: (MOS − 1) / 4 for sound, SSIMULACRA 2 for video. 100 if nothing was
    /// encoded, absent if nothing could be scored.
    pub quality: Option<f64>,
    /// Whether the point is on the Pareto front: no other point of the class is better in bytes and quality.
    pub pareto: bool,
    /// The scores by metric, over the encoded files.
    pub scores: BTreeMap<String, Figure>,
    /// Objects that a worker stores for a media, on average, the manifest among them: each is a PUT request.
    #[serde(default)]
    pub objects_per_media: f64,
    /// Cost for 1,000 media, if prices were given.
    pub cost: Option<Cost>,
}

/// A metric over several files. The worst one is named, because an average can hide it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Mean over files.
    pub mean: f64,
    /// The value of the worst file.
    pub worst: f64,
    /// The name of the worst file.
    pub worst_file: String,
    /// How many files have a score.
    pub files: u32,
}

/// Costs for 1,000 media, in the currency of the prices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// For storing the playback assets for a month.
    pub storage_month: f64,
    /// For producing them.
    pub cpu: f64,
    /// For the PUT requests that store them with original, thumbnail and manifest.
    #[serde(default)]
    pub requests: f64,
}

/// A gates file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatesFile {
    /// `[gates]`
    pub gates: Gates,
}

/// The limits that a report must keep. Absent ones are not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Most files that may fail because of the machine or a crash; rejected files do not count.
    pub failed_max: Option<u32>,
    /// Least mean MOS of voice and music.
    pub mos_min: Option<f64>,
    /// Least MOS of the worst file.
    pub mos_worst_min: Option<f64>,
    /// Least mean SSIMULACRA 2.
    pub ssimulacra2_min: Option<f64>,
    /// Least SSIMULACRA 2 of the worst file.
    pub ssimulacra2_worst_min: Option<f64>,
    /// Least saving of bytes in percent.
    pub saved_percent_min: Option<f64>,
    /// Largest growth of CPU time since the older report in percent, beyond noise.
    pub cpu_growth_percent_max: Option<f64>,
    /// Largest growth of bytes in percent.
    pub bytes_growth_percent_max: Option<f64>,
    /// Largest drop of the mean MOS.
    pub mos_fall_max: Option<f64>,
    /// Largest drop of the mean SSIMULACRA 2.
    pub ssimulacra2_fall_max: Option<f64>,
}
