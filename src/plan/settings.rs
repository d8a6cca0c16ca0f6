//! Encoder settings, derived from the facts of the input stream and the profile.

use super::{DynamicRange, Picture, Sound, StreamFacts};
use crate::profile::{
    AudioProfile, ChannelRates, H264Profile, LoudnessTarget, MP3_BIT_RATES_MPEG1, MP3_BIT_RATES_MPEG2,
    MP3_SAMPLE_RATES, Profile, SoundCodec, VideoProfile,
};

/// H.264 settings.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSettings {
    /// Width in pixels, even, upright.
    pub width: u32,
    /// Height in pixels, even, upright.
    pub height: u32,
    /// Frames above this rate are left out; `None` keeps all timestamps.
    pub frame_rate_cap: Option<f64>,
    /// How the bit rate is controlled.
    pub rate: RateControl,
    /// The H.264 profile.
    pub h264_profile: H264Profile,
    /// Whether it may have B-frames.
    pub b_frames: bool,
    /// x264's preset.
    pub preset: String,
    /// Longest time between keyframes in seconds.
    pub keyframe_interval_s: f64,
    /// Whether high dynamic range has to be converted to standard.
    pub tone_map: bool,
}

/// How the bit rate is controlled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateControl {
    /// x264's constant rate factor.
    Crf(f64),
    /// Constant rate factor, with at most this many bit/s within any few seconds.
    CappedCrf(f64, u64),
    /// Average bit rate in bit/s, with a buffer of two seconds.
    Average(u64),
}

/// Settings for MP3, AAC or Opus.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioSettings {
    /// Which encoder.
    pub codec: AudioCodec,
    /// Sample rate in Hz.
    pub sample_rate_hz: u32,
    /// Number of channels, 1 or 2.
    pub channels: u32,
    /// Bit rate in bit/s.
    pub bit_rate: u32,
    /// LAME's VBR quality; replaces the bit rate.
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality.
    pub compression_level: u8,
    /// The loudness to reach.
    pub loudness: Option<LoudnessTarget>,
}

/// The encoders for sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// libmp3lame.
    Mp3,
    /// AAC-LC by libav's own encoder.
    Aac,
    /// libopus, tuned for speech, with a variable bit rate.
    Opus,
}

/// Lowest sample rate of an MP3. MPEG-2.5's 8 to 12 kHz are not standardised, and some players do not support them.
pub(in crate::plan) const MP3_MIN_SAMPLE_RATE_HZ: u32 = 16_000;
/// How far a declared frame rate may exceed the limit: 30000/1001 and rounding are no reason to encode.
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

/// The sample rate that Opus uses internally, whatever its input (RFC 6716, 2.1.3).
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

/// The settings that the profile gives for an audio file.
pub(in crate::plan) fn sound_settings(stream: &StreamFacts, sound: Sound, profile: &AudioProfile) -> AudioSettings {
    match profile.codec {
        SoundCodec::Mp3 => relative_to(stream, mp3_settings(sound, profile)),
        SoundCodec::Opus => opus_settings(profile),
    }
}

/// MP3 has no more than [`sound_expansion`] bits for one bit of the source: what a low bit rate has taken away cannot be restored.
fn relative_to(stream: &StreamFacts, settings: AudioSettings) -> AudioSettings {
    let Some(source) = limiting_bit_rate(stream) else { return settings };
    let least = least_bit_rate(settings.sample_rate_hz) * settings.channels;
    let most = source.saturating_mul(sound_expansion(&stream.codec));
    let most = u32::try_from(most).unwrap_or(u32::MAX).max(least).min(settings.bit_rate);
    AudioSettings { bit_rate: mp3_bit_rate_at_most(most, settings.sample_rate_hz), ..settings }
}

/// The bit rate of a stream that has lost detail to it. A lossless codec has a low one where there is little to see or hear, and
/// all of that is still there: the text of a GIF is to be legible.
fn limiting_bit_rate(stream: &StreamFacts) -> Option<u64> {
    const LOSSLESS: [&str; 7] = ["alac", "ffv1", "flac", "gif", "mlp", "png", "truehd"];
    stream.bit_rate.filter(|_| !LOSSLESS.contains(&stream.codec.as_str()) && !stream.codec.starts_with("pcm_"))
}

/// How many bits MP3 may use for one bit of the source.
fn sound_expansion(codec: &str) -> u64 {
    match codec {
        // MP3 and its contemporaries: as good at the same rate.
        "mp1" | "mp2" | "mp3" | "wmav1" | "wmav2" => 1,
        // Half the rate of MP3 or less for the same sound: Opus, AAC, Vorbis, the codecs of telephones.
        _ => 2,
    }
}

/// With less for each channel MP3 is heard as such, however bad its source: 16 kHz have room for a telephone's band.
fn least_bit_rate(sample_rate_hz: u32) -> u32 {
    if sample_rate_hz <= 16_000 { 24_000 } else { 32_000 }
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

/// The highest MP3 bit rate at this sample rate that is not above the requested one; the lowest if all are above.
pub(in crate::plan) fn mp3_bit_rate_at_most(bit_rate: u32, sample_rate_hz: u32) -> u32 {
    let rates = if sample_rate_hz > 24_000 { MP3_BIT_RATES_MPEG1 } else { MP3_BIT_RATES_MPEG2 };
    rates.iter().rev().map(|kbit| kbit * 1000).find(|rate| *rate <= bit_rate).unwrap_or(rates[0] * 1000)
}

/// How many bits H.264 may use for one bit of the source. Detail that a source with a low bit rate has lost cannot be
/// restored; with constant quality, H.264 would spend bits on preserving noise and blocks, and the output would be two
/// or three times as large.
fn expansion(codec: &str) -> f64 {
    match codec {
        // Codecs that need about half the bit rate of H.264 for the same picture.
        "hevc" | "av1" | "vp9" => 2.0,
        _ => 1.5,
    }
}

/// The source is assumed to have at least this bit rate per pixel and frame: with less, H.264 shows blocks of its own.
const LEAST_BITS_PER_PIXEL: f64 = 0.02;
/// And at least this many frames a second: of fewer, each has more that is new.
const LEAST_FRAME_RATE: f64 = 10.0;

/// Higher bit rates are not capped, in bit/s. Two seconds of it would not fit into the decoder buffer of H.264 level
/// 4.0 (31.25 Mbit in High profile, ITU-T H.264 table A-1), and x264 would declare a higher level.
const HIGHEST_CAP: u64 = 12_500_000;

/// The profile's quality, with a bit rate that is limited by that of the source.
fn rate_control(stream: &StreamFacts, picture: &Picture, (width, height): (u32, u32), crf: f64) -> RateControl {
    let Some(source) = limiting_bit_rate(stream) else { return RateControl::Crf(crf) };
    let frame_rate = picture.frame_rate.unwrap_or(25.0).clamp(LEAST_FRAME_RATE, 60.0);
    let pixels = f64::from(width) * f64::from(height) * frame_rate;
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
        h264_profile: profile.h264_profile,
        b_frames: profile.b_frames,
        preset: profile.preset.clone(),
        keyframe_interval_s: profile.keyframe_interval_s,
        tone_map: picture.dynamic_range != DynamicRange::Sdr,
    }
}

/// The largest even size of the same shape within the limits; never larger than the source and never below 2.
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

#[cfg(test)]
mod tests {
    use super::super::tests::{picture, profile, sound, video};
    use super::*;

    #[test]
    fn the_bit_rate_of_a_picture_is_limited_by_that_of_its_source() {
        let rate = |codec: &str, bit_rate: Option<u64>| {
            let source = StreamFacts { codec: codec.to_owned(), bit_rate, ..video(0) };
            video_settings(&source, &picture(), &profile().video).rate
        };
        let crf = profile().video.crf;
        assert_eq!(rate("vp8", None), RateControl::Crf(crf));
        assert_eq!(rate("vp8", Some(2_000_000)), RateControl::CappedCrf(crf, 3_000_000));
        assert_eq!(rate("hevc", Some(1_000_000)), RateControl::CappedCrf(crf, 2_000_000));
        // 720p30 with less than 0.02 bits per pixel is assumed to have that much.
        assert_eq!(rate("vp8", Some(10_000)), RateControl::CappedCrf(crf, 552_960));
        // So is one frame in three seconds, of at least ten frames a second.
        let slides = Picture { frame_rate: Some(0.333), ..picture() };
        let source = StreamFacts { codec: "h264".to_owned(), bit_rate: Some(10_000), ..video(0) };
        let settings = video_settings(&source, &slides, &profile().video);
        assert_eq!(settings.rate, RateControl::CappedCrf(crf, 184_320));
        for codec in ["gif", "png", "ffv1"] {
            assert_eq!(rate(codec, Some(10_000)), RateControl::Crf(crf), "{codec}");
        }
    }

    #[test]
    fn the_bit_rate_of_a_sound_is_limited_by_that_of_its_source() {
        let rate = |codec: &str, bit_rate: Option<u64>, sample_rate_hz: u32, channels: u32| {
            let source = StreamFacts { bit_rate, ..sound(0, codec, 0, sample_rate_hz, channels) };
            sound_settings(&source, Sound { sample_rate_hz, channels }, &profile().audio).bit_rate
        };
        // The profile's own: 40 kbit/s, and 112 kbit/s of stereo.
        assert_eq!(rate("opus", Some(24_000), 48_000, 1), 40_000);
        assert_eq!(rate("opus", None, 48_000, 1), 40_000);
        assert_eq!(rate("pcm_s16le", Some(128_000), 8_000, 1), 40_000);
        assert_eq!(rate("flac", Some(12_000), 48_000, 1), 40_000);
        assert_eq!(rate("opus", Some(16_000), 48_000, 1), 32_000);
        assert_eq!(rate("gsm_ms", Some(13_000), 8_000, 1), 24_000);
        assert_eq!(rate("amr_nb", Some(4_750), 8_000, 1), 24_000);
        assert_eq!(rate("opus", Some(6_000), 48_000, 1), 32_000);
        assert_eq!(rate("opus", Some(40_000), 48_000, 2), 80_000);
        assert_eq!(rate("mp3", Some(48_000), 44_100, 2), 64_000);
    }
}
