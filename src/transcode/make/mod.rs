//! Makes the planned outputs, and decides what to do if an output is too large or fails its check.

mod film;
mod sound;
#[cfg(test)]
mod tests;

use super::av::Input;
use super::check::prove::{Expectation, prove};
use super::job::{Findings, Job, size_of};
use super::pass::copy_streams::{Target, copy_streams};
use super::read::probe;
use super::report::report;
use crate::error::{Code, Fault};
use crate::plan::{Facts, Media, Output, Plan, StreamFacts, plan as plan_of, remux_plan};
use crate::task::{INPUT, Report};
use crate::vocabulary::{Action, Kind, Reason};

/// Carries out the plan and checks the result.
///
/// # Errors
/// A limit, [`Code::MediaUnreadable`], [`Code::MediaCannotFit`], or a failure of this machine.
pub(super) fn make(input: Input, facts: &Facts, plan: Plan, job: &mut Job<'_>) -> Result<Report, Fault> {
    if plan.output == Output::Nothing {
        return Ok(report(facts, plan, Findings::default()));
    }
    let planned = (plan.video.as_ref().map(|track| track.index), plan.audio.as_ref().map(|track| track.index));
    let made = match facts.kind {
        Kind::Audio => sound::make_sound(input, facts, plan, job),
        Kind::Video | Kind::Image | Kind::Document => film::make_film(input, facts, plan, job),
    };
    if let Some(facts) = other_track(facts, planned, &made) {
        let plan = plan_of(&facts, job.profile);
        return make(probe::open(INPUT, facts.container)?, &facts, plan, job);
    }
    let (plan, findings) = made?;
    (job.progress)(1.0);
    Ok(report(facts, plan, findings))
}

/// The facts without a track that turned out to be empty, if there is another one of its kind. Containers without an
/// index do not say which of their tracks are empty.
fn other_track(
    facts: &Facts,
    (video, audio): (Option<usize>, Option<usize>),
    made: &Result<(Plan, Findings), Fault>,
) -> Option<Facts> {
    let empty = match made {
        Ok((plan, _)) if plan.action == Action::Encoded && plan.audio.is_none() => audio,
        Err(Fault::Rejected { code: Code::MediaUnreadable, .. }) => video.or(audio),
        _ => None,
    }?;
    let is_picture = |stream: &StreamFacts| matches!(&stream.media, Media::Video(picture) if !picture.cover_art);
    let is_sound = |stream: &StreamFacts| matches!(stream.media, Media::Audio(_));
    let is_alike = |other: &StreamFacts| {
        let of = &facts.streams[empty];
        (is_picture(of) && is_picture(other)) || (is_sound(of) && is_sound(other))
    };
    let another =
        |stream: &&StreamFacts| stream.index != empty && stream.readable && stream.has_samples() && is_alike(stream);
    facts.streams.iter().find(another)?;
    let mut facts = facts.clone();
    facts.streams[empty].samples = Some(0);
    Some(facts)
}

/// The result of an attempt to keep streams unchanged.
enum CopyAttempt {
    /// Players can play them.
    Proven(Findings),
    /// Players cannot: the stable reason, and an explanation.
    Not(&'static str, String),
}

/// Copies the planned streams into `file` and checks the result. If the container stays as well, the original is
/// checked instead.
fn keep(
    facts: &Facts,
    plan: &Plan,
    file: &str,
    duration_ms: Option<u64>,
    job: &mut Job<'_>,
) -> Result<CopyAttempt, Fault> {
    if let Some(max_bytes) = job.profile.max_bytes.filter(|max| facts.size_bytes > *max) {
        return Ok(CopyAttempt::Not("budget", format!("{} bytes, at most {max_bytes}", facts.size_bytes)));
    }
    let copied = plan.action == Action::Copied;
    let file = if copied { INPUT } else { file };
    let mut input = probe::open(INPUT, facts.container)?;
    let target = if copied { Target::Nowhere } else { Target::File(file, format_of(plan)) };
    let findings = match or_why_not(copy_streams(&mut input, facts, plan, &target, job))? {
        Ok(findings) => findings,
        Err(why) => return Ok(CopyAttempt::Not("proof", why)),
    };
    let bad_packets = findings.damage.bad_packets;
    if copied && bad_packets > 0 {
        return Ok(CopyAttempt::Not("proof", format!("{bad_packets} packets are damaged")));
    }
    if copied && facts.kind == Kind::Audio {
        // Every packet was decoded for the waveform, which proves that the sound is playable.
        return Ok(CopyAttempt::Proven(findings));
    }
    if let Some(max_bytes) = job.profile.max_bytes
        && !copied
        && size_of(file)? > max_bytes
    {
        return Ok(CopyAttempt::Not(
            "budget",
            format!("in another container the file would be larger than {max_bytes} bytes"),
        ));
    }
    let duration_ms = duration_ms.or(findings.duration_ms).unwrap_or(0);
    let frame_ms = if facts.kind == Kind::Audio { AUDIO_FRAME_MS } else { facts.frame_ms() };
    let pictures = findings.pictures;
    Ok(match or_why_not(prove(&Expectation { file, plan, duration_ms, frame_ms, pictures }))? {
        Ok(()) => CopyAttempt::Proven(findings),
        Err(why) => CopyAttempt::Not("proof", why),
    })
}

/// Turns a failed check into its reason: the streams cannot be kept, but may pass the check when encoded.
fn or_why_not<T>(kept: Result<T, Fault>) -> Result<Result<T, String>, Fault> {
    match kept {
        Ok(kept) => Ok(Ok(kept)),
        Err(Fault::Rejected { code: Code::MediaProofFailed, message }) => Ok(Err(message)),
        Err(fault) => Err(fault),
    }
}

/// The longest frame of MP3 or AAC: 1152 samples at 16 kHz, rounded up.
const AUDIO_FRAME_MS: u64 = 72;

fn format_of(plan: &Plan) -> &'static str {
    match plan.output {
        Output::Mp3 => "mp3",
        Output::Ogg => "ogg",
        Output::M4a | Output::Mp4 | Output::Nothing => "mp4",
    }
}

/// The *never larger* rule: the plan that keeps the streams, if encoding made a playable file larger than the
/// tolerance.
fn remux_if_larger(facts: &Facts, size: u64, job: &Job<'_>) -> Option<Plan> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    let larger = size as f64 > facts.size_bytes as f64 * job.profile.larger_tolerance;
    let fits = job.profile.max_bytes.is_none_or(|max| facts.size_bytes <= max);
    if larger && fits { remux_plan(facts, job.profile) } else { None }
}

/// If the encoded output did not pass its check: the plan that keeps the source's streams unchanged, if players know
/// their codecs.
fn remux_instead(facts: &Facts, why: &str, job: &Job<'_>) -> Option<Plan> {
    let mut plan = remux_plan(facts, job.profile)?;
    for entry in plan.reasons.iter_mut().filter(|entry| entry.verdict == "copy") {
        (entry.reason, entry.detail) = (PROOF_FAILED.to_owned(), Some(why.to_owned()));
    }
    Some(plan)
}

/// If the streams cannot be kept either: the plan in which people open the original.
fn original_instead(why: &str) -> Plan {
    let reasons = vec![note("keep", PROOF_FAILED, why.to_owned())];
    Plan { output: Output::Nothing, action: Action::KeptOriginal, video: None, audio: None, reasons }
}

/// The word in events for a file that was not encoded because the encoded output did not pass its check.
const PROOF_FAILED: &str = "proof-failed";

fn note(verdict: &str, reason: &str, detail: String) -> Reason {
    Reason { stream: None, verdict: verdict.to_owned(), reason: reason.to_owned(), detail: Some(detail) }
}
