//! Runs one job of a bench in the same kind of child as production, and then a second child that compares the result
//! with its original.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::corpus::Media;
use super::matrix::Point;
use super::quality;
use super::record::{Class, Run, Scores, StoredObject};
use super::{BenchError, record};
use crate::error::Fault;
use crate::roles::worker::forecast;
use crate::sandbox::Sandbox;
use crate::source::Fetched;
use crate::task::Limits;
use crate::task::{INPUT, JobSpec, PLAYBACK, Produced, Report, Task};
use crate::vocabulary::{Action, Kind, Role, StreamDetail};

/// By how much limits are raised for comparing, which decodes twice and computes metrics that are slower than any
/// decoder.
const MEASURING: u64 = 10;

/// What all jobs have in common.
#[derive(Clone)]
pub struct Bench {
    /// The sandbox that jobs run in.
    pub sandbox: Sandbox,
    /// The limits of production.
    pub limits: Limits,
    /// Threads for each codec.
    pub threads: u32,
    /// Versions of mediamill and libavcodec. A run can only be resumed with the same ones.
    pub build: String,
}

/// A finished job with its scratch directory.
#[derive(Debug)]
pub struct FinishedRun {
    /// The measured cost and quality.
    pub run: Run,
    /// The playback asset, if it is not the original.
    pub playback: Option<Produced>,
    /// Contains the asset; removed when this is dropped.
    pub scratch: tempfile::TempDir,
}

impl Bench {
    /// Creates a bench for this sandbox.
    #[must_use]
    pub fn new(sandbox: Sandbox, limits: Limits, threads: u32) -> Self {
        let libavcodec = sandbox.libav().versions.get("libavcodec").cloned().unwrap_or_default();
        let build = format!("mediamill {} libavcodec {libavcodec}", env!("CARGO_PKG_VERSION"));
        Self { sandbox, limits, threads, build }
    }

    /// Runs one job. If `score` is true, the result is also compared with its original.
    ///
    /// # Errors
    /// If the bench itself cannot work. A failure of the file is recorded in the run.
    pub async fn run(&self, point: &Point, media: &Media, repeat: u32, score: bool) -> Result<FinishedRun, BenchError> {
        let scratch = tempfile::tempdir()?;
        fs::copy(&media.path, scratch.path().join(INPUT)).map_err(BenchError::at(&media.path))?;
        let started = Instant::now();
        let result = self.sandbox.run(&self.spec(Task::Normalize, point), scratch.path(), |_| ()).await;
        let mut run = Run {
            build: self.build.clone(),
            point: point.label.clone(),
            profile_version: point.profile.version.clone(),
            file: media.label.clone(),
            sha256: media.sha256.clone(),
            repeat,
            class: None,
            outcome: String::new(),
            failed: false,
            bytes_before: media.size_bytes,
            bytes_after: media.size_bytes,
            stored: Vec::new(),
            duration_ms: 0,
            cpu_s: 0.0,
            wall_s: started.elapsed().as_secs_f64(),
            peak_memory_bytes: 0,
            scores: None,
        };
        let report = match result.map_err(Fault::from) {
            Ok(report) => report,
            Err(fault) => {
                run.failed = !matches!(fault, Fault::Rejected { .. });
                run.outcome = fault.code().map_or("shutdown", |code| code.as_str()).to_owned();
                return Ok(FinishedRun { run, playback: None, scratch });
            }
        };
        run.class = class(&report);
        run.outcome = report.action.as_str().to_owned();
        run.duration_ms = report.duration_ms.unwrap_or(0);
        run.cpu_s = report.cpu_s;
        run.peak_memory_bytes = report.peak_memory_bytes;
        let playback = report.produced.iter().find(|produced| produced.role == Role::Playback).cloned();
        if let Some(playback) = &playback {
            run.bytes_after = fs::metadata(scratch.path().join(&playback.file))?.len();
        }
        if let Some(playback) = playback.as_ref().filter(|_| score && report.action == Action::Encoded) {
            run.scores = Some(self.score(point, &report, playback, scratch.path()).await?);
        }
        let fetched = Fetched { size_bytes: media.size_bytes, sha256: media.sha256.clone() };
        let stored = forecast(&point.profile, fetched, report, scratch.path())?.into_iter();
        run.stored = stored.map(|(object, size_bytes)| StoredObject { object, size_bytes }).collect();
        Ok(FinishedRun { run, playback, scratch })
    }

    /// Compares the result with its original. A failure to do so only leaves out the score.
    async fn score(
        &self,
        point: &Point,
        report: &Report,
        playback: &Produced,
        scratch: &Path,
    ) -> Result<Scores, BenchError> {
        fs::copy(scratch.join(&playback.file), scratch.join(PLAYBACK))?;
        let compared = self.sandbox.run(&self.spec(Task::Measure, point), scratch, |_| ()).await;
        let quality = match compared {
            Ok(report) => report.quality.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "a result could not be compared with its original: it has no score");
                return Ok(Scores::default());
            }
        };
        let mut scores = record::Scores::default();
        if let Some(sound) = quality.sound {
            let folder = scratch.to_owned();
            let mos = tokio::task::spawn_blocking(move || quality::mos(&folder)).await;
            scores.mos = mos.map_err(std::io::Error::other)??;
            let gain = report.loudness.map_or(0.0, |loudness| loudness.gain_db);
            scores.loudness_error_lu = sound.loudness_change_lu.map(|change| change - gain);
        }
        if let Some(picture) = quality.picture {
            scores.ssim = Some(picture.ssim);
            scores.ssim_worst = Some(picture.ssim_worst);
            scores.psnr_db = Some(picture.psnr_db);
            scores.ssimulacra2 = picture.ssimulacra2;
            scores.ssimulacra2_worst = picture.ssimulacra2_worst;
            scores.unmatched_frames = Some(picture.unmatched);
        }
        Ok(scores)
    }

    fn spec(&self, task: Task, point: &Point) -> JobSpec {
        let mut limits = self.limits;
        if task == Task::Measure {
            limits.wall_s = limits.wall_s.saturating_mul(MEASURING);
            limits.cpu_s = limits.cpu_s.saturating_mul(MEASURING);
        }
        JobSpec { task, profile: point.profile.raw.clone(), limits, threads: self.threads, nice: 0 }
    }
}

fn class(report: &Report) -> Option<Class> {
    let channels = report.streams.iter().find_map(|stream| match stream.detail {
        StreamDetail::Audio { channels, .. } => Some(channels),
        StreamDetail::Video { .. } | StreamDetail::Subtitle | StreamDetail::Data => None,
    });
    match report.kind {
        Kind::Audio if channels == Some(1) => Some(Class::Voice),
        Kind::Audio => Some(Class::Music),
        Kind::Video => Some(Class::Video),
        Kind::Image | Kind::Document => None,
    }
}
