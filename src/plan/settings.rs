//! Settings of an encoder, from the facts of the input stream and the profile.

use super::{DynamicRange, Picture, Sound};
use crate::profile::{
    AudioProfile, ChannelRates, LoudnessTarget, MP3_BIT_RATES_MPEG1, MP3_BIT_RATES_MPEG2, MP3_SAMPLE_RATES, Profile,
    VideoProfile,
};

/// H.264 settings.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSettings {
    /// Pixels, even, upright.
    pub width: u32,
    /// Pixels, even, upright.
    pub height: u32,
    /// Frames above this rate are dropped; none keeps the timestamps as they are.
    pub frame_rate_cap: Option<f64>,
    /// How bits are spent.
    pub rate: RateControl,
    /// x264's preset.
    pub preset: String,
    /// Seconds between keyframes at the most.
    pub keyframe_interval_s: f64,
    /// Whether high dynamic range has to be mapped to standard.
    pub tone_map: bool,
}

/// How bits are spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateControl {
    /// x264's constant rate factor.
    Crf(f64),
    /// Average in bit/s, with a buffer of two seconds.
    Average(u64),
}

/// MP3 or AAC settings.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioSettings {
    /// Which encoder.
    pub codec: AudioCodec,
    /// Hz.
    pub sample_rate_hz: u32,
    /// 1 or 2.
    pub channels: u32,
    /// bit/s.
    pub bit_rate: u32,
    /// LAME's VBR quality, instead of the bit rate.
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality.
    pub compression_level: u8,
    /// Gain to this target.
    pub loudness: Option<LoudnessTarget>,
}

/// Encoders for sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// libmp3lame.
    Mp3,
    /// AAC-LC by libav's own encoder.
    Aac,
}

/// The least sample rate of an MP3: MPEG-2.5's 8 to 12 kHz are in no standard and not every player has them.
pub(in crate::plan) const MP3_MIN_SAMPLE_RATE_HZ: u32 = 16_000;
/// A declared rate may be so much above the cap: 30000/1001 and rounding are no reason to encode.
pub(in crate::plan) const RATE_TOLERANCE: f64 = 1.02;

pub(in crate::plan) fn aac_settings(sound: Sound, profile: &Profile) -> AudioSettings {
    let channels = sound.channels.clamp(1, 2);
    AudioSettings {
        codec: AudioCodec::Aac,
        sample_rate_hz: if sound.sample_rate_hz.is_multiple_of(11_025) { 44_100 } else { 48_000 },
        channels,
        bit_rate: profile.video.audio_bit_rate_per_channel * channels,
        vbr_quality: None,
        compression_level: 0,
        loudness: profile.audio.loudness,
    }
}

pub(in crate::plan) fn rates_for(channels: u32, profile: &AudioProfile) -> ChannelRates {
    if channels <= 1 { profile.mono } else { profile.stereo }
}

pub(in crate::plan) fn mp3_settings(sound: Sound, profile: &AudioProfile) -> AudioSettings {
    let channels = sound.channels.clamp(1, profile.max_channels);
    let rates = rates_for(channels, profile);
    let wanted =
        sound.sample_rate_hz.clamp(MP3_MIN_SAMPLE_RATE_HZ, rates.max_sample_rate_hz.max(MP3_MIN_SAMPLE_RATE_HZ));
    let sample_rate_hz = MP3_SAMPLE_RATES.iter().copied().find(|rate| *rate >= wanted).unwrap_or(48_000);
    AudioSettings {
        codec: AudioCodec::Mp3,
        sample_rate_hz,
        channels,
        bit_rate: mp3_bit_rate_at_most(rates.bit_rate, sample_rate_hz),
        vbr_quality: profile.vbr_quality,
        compression_level: profile.compression_level,
        loudness: profile.loudness,
    }
}

/// The highest bit rate that MP3 has at this sample rate and that is not above the wish; the lowest where all are.
pub(in crate::plan) fn mp3_bit_rate_at_most(bit_rate: u32, sample_rate_hz: u32) -> u32 {
    let rates = if sample_rate_hz > 24_000 { MP3_BIT_RATES_MPEG1 } else { MP3_BIT_RATES_MPEG2 };
    rates.iter().rev().map(|kbit| kbit * 1000).find(|rate| *rate <= bit_rate).unwrap_or(rates[0] * 1000)
}

pub(in crate::plan) fn video_settings(picture: &Picture, profile: &VideoProfile) -> VideoSettings {
    let (width, height) = fit(picture.displayed(), profile.max_long_side, profile.max_short_side);
    VideoSettings {
        width,
        height,
        frame_rate_cap: picture
            .frame_rate
            .is_none_or(|rate| rate > profile.max_frame_rate * RATE_TOLERANCE)
            .then_some(profile.max_frame_rate),
        rate: RateControl::Crf(profile.crf),
        preset: profile.preset.clone(),
        keyframe_interval_s: profile.keyframe_interval_s,
        tone_map: picture.dynamic_range != DynamicRange::Sdr,
    }
}

/// The largest even size of the same shape within the caps; never larger than the source, never below 2.
fn fit((width, height): (u32, u32), max_long: u32, max_short: u32) -> (u32, u32) {
    let (long, short) = (f64::from(width.max(height)), f64::from(width.min(height)));
    let scale = (f64::from(max_long) / long).min(f64::from(max_short) / short).min(1.0);
    let side = |pixels: u32| even(f64::from(pixels) * scale).min(pixels & !1).max(2);
    (side(width), side(height))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size within the caps")]
pub(in crate::plan) fn even(pixels: f64) -> u32 {
    (((pixels / 2.0).round() as u32) * 2).max(2)
}
