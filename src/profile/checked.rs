//! A compression profile, validated: whatever it says can be done.

use super::{RawAudio, RawProfile, RawVideo};

/// What the playback asset, thumbnail and waveform should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// As in events.
    pub name: String,
    /// Tolerance of *never larger*, as a factor: 1.05.
    pub larger_tolerance: f64,
    /// Promised maximum of the playback asset.
    pub max_bytes: Option<u64>,
    /// MP3.
    pub audio: AudioProfile,
    /// MP4.
    pub video: VideoProfile,
    /// Longest side and JPEG quality (2 to 31).
    pub thumbnail: (u32, u8),
    /// Waveform picture and peaks.
    pub waveform: WaveformProfile,
}

/// MP3 settings.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioProfile {
    /// For one channel.
    pub mono: ChannelRates,
    /// For two.
    pub stereo: ChannelRates,
    /// LAME's VBR quality; none is constant bit rate.
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality, 0 (slowest) to 9.
    pub compression_level: u8,
    /// 1 or 2.
    pub max_channels: u32,
    /// Loudness after gain, and the true peak that gain must not pass.
    pub loudness: Option<LoudnessTarget>,
}

/// Bit rate and sample rate that go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRates {
    /// bit/s.
    pub bit_rate: u32,
    /// Hz.
    pub max_sample_rate_hz: u32,
}

/// EBU R 128 target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoudnessTarget {
    /// Integrated loudness in LUFS.
    pub target_lufs: f64,
    /// Ceiling in dBTP.
    pub true_peak_dbtp: f64,
}

/// MP4 settings.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoProfile {
    /// Pixels.
    pub max_long_side: u32,
    /// Pixels.
    pub max_short_side: u32,
    /// Frames per second.
    pub max_frame_rate: f64,
    /// bit/s above which a conforming stream is encoded all the same.
    pub max_bit_rate: u64,
    /// H.264 level times ten.
    pub max_level: i32,
    /// x264's constant rate factor.
    pub crf: f64,
    /// x264's preset.
    pub preset: String,
    /// Seconds.
    pub keyframe_interval_s: f64,
    /// AAC bit/s for one channel.
    pub audio_bit_rate_per_channel: u32,
}

/// Picture and peaks of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveformProfile {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pairs a second.
    pub peaks_per_second: u32,
    /// Pairs in all.
    pub max_peaks: u32,
}

/// A profile that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ProfileError {
    /// The key, with its table: `audio.bit_rate`.
    pub key: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

/// MP3 bit rates in kbit/s that any decoder accepts (ISO/IEC 11172-3 and 13818-3, layer III).
pub const MP3_BIT_RATES_MPEG1: &[u32] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// The same for sample rates up to 24 kHz (MPEG-2 and 2.5).
pub const MP3_BIT_RATES_MPEG2: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Sample rates of MP3 in Hz.
pub const MP3_SAMPLE_RATES: &[u32] = &[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];
/// x264's presets, fastest first.
const X264_PRESETS: &[&str] =
    &["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

impl Profile {
    /// Checks a profile as written.
    ///
    /// # Errors
    /// Every key whose value cannot be followed, all at once.
    pub fn from_raw(raw: &RawProfile) -> Result<Self, Vec<ProfileError>> {
        let mut checks = Checks(Vec::new());
        checks.ensure(!raw.name.is_empty() && is_kebab(&raw.name), "name", "must be kebab-case");
        checks.range(raw.larger_tolerance_percent, 0.0..=1000.0, "larger_tolerance_percent");
        checks.audio(&raw.audio);
        checks.video(&raw.video);
        checks.range(raw.thumbnail.max_side, 16..=4096, "thumbnail.max_side");
        checks.range(raw.thumbnail.quality, 2..=31, "thumbnail.quality");
        checks.range(raw.waveform.width, 16..=4096, "waveform.width");
        checks.range(raw.waveform.height, 16..=1024, "waveform.height");
        checks.range(raw.waveform.peaks_per_second, 1..=1000, "waveform.peaks_per_second");
        checks.range(raw.waveform.max_peaks, 16..=1_000_000, "waveform.max_peaks");
        if checks.0.is_empty() { Ok(build(raw)) } else { Err(checks.0) }
    }
}

fn build(raw: &RawProfile) -> Profile {
    let (audio, video) = (&raw.audio, &raw.video);
    Profile {
        name: raw.name.clone(),
        larger_tolerance: 1.0 + raw.larger_tolerance_percent / 100.0,
        max_bytes: (raw.max_bytes > 0).then_some(raw.max_bytes),
        audio: AudioProfile {
            mono: ChannelRates { bit_rate: audio.bit_rate, max_sample_rate_hz: audio.max_sample_rate_hz },
            stereo: ChannelRates {
                bit_rate: audio.stereo_bit_rate,
                max_sample_rate_hz: audio.stereo_max_sample_rate_hz,
            },
            vbr_quality: (audio.mode == "vbr").then_some(audio.vbr_quality.unwrap_or(5)),
            compression_level: audio.compression_level,
            max_channels: u32::from(audio.max_channels),
            loudness: audio
                .loudness_target_lufs
                .map(|target_lufs| LoudnessTarget { target_lufs, true_peak_dbtp: audio.true_peak_dbtp }),
        },
        video: VideoProfile {
            max_long_side: video.max_long_side,
            max_short_side: video.max_short_side,
            max_frame_rate: video.max_frame_rate,
            max_bit_rate: video.max_bit_rate,
            max_level: video.max_level,
            crf: video.crf,
            preset: video.preset.clone(),
            keyframe_interval_s: video.keyframe_interval_s,
            audio_bit_rate_per_channel: video.audio_bit_rate_per_channel,
        },
        thumbnail: (raw.thumbnail.max_side, raw.thumbnail.quality),
        waveform: WaveformProfile {
            width: raw.waveform.width,
            height: raw.waveform.height,
            peaks_per_second: raw.waveform.peaks_per_second,
            max_peaks: raw.waveform.max_peaks,
        },
    }
}

fn is_kebab(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

struct Checks(Vec<ProfileError>);

impl Checks {
    fn ensure(&mut self, holds: bool, key: &'static str, problem: impl Into<String>) {
        if !holds {
            self.0.push(ProfileError { key, problem: problem.into() });
        }
    }

    fn range<T: PartialOrd + std::fmt::Debug + Copy>(
        &mut self,
        value: T,
        range: std::ops::RangeInclusive<T>,
        key: &'static str,
    ) {
        self.ensure(
            range.contains(&value),
            key,
            format!("{value:?} is not between {:?} and {:?}", range.start(), range.end()),
        );
    }

    fn audio(&mut self, audio: &RawAudio) {
        let vbr = audio.mode == "vbr";
        self.ensure(vbr || audio.mode == "cbr", "audio.mode", "is neither \"cbr\" nor \"vbr\"");
        self.ensure(vbr || audio.vbr_quality.is_none(), "audio.vbr_quality", "goes with mode = \"vbr\" only");
        self.range(audio.vbr_quality.unwrap_or(0), 0..=9, "audio.vbr_quality");
        self.range(audio.compression_level, 0..=9, "audio.compression_level");
        self.range(audio.max_channels, 1..=2, "audio.max_channels");
        self.range(audio.loudness_target_lufs.unwrap_or(-16.0), -40.0..=-5.0, "audio.loudness_target_lufs");
        self.range(audio.true_peak_dbtp, -20.0..=0.0, "audio.true_peak_dbtp");
        self.mp3_rates(audio.bit_rate, audio.max_sample_rate_hz, "audio.bit_rate", "audio.max_sample_rate_hz");
        self.mp3_rates(
            audio.stereo_bit_rate,
            audio.stereo_max_sample_rate_hz,
            "audio.stereo_bit_rate",
            "audio.stereo_max_sample_rate_hz",
        );
    }

    fn mp3_rates(&mut self, bit_rate: u32, sample_rate: u32, bit_key: &'static str, sample_key: &'static str) {
        self.ensure(MP3_SAMPLE_RATES.contains(&sample_rate), sample_key, format!("MP3 has no {sample_rate} Hz"));
        let rates = if sample_rate > 24000 { MP3_BIT_RATES_MPEG1 } else { MP3_BIT_RATES_MPEG2 };
        self.ensure(
            bit_rate.is_multiple_of(1000) && rates.contains(&(bit_rate / 1000)),
            bit_key,
            format!("MP3 at {sample_rate} Hz has no {bit_rate} bit/s; it has {rates:?} kbit/s"),
        );
    }

    fn video(&mut self, video: &RawVideo) {
        self.range(video.max_long_side, 64..=7680, "video.max_long_side");
        self.range(video.max_short_side, 64..=4320, "video.max_short_side");
        self.ensure(
            video.max_short_side <= video.max_long_side,
            "video.max_short_side",
            "is longer than video.max_long_side",
        );
        self.range(video.max_frame_rate, 1.0..=120.0, "video.max_frame_rate");
        self.range(video.max_bit_rate, 50_000..=100_000_000, "video.max_bit_rate");
        let levels = [10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52];
        self.ensure(levels.contains(&video.max_level), "video.max_level", format!("H.264 has levels {levels:?}"));
        self.range(video.crf, 0.0..=51.0, "video.crf");
        self.ensure(
            X264_PRESETS.contains(&video.preset.as_str()),
            "video.preset",
            format!("x264 has {X264_PRESETS:?}"),
        );
        self.range(video.keyframe_interval_s, 0.1..=10.0, "video.keyframe_interval_s");
        self.range(video.audio_bit_rate_per_channel, 16_000..=256_000, "video.audio_bit_rate_per_channel");
    }
}
