//! Builds the report that leaves the child from facts, plan and findings.

use std::collections::BTreeMap;

use super::av;
use super::job::Findings;
use super::read::cut::missing_ms;
use super::still::Undecoded;
use crate::plan::{Facts, Media, Plan, StreamFacts};
use crate::task::Report;
use crate::vocabulary::{Action, Damage, Kind, Reason, SandboxStatus, Stream, StreamDetail};

/// The report of a sound or a video.
pub(super) fn report(facts: &Facts, plan: Plan, findings: Findings) -> Report {
    let row = facts.container.row();
    let is_audio = facts.kind == Kind::Audio;
    let missing_ms = missing_ms(facts, findings.duration_ms);
    let truncated = findings.damage.truncated || facts.truncated || missing_ms.is_some();
    let damage = Damage { truncated, missing_ms, ..findings.damage };
    let damaged = truncated || damage.bad_packets > 0;
    Report {
        kind: facts.kind,
        mime_type: if is_audio { row.audio_mime_type } else { row.mime_type }.to_owned(),
        extension: row.extension.to_owned(),
        container: row.name.to_owned(),
        duration_ms: findings.duration_ms.or(facts.duration_ms),
        streams: facts.streams.iter().map(stream).collect(),
        created_at: facts.created_at.clone(),
        damage: damaged.then_some(damage),
        action: plan.action,
        reasons: plan.reasons,
        loudness: findings.loudness,
        peaks: findings.peaks,
        produced: findings.produced,
        ..empty()
    }
}

/// The report of a document.
pub(super) fn document(mime_type: String, extension: String) -> Report {
    let reason = Reason {
        stream: None,
        verdict: "keep".to_owned(),
        reason: "document".to_owned(),
        detail: Some("only audio, video and pictures are processed".to_owned()),
    };
    Report { container: extension.clone(), mime_type, extension, reasons: vec![reason], ..empty() }
}

/// The reason why a picture has no thumbnail.
pub(super) fn not_decoded(why: Undecoded) -> Reason {
    let (reason, detail) = why.reason();
    Reason { stream: Some(0), verdict: "keep".to_owned(), reason: reason.to_owned(), detail: Some(detail.to_owned()) }
}

/// An empty report. The caller adds what the process used.
pub(super) fn empty() -> Report {
    Report {
        kind: Kind::Document,
        mime_type: "application/octet-stream".to_owned(),
        extension: "bin".to_owned(),
        container: "none".to_owned(),
        duration_ms: None,
        streams: Vec::new(),
        created_at: None,
        damage: None::<Damage>,
        action: Action::KeptOriginal,
        reasons: Vec::new(),
        loudness: None,
        peaks: None,
        produced: Vec::new(),
        quality: None,
        cpu_s: 0.0,
        peak_memory_bytes: 0,
        libav: libav(),
        sandbox: SandboxStatus::default(),
    }
}

fn libav() -> BTreeMap<String, String> {
    av::libav_versions()
}

fn stream(facts: &StreamFacts) -> Stream {
    let detail = match &facts.media {
        Media::Video(picture) => {
            let (width, height) = picture.displayed();
            StreamDetail::Video {
                width,
                height,
                pixel_format: picture.pixel_format.clone(),
                frame_rate: picture.frame_rate.map(|rate| (rate * 1000.0).round() / 1000.0),
                level: picture.level,
                orientation: picture.orientation,
                dynamic_range: picture.dynamic_range.as_str().to_owned(),
                color_space: picture.color_space.clone(),
                cover_art: picture.cover_art,
                frames: picture.frames,
            }
        }
        Media::Audio(sound) => StreamDetail::Audio { sample_rate_hz: sound.sample_rate_hz, channels: sound.channels },
        Media::Subtitle => StreamDetail::Subtitle,
        Media::Data => StreamDetail::Data,
    };
    Stream {
        index: facts.index,
        codec: facts.codec.clone(),
        profile: facts.profile.clone(),
        bit_rate: facts.bit_rate,
        start_ms: facts.start_ms,
        duration_ms: facts.duration_ms,
        default: facts.default,
        detail,
    }
}
