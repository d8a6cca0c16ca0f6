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
    /// The objects that a worker stores for it, the manifest last. None of a rejected file, and in reports of before.
    #[serde(default)]
    pub stored: Vec<StoredObject>,
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

impl Run {
    /// The object that people play: the playback asset, or the original where there is none.
    #[must_use]
    pub fn played(&self) -> Option<&StoredObject> {
        let find = |names: &[&str]| {
            let is_it =
                |stored: &&StoredObject| stored.object.split_once('.').is_some_and(|(name, _)| names.contains(&name));
            self.stored.iter().find(is_it)
        };
        find(&["audio", "video"]).or_else(|| find(&["original"]))
    }
}

/// An object of a media in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredObject {
    /// Its name: `audio.mp3`, `original.ogg`, `manifest.json`, …
    pub object: String,
    /// Its size in bytes.
    pub size_bytes: u64,
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
    /// The prices of [`Cost`], if prices were given.
    #[serde(default)]
    pub prices: Option<Prices>,
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
    /// What a worker stores of a media, on average, by the storage class: `standard` where the configuration names none.
    #[serde(default)]
    pub stored: BTreeMap<String, Share>,
    /// Cost of 1,000 media, if prices were given.
    pub cost: Option<Cost>,
}

impl Summary {
    /// What a worker stores of a media, on average, in all classes.
    #[must_use]
    pub fn stored_in_all(&self) -> Share {
        self.stored.values().fold(Share::default(), |all, share| Share {
            objects: all.objects + share.objects,
            puts: all.puts + share.puts,
            bytes: all.bytes + share.bytes,
        })
    }
}

/// What a media has in one storage class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Objects.
    pub objects: f64,
    /// PUT requests that store them; a large file takes several.
    pub puts: f64,
    /// Their bytes.
    pub bytes: f64,
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

/// What 1,000 media cost from their upload to their deletion, in the currency of the prices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cost {
    /// For how many days they are stored.
    pub days: u32,
    /// What the store bills of one media, in bytes: small objects as the smallest size of their class, and what it adds to each.
    pub billed_bytes_per_media: f64,
    /// For storing all objects so long.
    pub storage: f64,
    /// For the PUT requests that store them.
    pub requests: f64,
    /// For the days that are left of the least days of a class.
    pub early_deletion: f64,
    /// For playing them.
    pub reading: f64,
    /// For producing them.
    pub cpu: f64,
    /// The sum.
    pub total: f64,
}

/// A file of prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// What the prices are in, for the reader.
    pub currency: String,
    /// An hour of one processor.
    pub per_cpu_hour: f64,
    /// Bytes of what the vendor calls a GB.
    #[serde(default = "gb_bytes")]
    pub gb_bytes: u64,
    /// How often each media is played: one GET of all its bytes each time.
    #[serde(default = "plays_per_media")]
    pub plays_per_media: f64,
    /// For how many days media are stored that no retention deletes.
    #[serde(default = "kept_days")]
    pub kept_days: u32,
    /// Of objects for which the configuration names no class.
    pub standard: ClassPrices,
    /// Of other classes, by the store's own name.
    #[serde(default)]
    pub class: BTreeMap<String, ClassPrices>,
}

/// The prices and the terms of a storage class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassPrices {
    /// A GB for a month.
    pub per_gb_month: f64,
    /// 1,000 PUT requests.
    pub per_1000_puts: f64,
    /// 1,000 GET requests.
    pub per_1000_gets: f64,
    /// Reading a GB: what the class charges to retrieve it, and the transfer out of the store.
    pub per_gb_read: f64,
    /// Smaller objects are billed as this size.
    #[serde(default)]
    pub min_object_bytes: u64,
    /// An object is billed for so many days at least.
    #[serde(default)]
    pub min_days: u32,
    /// Bytes that are billed with each object in its class.
    #[serde(default)]
    pub overhead_bytes: u64,
    /// Bytes that are billed with each object at the price of the standard class.
    #[serde(default)]
    pub overhead_standard_bytes: u64,
}

const fn gb_bytes() -> u64 {
    1_000_000_000
}

const fn plays_per_media() -> f64 {
    1.0
}

const fn kept_days() -> u32 {
    365
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
