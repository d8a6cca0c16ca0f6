//! Measures how similar a playback asset is to its original, for `bench`: decodes both as a player would and compares
//! them.

mod picture;
mod sound;

use std::fs::File;

use crate::error::{Code, Fault};
use crate::plan::{Facts, plan};
use crate::task::{INPUT, PLAYBACK, Quality, Report};
use crate::transcode::av::Input;
use crate::transcode::job::{Job, scratch};
use crate::transcode::read::probe;
use crate::transcode::read::sniff::{self, Sniffed};
use crate::transcode::report;

/// How much of each file is compared, from its start. The metrics are slow, and the second minute of a long file is
/// usually like its first.
const COMPARED_MS: i64 = 20_000;

/// One of the two files.
struct Side {
    input: Input,
    facts: Facts,
}

/// Compares [`INPUT`] with [`PLAYBACK`], which the job's profile made of it.
///
/// # Errors
/// The errors of making it.
pub(in crate::transcode) fn measure(job: &Job<'_>) -> Result<Report, Fault> {
    let (mut original, mut playback) = (open(INPUT, job)?, open(PLAYBACK, job)?);
    let plan = plan(&original.facts, job.profile);
    let sound = sound::compare(&mut original, &mut playback, &plan, job)?;
    // Each file is read to the end of its sound.
    let (original, playback) = (open(INPUT, job)?, open(PLAYBACK, job)?);
    let picture = picture::compare(original, playback, &plan, job)?;
    Ok(Report { quality: Some(Quality { sound, picture }), ..report::empty() })
}

fn open(name: &str, job: &Job<'_>) -> Result<Side, Fault> {
    let mut file = File::open(name).map_err(scratch)?;
    let Sniffed::Media(container) = sniff::sniff(&mut file).map_err(scratch)? else {
        return Err(Fault::rejected(Code::MediaUnsupported, format!("{name} is neither a sound nor a video")));
    };
    let input = probe::open(name, container)?;
    let facts = probe::facts(&input, container, &mut file, job.limits)?;
    Ok(Side { input, facts })
}
