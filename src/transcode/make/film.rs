//! Makes the outputs of a video: encodes or copies its streams within `max_bytes`, and makes the poster.

use ffmpeg_next as ff;

use super::{CopyAttempt, keep, note, or_why_not, original_instead, remux_if_larger, remux_instead};
use crate::error::{Code, Fault};
use crate::plan::{Facts, How, Plan, Track, VideoSettings, encode_plan, fit_video};
use crate::task::{INPUT, Produced};
use crate::transcode::av::Input;
use crate::transcode::check::prove::{Expectation, prove};
use crate::transcode::draw::poster;
use crate::transcode::job::{Findings, Job, bit_rate, size_of};
use crate::transcode::pass::film::{self, Film};
use crate::transcode::read::probe;
use crate::transcode::still::write_thumbnail;
use crate::vocabulary::{Action, Reason, Role};

/// A video output that was written and checked.
struct MadeFilm {
    plan: Plan,
    findings: Findings,
    poster: Option<ff::frame::Video>,
    file: &'static str,
    /// Why the file must not be published, if it did not pass its check.
    unproven: Option<String>,
}

const ENCODED: &str = "video.mp4";
/// The name of an output with the original's streams, written if the encoded ones are larger.
const ORIGINAL_STREAMS: &str = "streams.mp4";

pub(super) fn make_film(input: Input, facts: &Facts, plan: Plan, job: &mut Job<'_>) -> Result<(Plan, Findings), Fault> {
    let done = if plan.action == Action::Encoded {
        encode_video(input, facts, plan, job)?
    } else {
        let file = if plan.action == Action::Copied { INPUT } else { ENCODED };
        match keep(facts, &plan, file, None, job)? {
            CopyAttempt::Proven(findings) => MadeFilm { plan, findings, poster: None, file, unproven: None },
            CopyAttempt::Not(reason, detail) => {
                let plan = encode_plan(facts, job.profile, (reason, &detail));
                encode_video(input, facts, plan, job)?
            }
        }
    };
    let MadeFilm { plan, mut findings, poster, file, .. } = keep_instead(facts, done, job)?;
    // A copied picture was not decoded, so the poster is made from its keyframes.
    let poster = match (poster, &plan.video) {
        (None, Some(track)) => {
            poster::poster_of(&mut probe::open(INPUT, facts.container)?, facts, track.index, job.limits)?
        }
        (poster, _) => poster,
    };
    if plan.action != Action::KeptOriginal {
        findings.produced.push(playback(facts, &plan, file, findings.duration_ms.unwrap_or(0))?);
    }
    if let Some(frame) = poster {
        findings.produced.push(write_thumbnail(&frame, job)?);
    }
    Ok((plan, findings))
}

fn playback(facts: &Facts, plan: &Plan, file: &str, duration_ms: u64) -> Result<Produced, Fault> {
    let (width, height) = shown_size(facts, plan);
    Ok(Produced {
        role: Role::Playback,
        file: file.to_owned(),
        object: "video.mp4".to_owned(),
        mime_type: "video/mp4".to_owned(),
        codecs: if plan.audio.is_some() { vec!["h264".to_owned(), "aac".to_owned()] } else { vec!["h264".to_owned()] },
        width: Some(width),
        height: Some(height),
        duration_ms: Some(duration_ms),
        bit_rate: bit_rate(size_of(file)?, duration_ms),
    })
}

/// If the encoded output did not pass its check, returns an output with the original's streams, or else the original
/// itself.
fn keep_instead(facts: &Facts, mut done: MadeFilm, job: &mut Job<'_>) -> Result<MadeFilm, Fault> {
    let Some(why) = done.unproven.take() else { return Ok(done) };
    if let Some(remux) = remux_instead(facts, &why, job)
        && let Some(kept) = keep_streams(facts, remux, &mut done.poster, job)?
    {
        return Ok(kept);
    }
    if let Some(loudness) = &mut done.findings.loudness {
        // Loudness was measured but not changed.
        loudness.gain_db = 0.0;
    }
    Ok(MadeFilm { plan: original_instead(&why), ..done })
}

fn shown_size(facts: &Facts, plan: &Plan) -> (u32, u32) {
    match plan.video.as_ref().and_then(Track::settings) {
        Some(settings) => (settings.width, settings.height),
        None => facts.main_video().map_or((0, 0), |(_, picture)| picture.displayed()),
    }
}

fn encode_video(input: Input, facts: &Facts, plan: Plan, job: &mut Job<'_>) -> Result<MadeFilm, Fault> {
    if !has_copies(&plan) {
        return encode_and_prove(input, facts, plan, job);
    }
    let why = match or_why_not(encode_and_prove(input, facts, plan, job))? {
        Ok(MadeFilm { unproven: Some(why), .. }) | Err(why) => why,
        Ok(done) => return Ok(done),
    };
    // The stream could not be copied correctly, so it is encoded instead.
    let plan = encode_plan(facts, job.profile, ("proof", &why));
    encode_and_prove(probe::open(INPUT, facts.container)?, facts, plan, job)
}

fn encode_and_prove(input: Input, facts: &Facts, mut plan: Plan, job: &mut Job<'_>) -> Result<MadeFilm, Fault> {
    let mut made = encode_once(input, facts, &mut plan, ENCODED, job)?;
    let size = size_of(ENCODED)?;
    if let Some(max_bytes) = job.profile.max_bytes.filter(|max| size > *max) {
        made = encode_to_budget(facts, &mut plan, max_bytes, made.findings.duration_ms.unwrap_or(0), job)?;
    } else if let Some(remux) = remux_if_larger(facts, size, job)
        && let Some(done) = keep_streams(facts, remux, &mut made.poster, job)?
    {
        return Ok(done);
    }
    let unproven = or_why_not(prove(&expectation(ENCODED, &plan, &made)))?.err();
    Ok(MadeFilm { plan, findings: made.findings, poster: made.poster, file: ENCODED, unproven })
}

/// The *never larger* rule: an output with the original's streams and the poster. `None` if that does not pass its
/// check; then the encoded output stays.
fn keep_streams(
    facts: &Facts,
    mut plan: Plan,
    poster: &mut Option<ff::frame::Video>,
    job: &mut Job<'_>,
) -> Result<Option<MadeFilm>, Fault> {
    let findings = if plan.action == Action::Encoded {
        // The picture can be copied, but MP4 players cannot play the codec of the sound.
        let input = probe::open(INPUT, facts.container)?;
        let kept = encode_once(input, facts, &mut plan, ORIGINAL_STREAMS, job).and_then(|kept| {
            prove(&expectation(ORIGINAL_STREAMS, &plan, &kept))?;
            let size = size_of(ORIGINAL_STREAMS)?;
            match job.profile.max_bytes.filter(|max| size > *max) {
                Some(_) => Err(Fault::rejected(
                    Code::MediaProofFailed,
                    "the output with the original's streams is above max_bytes",
                )),
                None => Ok(kept.findings),
            }
        });
        or_why_not(kept)?.ok()
    } else {
        match keep(facts, &plan, ORIGINAL_STREAMS, None, job)? {
            CopyAttempt::Proven(findings) => Some(findings),
            CopyAttempt::Not(..) => None,
        }
    };
    let file = if plan.action == Action::Copied { INPUT } else { ORIGINAL_STREAMS };
    Ok(findings.map(|findings| MadeFilm { plan, findings, poster: poster.take(), file, unproven: None }))
}

fn expectation<'a>(file: &'a str, plan: &'a Plan, made: &Film) -> Expectation<'a> {
    let Findings { duration_ms, pictures, .. } = made.findings;
    Expectation { file, plan, duration_ms: duration_ms.unwrap_or(0), frame_ms: made.frame_ms, pictures }
}

fn has_copies(plan: &Plan) -> bool {
    plan.video.as_ref().is_some_and(|t| t.settings().is_none())
        || plan.audio.as_ref().is_some_and(|t| t.settings().is_none())
}

fn encode_once(mut input: Input, facts: &Facts, plan: &mut Plan, file: &str, job: &mut Job<'_>) -> Result<Film, Fault> {
    let made = film::encode_film(&mut input, facts, plan, file, job)?;
    if let Some(track) = plan.audio.take_if(|_| !made.has_sound) {
        let reason = match made.unread_sound {
            0 => note("drop", "empty", "the stream is declared but has no sample".to_owned()),
            _ => note("drop", "undecodable", "none of the stream's packets can be decoded".to_owned()),
        };
        plan.reasons.push(Reason { stream: Some(track.index), ..reason });
    }
    Ok(made)
}

/// Two attempts: with the bit rate that the budget allows, then with a slightly lower one. A video that is still too
/// large does not fit.
fn encode_to_budget(
    facts: &Facts,
    plan: &mut Plan,
    max_bytes: u64,
    duration_ms: u64,
    job: &mut Job<'_>,
) -> Result<Film, Fault> {
    if plan.video.as_ref().is_some_and(|track| track.settings().is_none()) {
        *plan = encode_plan(facts, job.profile, ("budget", &format!("at most {max_bytes} bytes")));
    }
    let frame_rate = facts.main_video().and_then(|(_, picture)| picture.frame_rate).unwrap_or(25.0);
    let audio_bit_rate = plan.audio.as_ref().map_or(0, |track| match &track.how {
        How::Encode(settings) => u64::from(settings.bit_rate),
        How::Copy => facts.main_audio().and_then(|(stream, _)| stream.bit_rate).unwrap_or(128_000),
    });
    let wanted: Option<VideoSettings> = plan.video.as_ref().and_then(Track::settings).cloned();
    for margin in [0.95, 0.8] {
        let fitted = wanted.as_ref().and_then(|s| {
            fit_video(
                s,
                frame_rate.min(s.frame_rate_cap.unwrap_or(120.0)),
                max_bytes,
                duration_ms,
                audio_bit_rate,
                margin,
            )
        });
        let Some(settings) = fitted else { break };
        let text = format!("encoded at {}x{} to fit into {max_bytes} bytes", settings.width, settings.height);
        if let Some(track) = &mut plan.video {
            track.how = How::Encode(settings);
        }
        let made = encode_once(probe::open(INPUT, facts.container)?, facts, plan, ENCODED, job)?;
        if size_of(ENCODED)? <= max_bytes {
            plan.reasons.push(note("encode", "budget", text));
            return Ok(made);
        }
    }
    Err(Fault::rejected(Code::MediaCannotFit, format!("{duration_ms} ms of video do not fit into {max_bytes} bytes")))
}
