//! Settings of an encoder, from the facts of the input stream and the profile.

use super::{DynamicRange, Picture, Sound, StreamFacts};
use crate::profile::{
    AudioProfile, ChannelRates, LoudnessTarget, MP3_BIT_RATES_MPEG1, MP3_BIT_RATES_MPEG2, MP3_SAMPLE_RATES, Profile,
    SoundCodec, VideoProfile,
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
    /// The same, and within any few seconds no more bits than so many bit/s.
    CappedCrf(f64, u64),
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
    /// libopus, for speech, at a variable bit rate.
    Opus,
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

/// Opus works at this rate inside, whatever it is given (RFC 6716, 2.1.3).
const OPUS_RATE_HZ: u32 = 48_000;

pub(in crate::plan) fn opus_settings(profile: &AudioProfile) -> AudioSettings {
    AudioSettings {
        codec: AudioCodec::Opus,
        sample_rate_hz: OPUS_RATE_HZ,
        channels: 1,
        bit_rate: profile.mono.bit_rate,
        vbr_quality: None,
        compression_level: 10,
        loudness: profile.loudness,
    }
}

/// What the profile makes of an audio file.
pub(in crate::plan) fn sound_settings(sound: Sound, profile: &AudioProfile) -> AudioSettings {
    match profile.codec {
        SoundCodec::Mp3 => mp3_settings(sound, profile),
        SoundCodec::Opus => opus_settings(profile),
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

/// How many bits H.264 may take for one that the source spent. A source of low rate has lost what a constant quality would
/// spend bits on: its noise and blocks are kept faithfully, and the output would be two and three times as large.
fn expansion(codec: &str) -> f64 {
    match codec {
        // Codecs that need about half the rate of H.264 for the same picture.
        "hevc" | "av1" | "vp9" => 2.0,
        _ => 1.5,
    }
}

/// No source is taken to have less than this in bit/s for each pixel of a second: below, H.264 shows blocks of its own.
const LEAST_BITS_PER_PIXEL: f64 = 0.02;

/// Above this in bit/s nothing is capped: two seconds of it would not fit into the decoder buffer of H.264 level 4.0 (31.25
/// Mbit in High profile, ITU-T H.264 table A-1), and x264 would declare a higher level.
const HIGHEST_CAP: u64 = 12_500_000;

/// The profile's quality, and no more bits than the source lets expect.
fn rate_control(stream: &StreamFacts, picture: &Picture, (width, height): (u32, u32), crf: f64) -> RateControl {
    let Some(source) = stream.bit_rate else { return RateControl::Crf(crf) };
    let pixels = f64::from(width) * f64::from(height) * picture.frame_rate.unwrap_or(25.0).clamp(1.0, 60.0);
    #[expect(clippy::cast_precision_loss, reason = "bit rates are far below 2^52")]
    let most = (source as f64 * expansion(&stream.codec)).max(pixels * LEAST_BITS_PER_PIXEL);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let most = most.min(f64::from(i32::MAX)) as u64;
    if most > HIGHEST_CAP { RateControl::Crf(crf) } else { RateControl::CappedCrf(crf, most) }
}

pub(in crate::plan) fn video_settings(
    stream: &StreamFacts,
    picture: &Picture,
    profile: &VideoProfile,
) -> VideoSettings {
    let (width, height) = fit(picture.displayed(), profile.max_long_side, profile.max_short_side);
    VideoSettings {
        width,
        height,
        frame_rate_cap: picture
            .frame_rate
            .is_none_or(|rate| rate > profile.max_frame_rate * RATE_TOLERANCE)
            .then_some(profile.max_frame_rate),
        rate: rate_control(stream, picture, (width, height), profile.crf),
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
