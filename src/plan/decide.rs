//! `plan(facts, profile)` decides for each stream whether to copy, encode or drop it, with the reason that the event
//! gives.

use super::obstacle::{
    Obstacle, aac_obstacle, is_aac_lc, is_playable_h264, mp3_obstacle, opus_obstacle, unkeepable_anew, video_obstacle,
};
use super::settings::{AudioSettings, VideoSettings, aac_settings, sound_settings, video_settings};
use super::{Container, Facts, Media, Picture, Sound, StreamFacts};
use crate::profile::{Profile, SoundCodec};
use crate::vocabulary::{Action, Kind, Reason};

/// What will be produced from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Container of the playback asset.
    pub output: Output,
    /// What is done to the file as a whole.
    pub action: Action,
    /// What is done to the picture, if there is one.
    pub video: Option<Track<VideoSettings>>,
    /// What is done to the sound, if there is one.
    pub audio: Option<Track<AudioSettings>>,
    /// The reasons.
    pub reasons: Vec<Reason>,
}

/// Container of the playback asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// MPEG audio with a Xing/Info header.
    Mp3,
    /// ISO base media with sound only.
    M4a,
    /// ISO base media, moov first.
    Mp4,
    /// Ogg with Opus.
    Ogg,
    /// None: people open the original.
    Nothing,
}

/// A stream of the input that goes into the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Track<S> {
    /// Index in the input.
    pub index: usize,
    /// Copied or encoded.
    pub how: How<S>,
}

/// How a stream gets into the output.
#[derive(Debug, Clone, PartialEq)]
pub enum How<S> {
    /// Its packets are copied unchanged.
    Copy,
    /// It is decoded and encoded.
    Encode(S),
}

impl<S> Track<S> {
    /// The encoder's settings, if the stream is encoded.
    pub const fn settings(&self) -> Option<&S> {
        match &self.how {
            How::Copy => None,
            How::Encode(settings) => Some(settings),
        }
    }
}

/// Plans what to produce from this file with this profile.
#[must_use]
pub fn plan(facts: &Facts, profile: &Profile) -> Plan {
    match facts.kind {
        Kind::Audio => plan_audio(facts, profile),
        Kind::Video => plan_video(facts, profile),
        Kind::Image => kept("image", "a picture is stored unchanged, with a thumbnail"),
        Kind::Document => kept("document", "only audio, video and pictures are processed"),
    }
}

/// The plan that keeps every playable stream, even above the profile's limits, for the *never larger* rule. `None` if a
/// player could not open the streams unchanged.
#[must_use]
pub fn remux_plan(facts: &Facts, profile: &Profile) -> Option<Plan> {
    let mut reasons = Vec::new();
    let (video, audio, output) = match facts.kind {
        Kind::Audio => {
            let (stream, sound) = facts.main_audio().filter(|(stream, _)| stream.unkeepable.is_none())?;
            let output = match stream.codec.as_str() {
                "opus" if profile.audio.codec == SoundCodec::Opus && sound.channels == 1 => Output::Ogg,
                // The profile asks for Opus, so its user cannot use another codec.
                _ if profile.audio.codec == SoundCodec::Opus => return None,
                "mp3" => Output::Mp3,
                "aac" if is_aac_lc(stream) => Output::M4a,
                _ => return None,
            };
            (None, Some(copy(stream, &mut reasons, "never-larger")), output)
        }
        Kind::Video => {
            let (stream, picture) = facts.main_video()?;
            if !is_playable_h264(stream, picture, &profile.video) {
                return None;
            }
            let video = copy(stream, &mut reasons, "never-larger");
            let audio = facts.main_audio().map(|(stream, sound)| {
                if is_aac_lc(stream) && sound.channels <= 2 && stream.unkeepable.is_none() {
                    copy(stream, &mut reasons, "never-larger")
                } else {
                    encode_aac(stream, *sound, profile, &mut reasons)
                }
            });
            (Some(video), audio, Output::Mp4)
        }
        Kind::Image | Kind::Document => return None,
    };
    drop_others(facts, video.as_ref().map(|t| t.index), audio.as_ref().map(|t| t.index), &mut reasons);
    let action = action_of(facts, output, video.as_ref(), audio.as_ref(), &mut reasons);
    if action != Action::Copied && video.is_some() && unkeepable_anew(facts.main_video()?.0).is_some() {
        return None;
    }
    Some(Plan { output, action, video, audio, reasons })
}

/// The plan that encodes what `plan` would have copied. Used if the copies fail their check or do not fit.
#[must_use]
pub fn encode_plan(facts: &Facts, profile: &Profile, (reason, detail): (&str, &str)) -> Plan {
    let mut plan = plan(facts, profile);
    for entry in plan.reasons.iter_mut().filter(|entry| entry.verdict == "copy") {
        (entry.verdict, entry.reason) = ("encode".to_owned(), reason.to_owned());
        entry.detail = Some(detail.to_owned());
    }
    plan.reasons.retain(|entry| entry.verdict != "remux");
    if let (Some(track), Some((stream, picture))) = (&mut plan.video, facts.main_video()) {
        track.how = How::Encode(video_settings(stream, picture, &profile.video));
    }
    if let (Some(track), Some((stream, sound))) = (&mut plan.audio, facts.main_audio()) {
        track.how = How::Encode(match plan.output {
            Output::Mp4 => aac_settings(*sound, profile),
            Output::Mp3 | Output::M4a | Output::Ogg | Output::Nothing => sound_settings(stream, *sound, &profile.audio),
        });
    }
    plan.action = Action::Encoded;
    plan
}

/// The plan for a video whose picture no decoder supports. Its sound alone would be something else than what was sent.
fn without_its_picture(facts: &Facts) -> Plan {
    let mut plan = kept("no-decoder", "no decoder supports its picture");
    let index = facts.unread_picture().map(|stream| stream.index);
    for reason in &mut plan.reasons {
        reason.stream = index;
    }
    let unread = |s: &&StreamFacts| matches!(s.media, Media::Video(_) | Media::Audio(_)) && !s.readable;
    for stream in facts.streams.iter().filter(unread) {
        plan.reasons.push(reason_for(Some(stream.index), "drop", "unsupported-codec", Some(stream.codec.clone())));
    }
    plan
}

fn kept(reason: &str, detail: &str) -> Plan {
    let reasons = vec![reason_for(None, "keep", reason, Some(detail.to_owned()))];
    Plan { output: Output::Nothing, action: Action::KeptOriginal, video: None, audio: None, reasons }
}

fn plan_audio(facts: &Facts, profile: &Profile) -> Plan {
    let mut reasons = Vec::new();
    let Some((stream, sound)) = facts.main_audio() else {
        return kept("no-audio", "it has no sound that can be decoded");
    };
    let (output, obstacle) = match profile.audio.codec {
        SoundCodec::Mp3 => (Output::Mp3, mp3_obstacle(stream, *sound, &profile.audio)),
        SoundCodec::Opus => (Output::Ogg, opus_obstacle(stream, *sound, facts.size_bytes, &profile.audio)),
    };
    let audio = match obstacle {
        None => copy(stream, &mut reasons, "conforms"),
        Some((reason, detail)) => {
            reasons.push(reason_for(Some(stream.index), "encode", reason, Some(detail)));
            Track { index: stream.index, how: How::Encode(sound_settings(stream, *sound, &profile.audio)) }
        }
    };
    drop_others(facts, None, Some(stream.index), &mut reasons);
    let action = action_of(facts, output, None, Some(&audio), &mut reasons);
    Plan { output, action, video: None, audio: Some(audio), reasons }
}

fn plan_video(facts: &Facts, profile: &Profile) -> Plan {
    let Some(main @ (stream, picture)) = facts.main_video() else {
        return without_its_picture(facts);
    };
    let plan = plan_film(facts, main, video_obstacle(stream, picture, &profile.video), profile);
    let copies = plan.video.as_ref().is_some_and(|track| track.settings().is_none());
    match unkeepable_anew(stream) {
        Some(obstacle) if copies && plan.action != Action::Copied => plan_film(facts, main, Some(obstacle), profile),
        _ => plan,
    }
}

/// The plan for a film whose picture is copied unless there is an obstacle.
fn plan_film(
    facts: &Facts,
    (stream, picture): (&StreamFacts, &Picture),
    obstacle: Obstacle,
    profile: &Profile,
) -> Plan {
    let mut reasons = Vec::new();
    let video = match obstacle {
        None => copy(stream, &mut reasons, "conforms"),
        Some((reason, detail)) => {
            reasons.push(reason_for(Some(stream.index), "encode", reason, Some(detail)));
            Track { index: stream.index, how: How::Encode(video_settings(stream, picture, &profile.video)) }
        }
    };
    let audio = facts.main_audio().map(|(stream, sound)| match aac_obstacle(stream, *sound, profile) {
        None => copy(stream, &mut reasons, "conforms"),
        Some(_) => encode_aac(stream, *sound, profile, &mut reasons),
    });
    drop_others(facts, Some(stream.index), audio.as_ref().map(|t| t.index), &mut reasons);
    let action = action_of(facts, Output::Mp4, Some(&video), audio.as_ref(), &mut reasons);
    Plan { output: Output::Mp4, action, video: Some(video), audio, reasons }
}

fn encode_aac(
    stream: &StreamFacts,
    sound: Sound,
    profile: &Profile,
    reasons: &mut Vec<Reason>,
) -> Track<AudioSettings> {
    let (reason, detail) = aac_obstacle(stream, sound, profile).unwrap_or(("codec", String::new()));
    reasons.push(reason_for(Some(stream.index), "encode", reason, Some(detail)));
    Track { index: stream.index, how: How::Encode(aac_settings(sound, profile)) }
}

fn copy<S>(stream: &StreamFacts, reasons: &mut Vec<Reason>, reason: &str) -> Track<S> {
    reasons.push(reason_for(Some(stream.index), "copy", reason, None));
    Track { index: stream.index, how: How::Copy }
}

fn drop_others(facts: &Facts, video: Option<usize>, audio: Option<usize>, reasons: &mut Vec<Reason>) {
    for stream in facts.streams.iter().filter(|s| Some(s.index) != video && Some(s.index) != audio) {
        let reason = match &stream.media {
            Media::Video(p) if p.cover_art => "cover-art",
            Media::Video(_) | Media::Audio(_) if !stream.readable => "unsupported-codec",
            Media::Video(_) | Media::Audio(_) if !stream.has_samples() => "empty",
            Media::Video(_) => "second-video",
            Media::Audio(_) => "second-audio",
            Media::Subtitle => "subtitle",
            Media::Data => "data",
        };
        reasons.push(reason_for(Some(stream.index), "drop", reason, Some(stream.codec.clone())));
    }
}

fn action_of(
    facts: &Facts,
    output: Output,
    video: Option<&Track<VideoSettings>>,
    audio: Option<&Track<AudioSettings>>,
    reasons: &mut Vec<Reason>,
) -> Action {
    let encodes = video.is_some_and(|t| t.settings().is_some()) || audio.is_some_and(|t| t.settings().is_some());
    if encodes {
        return Action::Encoded;
    }
    let same_container = match output {
        Output::Mp3 => facts.container == Container::Mp3,
        Output::M4a => facts.container == Container::M4a,
        Output::Mp4 => facts.container == Container::Mp4,
        Output::Ogg => facts.container == Container::Ogg,
        Output::Nothing => true,
    };
    let kept = usize::from(video.is_some()) + usize::from(audio.is_some());
    let why = if !same_container {
        "container"
    } else if facts.container.is_iso() && !facts.faststart {
        "faststart"
    } else if facts.container == Container::Mp3 && !facts.faststart {
        "no-length"
    } else if facts.streams.len() > kept {
        "extra-streams"
    } else if facts.private_metadata {
        "private-metadata"
    } else if facts.truncated {
        // An incomplete packet at the end is left out.
        "truncated"
    } else {
        return Action::Copied;
    };
    reasons.push(reason_for(None, "remux", why, None));
    Action::Remuxed
}

pub(super) fn reason_for(stream: Option<usize>, verdict: &str, reason: &str, detail: Option<String>) -> Reason {
    Reason { stream, verdict: verdict.to_owned(), reason: reason.to_owned(), detail }
}
