//! The reasons why a stream cannot be copied.

use super::settings::{RATE_TOLERANCE, rates_for};
use super::{DynamicRange, Picture, Sound, StreamFacts, Unkeepable};
use crate::profile::{AudioProfile, H264Profile, Profile, VideoProfile};

/// A stable word for the event, and an explanation.
pub(in crate::plan) type Obstacle = Option<(&'static str, String)>;

/// Why no packet of a stream may be copied, whatever its codec and the output.
pub(super) fn unkeepable(stream: &StreamFacts) -> Obstacle {
    match stream.unkeepable? {
        Unkeepable::EditList => Some((
            "edit-list",
            "its edit list hides, repeats or moves parts, or leaves a time empty, and a copy would show that differently".to_owned(),
        )),
        Unkeepable::HiddenEnd => None,
    }
}

/// Why the packets of a stream may not be copied into an output that is written anew, although the file can be kept.
pub(super) fn unkeepable_anew(stream: &StreamFacts) -> Obstacle {
    match stream.unkeepable? {
        Unkeepable::EditList => unkeepable(stream),
        Unkeepable::HiddenEnd => Some((
            "edit-list",
            "its edit list hides pictures at the end that shown ones need, and a copy would show one of them"
                .to_owned(),
        )),
    }
}

/// Why an audio stream cannot be copied into the MP3 that the profile wants.
pub(in crate::plan) fn mp3_obstacle(stream: &StreamFacts, sound: Sound, profile: &AudioProfile) -> Obstacle {
    let rates = rates_for(sound.channels.min(profile.max_channels), profile);
    let cap = u64::from(rates.bit_rate) * 102 / 100;
    if let Some(obstacle) = unkeepable(stream) {
        Some(obstacle)
    } else if stream.codec != "mp3" {
        Some(("codec", format!("{} is not MP3", stream.codec)))
    } else if sound.channels > profile.max_channels {
        Some(("channels", format!("{} channels, at most {}", sound.channels, profile.max_channels)))
    } else if stream.bit_rate.is_some_and(|rate| rate > cap) {
        Some(("bit-rate", format!("{} bit/s, at most {}", stream.bit_rate.unwrap_or(0), rates.bit_rate)))
    } else {
        None
    }
}

/// Why an audio stream cannot be copied into the Ogg with Opus that the profile wants.
pub(super) fn opus_obstacle(stream: &StreamFacts, sound: Sound, size_bytes: u64, profile: &AudioProfile) -> Obstacle {
    if stream.codec != "opus" {
        Some(("codec", format!("{} is not Opus", stream.codec)))
    } else if sound.channels > 1 {
        Some(("channels", format!("{} channels, at most 1", sound.channels)))
    } else {
        let most = profile.preferred_max_bytes.filter(|most| size_bytes > *most)?;
        Some(("budget", format!("{size_bytes} bytes, wanted are at most {most}")))
    }
}

/// Why a video stream cannot be copied.
pub(in crate::plan) fn video_obstacle(stream: &StreamFacts, picture: &Picture, profile: &VideoProfile) -> Obstacle {
    let (width, height) = picture.displayed();
    let (long, short) = (width.max(height), width.min(height));
    let frame_rate = picture.frame_rate.unwrap_or(0.0);
    if let Some(obstacle) = unkeepable(stream) {
        Some(obstacle)
    } else if stream.codec != "h264" {
        Some(("codec", format!("{} is not H.264", stream.codec)))
    } else if picture.dynamic_range != DynamicRange::Sdr {
        Some(("dynamic-range", format!("{} has to be mapped to BT.709", picture.dynamic_range.as_str())))
    } else if picture.pixel_format != "yuv420p" {
        Some(("pixel-format", format!("{} is not yuv420p", picture.pixel_format)))
    } else if h264_profile(stream).is_none_or(|of| of > profile.h264_profile) {
        let (of, most) = (stream.profile.as_deref().unwrap_or("unknown"), profile.h264_profile.as_str());
        Some(("profile", format!("the H.264 profile is {of}, at most {most} is kept")))
    } else if picture.reorders && !profile.b_frames {
        Some(("b-frames", "its pictures are predicted from later ones, which the profile excludes".to_owned()))
    } else if picture.interlaced {
        Some(("interlaced", "fields have to be combined into frames".to_owned()))
    } else if long > profile.max_long_side || short > profile.max_short_side {
        let (max_long, max_short) = (profile.max_long_side, profile.max_short_side);
        Some(("resolution", format!("{width}x{height}, at most {max_long}x{max_short}")))
    } else if !picture.is_square() {
        let (num, den) = picture.sample_aspect_ratio;
        Some(("aspect-ratio", format!("pixels of {num}:{den} have to be made square")))
    } else if picture.level.is_some_and(|level| level > profile.max_level) {
        Some(("level", format!("{}, at most {}", picture.level.unwrap_or(0), profile.max_level)))
    } else if frame_rate > profile.max_frame_rate * RATE_TOLERANCE {
        Some(("frame-rate", format!("{frame_rate:.2} frames/s, at most {}", profile.max_frame_rate)))
    } else if stream.bit_rate.is_some_and(|rate| rate > profile.max_bit_rate) {
        Some(("bit-rate", format!("{} bit/s, at most {}", stream.bit_rate.unwrap_or(0), profile.max_bit_rate)))
    } else {
        None
    }
}

/// Why an audio stream cannot be copied next to a video.
pub(in crate::plan) fn aac_obstacle(stream: &StreamFacts, sound: Sound, profile: &Profile) -> Obstacle {
    // Twice the profile's own bit rate: a phone's mono sound with 128 kbit/s is cheaper to copy than to encode.
    let cap = u64::from(profile.video.audio_bit_rate_per_channel) * u64::from(sound.channels.max(2)) * 2;
    if let Some(obstacle) = unkeepable(stream) {
        Some(obstacle)
    } else if !is_aac_lc(stream) {
        let profile = stream.profile.as_deref().unwrap_or("");
        Some(("codec", format!("{} {profile} is not AAC-LC", stream.codec)))
    } else if sound.channels > 2 {
        Some(("channels", format!("{} channels, at most 2", sound.channels)))
    } else if sound.sample_rate_hz > 48_000 {
        Some(("sample-rate", format!("{} Hz, at most 48000", sound.sample_rate_hz)))
    } else if stream.bit_rate.is_some_and(|rate| rate > cap) {
        Some(("bit-rate", format!("{} bit/s, at most {cap}", stream.bit_rate.unwrap_or(0))))
    } else {
        None
    }
}

pub(in crate::plan) fn is_aac_lc(stream: &StreamFacts) -> bool {
    stream.codec == "aac" && stream.profile.as_deref().is_none_or(|p| p == "LC")
}

/// The profile of a stream that all players support; `None` for others. A stream that does not say it counts as Baseline.
fn h264_profile(stream: &StreamFacts) -> Option<H264Profile> {
    match stream.profile.as_deref() {
        None | Some("Baseline" | "Constrained Baseline") => Some(H264Profile::Baseline),
        Some("Main") => Some(H264Profile::Main),
        Some("High" | "Constrained High" | "Progressive High") => Some(H264Profile::High),
        Some(_) => None,
    }
}

pub(in crate::plan) fn is_playable_h264(stream: &StreamFacts, picture: &Picture, profile: &VideoProfile) -> bool {
    stream.codec == "h264"
        && unkeepable(stream).is_none()
        && h264_profile(stream).is_some_and(|of| of <= profile.h264_profile)
        && (profile.b_frames || !picture.reorders)
        && matches!(picture.pixel_format.as_str(), "yuv420p" | "yuvj420p")
        && picture.dynamic_range == DynamicRange::Sdr
        && !picture.interlaced
}
