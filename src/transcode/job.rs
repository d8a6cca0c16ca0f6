//! The inputs that every step of a job needs, and the results that steps collect.

use std::io;

use ffmpeg_next as ff;

use super::av;
use crate::error::{Code, Fault};
use crate::profile::Profile;
use crate::task::Limits;
use crate::task::Produced;
use crate::vocabulary::{Damage, Loudness, Peaks};

/// The inputs of a job.
pub(super) struct Job<'a> {
    pub(super) profile: &'a Profile,
    pub(super) limits: &'a Limits,
    pub(super) threads: u32,
    pub(super) progress: &'a mut dyn FnMut(f32),
}

impl Job<'_> {
    /// Reports how far the input has been read.
    pub(super) fn advance(&mut self, done_ms: i64, of_ms: Option<u64>) {
        if let Some(total) = of_ms.filter(|total| *total > 0) {
            #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
            let fraction = (done_ms.max(0) as f32 / total as f32).min(1.0);
            // The remaining part is writing and checking the output.
            (self.progress)(fraction * 0.95);
        }
    }
}

/// What was found while the whole input was read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) duration_ms: Option<u64>,
    /// How many pictures the output has to show, if it has any.
    pub(super) pictures: Option<u64>,
    pub(super) damage: Damage,
    pub(super) loudness: Option<Loudness>,
    pub(super) peaks: Option<Peaks>,
    pub(super) produced: Vec<Produced>,
}

/// Maps a failure to read or write in the scratch directory.
pub(super) fn scratch(error: io::Error) -> Fault {
    match error.raw_os_error() {
        Some(libc::EFBIG) => Fault::rejected(Code::LimitOutput, "an output grew beyond limits.output_bytes"),
        Some(libc::ENOSPC) => Fault::transient(Code::WorkerScratch, "the scratch directory is full"),
        _ => Fault::transient(Code::WorkerScratch, format!("reading or writing in the scratch directory: {error}")),
    }
}

/// Size of a file in the scratch directory.
pub(super) fn size_of(name: &str) -> Result<u64, Fault> {
    std::fs::metadata(name).map(|m| m.len()).map_err(scratch)
}

/// Average bit rate of a file.
pub(super) fn bit_rate(size_bytes: u64, duration_ms: u64) -> Option<u64> {
    size_bytes.saturating_mul(8000).checked_div(duration_ms)
}

/// An error of libav or of a spool file, while frames are encoded into packets.
pub(super) enum Trouble {
    Scratch(io::Error),
    Encoder(ff::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Scratch(error)
    }
}

impl From<ff::Error> for Trouble {
    fn from(error: ff::Error) -> Self {
        Self::Encoder(error)
    }
}

impl Trouble {
    pub(super) fn into_fault(self, doing: &'static str) -> Fault {
        match self {
            Self::Scratch(error) => scratch(error),
            Self::Encoder(error) => av::writing(doing)(error),
        }
    }
}
