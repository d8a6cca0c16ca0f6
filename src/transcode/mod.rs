//! Everything that uses libav. Runs only in the confined child, with the scratch directory as its working directory.
//!
//! The steps for a file: sniff → open with the recognised demuxer → facts → plan → decode once and write outputs →
//! check them → report.

/// A named stage of the work, for listeners: `make bench` adds up how long each takes. In a child nothing listens.
macro_rules! stage {
    ($name:literal) => {
        tracing::trace_span!($name)
    };
}

mod av;
mod check;
mod draw;
mod extremes;
mod job;
mod make;
mod pass;
mod read;
mod rehearsal;
mod report;
mod still;

use std::fs::File;

use job::{Findings, Job, scratch};
use read::sniff::Sniffed;
use still::{Still, Undecoded};

use crate::error::{Code, Fault};
use crate::plan::{Container, plan as plan_of};
use crate::profile::Profile;
use crate::task::{INPUT, JobSpec, RECOGNISED, Report, Task, Work};
use crate::vocabulary::Damage;

/// The work of a child, as the sandbox calls it.
pub const WORK: Work =
    Work { warm, libraries: av::libraries, inventory: av::inventory, rehearse: rehearsal::rehearse, run };

/// Loads what every job needs, so that forked children share it: codec tables and libav's own initialisation.
fn warm() {
    // A failure is not reported here: the first job meets it and can report it.
    if ffmpeg_next::init().is_ok() {
        av::silence();
        drop(av::inventory());
        av::warm();
    }
}

/// Does one job in the current directory. Blocks; reports progress from 0 to 1.
///
/// # Errors
/// [`Fault::Rejected`] if the file is the cause, [`Fault::Broken`] if this machine is.
fn run(spec: &JobSpec, progress: &mut dyn FnMut(f32)) -> Result<Report, Fault> {
    av::silence();
    let profile = Profile::from_raw(&spec.profile).map_err(|errors| {
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Fault::broken(Code::EventProfile, format!("the profile is not valid: {}", text.join("; ")))
    })?;
    let mut job = Job { profile: &profile, limits: &spec.limits, threads: spec.threads.max(1), progress };
    match spec.task {
        Task::Normalize => process(&mut job, true),
        Task::Probe => process(&mut job, false),
        Task::Measure => check::measure::measure(&job),
        Task::Empty => Ok(report::empty()),
        Task::Escape => Err(Fault::broken(Code::WorkerBroken, "not a task of the transcoder")),
    }
}

/// Processes the input. With `make` it writes the assets; without, it reports what would be done.
fn process(job: &mut Job<'_>, make: bool) -> Result<Report, Fault> {
    let mut file = File::open(INPUT).map_err(scratch)?;
    let size_bytes = file.metadata().map_err(scratch)?.len();
    if size_bytes == 0 {
        return Err(Fault::rejected(Code::MediaEmpty, "the file has no bytes"));
    }
    if size_bytes > job.limits.input_bytes {
        let text =
            format!("the file has {size_bytes} bytes, more than limits.input_bytes ({})", job.limits.input_bytes);
        return Err(Fault::rejected(Code::LimitBytes, text));
    }
    let sniffed = stage!("sniff").in_scope(|| read::sniff::sniff(&mut file)).map_err(scratch)?;
    if let (Sniffed::Media(container), true) = (&sniffed, make) {
        std::fs::write(RECOGNISED, container.row().name).map_err(scratch)?;
    }
    match sniffed {
        Sniffed::Unknown => {
            Err(Fault::rejected(Code::MediaUnsupported, "the first bytes match none of the accepted formats"))
        }
        Sniffed::Document { mime_type, extension } => Ok(report::document(mime_type, extension)),
        Sniffed::Media(container) if container.is_picture() || read::sniff::is_still_gif(&mut file, container) => {
            let mut still = still::facts(container)?;
            let findings = if make { still::make(&mut still, job)? } else { Findings::default() };
            Ok(picture_report(still, findings, job))
        }
        Sniffed::Media(container) => match recording(container, &mut file, job, make) {
            // An animated GIF that cannot be decoded as a video: for the sender it is a picture, so it is kept as one.
            Err(Fault::Rejected { code, .. }) if container == Container::Gif && Undecoded::of(code).is_some() => {
                let mut still = still::facts(container)?;
                still.undecoded = Undecoded::of(code);
                let bad_packets = u64::from(still.undecoded == Some(Undecoded::Damaged));
                let damage = Damage { packets: 1, bad_packets, ..Damage::default() };
                Ok(picture_report(still, Findings { damage, ..Findings::default() }, job))
            }
            done => done,
        },
    }
}

/// The report of a picture. Its original is kept, whether it could be decoded or not.
fn picture_report(still: Still, findings: Findings, job: &Job<'_>) -> Report {
    let mut plan = plan_of(&still.facts, job.profile);
    plan.reasons.extend(still.reasons);
    plan.reasons.extend(still.undecoded.map(report::not_decoded));
    report::report(&still.facts, plan, findings)
}

/// Processes a sound or a video.
fn recording(container: Container, file: &mut File, job: &mut Job<'_>, make: bool) -> Result<Report, Fault> {
    let probing = stage!("probe").entered();
    let input = read::probe::open(INPUT, container)?;
    let mut facts = read::probe::facts(&input, container, file, job.limits)?;
    let mut plan = plan_of(&facts, job.profile);
    if pass::survey::complete_rates(&mut facts, &plan)? {
        plan = plan_of(&facts, job.profile);
    }
    drop(probing);
    if make { make::make(input, &facts, plan, job) } else { Ok(report::report(&facts, plan, Findings::default())) }
}
