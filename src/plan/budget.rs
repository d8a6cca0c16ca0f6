//! Finds encoder settings whose output stays below a profile's `max_bytes`, or finds that there are none.

use super::settings::{
    AudioCodec, AudioSettings, MP3_MIN_SAMPLE_RATE_HZ, RateControl, VideoSettings, even, mp3_bit_rate_at_most,
};

/// Settings whose output fits into the budget: constant bit rate, as high as possible. `None` if nothing fits.
#[must_use]
pub fn fit_audio(settings: &AudioSettings, max_bytes: u64, duration_ms: u64) -> Option<AudioSettings> {
    // Room for the header frame and for rounding of the last frame.
    let bits = max_bytes.checked_sub(2048)?.saturating_mul(8000);
    let affordable = u32::try_from(bits / duration_ms.max(1)).unwrap_or(u32::MAX);
    if settings.codec == AudioCodec::Opus {
        let bit_rate = (affordable - affordable / 20).min(settings.bit_rate);
        return (bit_rate >= LEAST_OPUS_BIT_RATE).then(|| AudioSettings { bit_rate, ..settings.clone() });
    }
    // A low bit rate needs a low sample rate, and the lowest ones a single channel.
    let ladder = [
        (settings.sample_rate_hz, settings.channels),
        (settings.sample_rate_hz.min(24_000), settings.channels),
        (MP3_MIN_SAMPLE_RATE_HZ, 1),
    ];
    ladder.into_iter().find_map(|(sample_rate_hz, channels)| {
        let bit_rate = mp3_bit_rate_at_most(affordable.min(settings.bit_rate), sample_rate_hz);
        (bit_rate <= affordable).then(|| AudioSettings {
            sample_rate_hz,
            channels,
            bit_rate,
            vbr_quality: None,
            ..settings.clone()
        })
    })
}

/// Below this bit rate Opus is not worth listening to.
const LEAST_OPUS_BIT_RATE: u32 = 8_000;
/// At this bit rate Opus has wide band and good speech (RFC 6716, 2.1.1: 16 to 20 kbit/s for wide band).
const GOOD_OPUS_BIT_RATE: u32 = 16_000;

/// Opus settings with which a sound of this length should stay below a preferred size, as far as speech stays good.
#[must_use]
pub fn prefer_audio(settings: &AudioSettings, preferred_bytes: u64, duration_ms: u64) -> AudioSettings {
    // One Ogg page for each second, and the lengths of packets (RFC 3533, 6).
    let overhead_bytes = 2048 + duration_ms / 1000 * 80;
    let bits = preferred_bytes.saturating_sub(overhead_bytes).saturating_mul(8000);
    let affordable = u32::try_from(bits / duration_ms.max(1)).unwrap_or(u32::MAX);
    let affordable = affordable - affordable / 20;
    let bit_rate = settings.bit_rate.min(affordable.max(GOOD_OPUS_BIT_RATE.min(settings.bit_rate)));
    AudioSettings { bit_rate, ..settings.clone() }
}

/// The lowest number of bits per pixel and frame with which x264 gives a recognisable picture.
const LEAST_BITS_PER_PIXEL: f64 = 0.03;
/// Below this bit rate no picture is worth its bytes.
const LEAST_VIDEO_BIT_RATE: u64 = 40_000;

/// Settings whose output should fit into the budget: an average bit rate, and a smaller picture if that is low. `None`
/// if nothing fits.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "bit rates are far below 2^52")]
pub fn fit_video(
    settings: &VideoSettings,
    frame_rate: f64,
    max_bytes: u64,
    duration_ms: u64,
    audio_bit_rate: u64,
    margin: f64,
) -> Option<VideoSettings> {
    let total = max_bytes as f64 * 8000.0 / duration_ms.max(1) as f64 * margin;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let bit_rate = (total as u64).checked_sub(audio_bit_rate).filter(|rate| *rate >= LEAST_VIDEO_BIT_RATE)?;
    let pixels = f64::from(settings.width) * f64::from(settings.height);
    let affordable = bit_rate as f64 / (frame_rate.max(1.0) * LEAST_BITS_PER_PIXEL);
    let scale = (affordable / pixels).sqrt().min(1.0);
    Some(VideoSettings {
        width: even(f64::from(settings.width) * scale),
        height: even(f64::from(settings.height) * scale),
        rate: RateControl::Average(bit_rate),
        ..settings.clone()
    })
}
