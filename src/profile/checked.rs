//! A compression profile after validation: everything that it asks for is possible.

use super::{RawAudio, RawPicture, RawProfile, RawVideo};

/// What the playback asset, thumbnail, waveform and picture should be like.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The name that events use.
    pub name: String,
    /// Tolerance of the *never larger* rule as a factor, such as 1.05.
    pub larger_tolerance: f64,
    /// Largest size of the playback asset in bytes, which is guaranteed.
    pub max_bytes: Option<u64>,
    /// Settings for sound.
    pub audio: AudioProfile,
    /// Settings for videos.
    pub video: VideoProfile,
    /// Longest side in pixels and JPEG quality (2 to 31) of thumbnails.
    pub thumbnail: (u32, u8),
    /// Settings for still pictures.
    pub picture: PictureProfile,
    /// Settings for the waveform picture and peaks.
    pub waveform: WaveformProfile,
}

/// What is produced from still pictures in addition to thumbnails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureProfile {
    /// Whether renditions are made at all.
    pub rendition: bool,
    /// Names of the formats that programs can show.
    pub shown: Vec<String>,
    /// The format of renditions.
    pub format: PictureFormat,
    /// Longest side in pixels.
    pub max_side: u32,
    /// JPEG quality as libav counts it, 2 (best) to 31.
    pub quality: u8,
    /// Whether pictures that programs can show get a rendition without metadata.
    pub strip_metadata: bool,
}

/// The format of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// JPEG, or PNG if the picture has transparency.
    Auto,
    /// JPEG; transparent parts become white.
    Jpeg,
}

/// Settings for sound.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioProfile {
    /// The codec of audio files.
    pub codec: SoundCodec,
    /// Opus only: preferred size in bytes, for which the bit rate is lowered as far as speech stays good.
    pub preferred_max_bytes: Option<u64>,
    /// Rates for one channel.
    pub mono: ChannelRates,
    /// Rates for two channels.
    pub stereo: ChannelRates,
    /// LAME's VBR quality; `None` means a constant bit rate.
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality, 0 (slowest) to 9.
    pub compression_level: u8,
    /// Most channels, 1 or 2.
    pub max_channels: u32,
    /// Loudness to reach by a gain, and the true peak that the gain must not exceed.
    pub loudness: Option<LoudnessTarget>,
}

/// The codec of audio files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundCodec {
    /// MP3.
    Mp3,
    /// Opus with one channel, in Ogg.
    Opus,
}

/// A bit rate with the sample rate that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRates {
    /// Bit rate in bit/s.
    pub bit_rate: u32,
    /// Highest sample rate in Hz.
    pub max_sample_rate_hz: u32,
}

/// A loudness target by EBU R 128.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoudnessTarget {
    /// Integrated loudness in LUFS.
    pub target_lufs: f64,
    /// Highest true peak in dBTP.
    pub true_peak_dbtp: f64,
}

/// Settings for videos.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoProfile {
    /// Longest long side in pixels.
    pub max_long_side: u32,
    /// Longest short side in pixels.
    pub max_short_side: u32,
    /// Highest average frame rate.
    pub max_frame_rate: f64,
    /// Above this bit rate in bit/s a stream is encoded even if it conforms otherwise.
    pub max_bit_rate: u64,
    /// Highest H.264 level, times ten.
    pub max_level: i32,
    /// The H.264 profile that is written, and the highest that is kept.
    pub h264_profile: H264Profile,
    /// Whether pictures may be predicted from later ones (B-frames).
    pub b_frames: bool,
    /// x264's constant rate factor.
    pub crf: f64,
    /// x264's preset.
    pub preset: String,
    /// Longest time between keyframes in seconds.
    pub keyframe_interval_s: f64,
    /// AAC bit rate in bit/s for each channel.
    pub audio_bit_rate_per_channel: u32,
}

/// Profiles of H.264 (ITU-T H.264, annex A), from the one with the fewest tools up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum H264Profile {
    /// No B-frames, no CABAC.
    Baseline,
    /// Without the transform of 8 × 8.
    Main,
    /// With it.
    High,
}

impl H264Profile {
    /// All, from the lowest up.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Main, Self::High];

    /// The name in profiles, which is x264's as well.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Main => "main",
            Self::High => "high",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.as_str() == name)
    }
}

/// Settings for the waveform picture and the peaks of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveformProfile {
    /// Whether the peaks are in the event, rather than in an object of their own.
    pub is_inline: bool,
    /// Whether a picture is drawn.
    pub has_picture: bool,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pairs of peaks for each second.
    pub peaks_per_second: u32,
    /// Most pairs of peaks of a sound.
    pub max_peaks: u32,
}

/// A key of a profile with an impossible value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ProfileError {
    /// The key with its table: `audio.bit_rate`.
    pub key: &'static str,
    /// What is wrong with the value.
    pub problem: String,
}

/// MP3 bit rates in kbit/s that every decoder supports (ISO/IEC 11172-3 and 13818-3, layer III).
pub const MP3_BIT_RATES_MPEG1: &[u32] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// The same for sample rates up to 24 kHz (MPEG-2 and 2.5).
pub const MP3_BIT_RATES_MPEG2: &[u32] = &[8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// MP3 sample rates in Hz.
pub const MP3_SAMPLE_RATES: &[u32] = &[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];
/// Names of picture formats in events; `webp-animated` is an animated WebP.
pub const PICTURES: &[&str] = &["jpeg", "png", "gif", "webp", "webp-animated", "bmp", "tiff", "avif", "heic", "jxl"];
/// x264's presets, fastest first.
const X264_PRESETS: &[&str] =
    &["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

/// Most pairs of peaks in an event: some 32 kB of JSON.
pub const MAX_INLINE_PEAKS: u32 = 4000;

impl Profile {
    /// Checks a profile as it was written.
    ///
    /// # Errors
    /// All keys with impossible values.
    pub fn from_raw(raw: &RawProfile) -> Result<Self, Vec<ProfileError>> {
        let mut checks = Checks(Vec::new());
        checks.ensure(!raw.name.is_empty() && is_kebab(&raw.name), "name", "must be kebab-case");
        checks.range(raw.larger_tolerance_percent, 0.0..=1000.0, "larger_tolerance_percent");
        checks.audio(&raw.audio);
        checks.video(&raw.video);
        checks.range(raw.thumbnail.max_side, 16..=4096, "thumbnail.max_side");
        checks.range(raw.thumbnail.quality, 2..=31, "thumbnail.quality");
        checks.picture(&raw.picture);
        checks.range(raw.waveform.width, 16..=4096, "waveform.width");
        checks.range(raw.waveform.height, 16..=1024, "waveform.height");
        checks.range(raw.waveform.peaks_per_second, 1..=1000, "waveform.peaks_per_second");
        let inline = raw.waveform.peaks == "inline";
        checks.ensure(
            inline || raw.waveform.peaks == "object",
            "waveform.peaks",
            "is neither \"inline\" nor \"object\"",
        );
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
            codec: if audio.codec == "opus" { SoundCodec::Opus } else { SoundCodec::Mp3 },
            preferred_max_bytes: (audio.preferred_max_bytes > 0).then_some(audio.preferred_max_bytes),
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
            h264_profile: H264Profile::of(&video.h264_profile).unwrap_or(H264Profile::High),
            b_frames: video.b_frames,
            crf: video.crf,
            preset: video.preset.clone(),
            keyframe_interval_s: video.keyframe_interval_s,
            audio_bit_rate_per_channel: video.audio_bit_rate_per_channel,
        },
        thumbnail: (raw.thumbnail.max_side, raw.thumbnail.quality),
        picture: PictureProfile {
            rendition: raw.picture.rendition,
            shown: raw.picture.shown.clone(),
            format: if raw.picture.format == "jpeg" { PictureFormat::Jpeg } else { PictureFormat::Auto },
            max_side: raw.picture.max_side,
            quality: raw.picture.quality,
            strip_metadata: raw.picture.strip_metadata,
        },
        waveform: WaveformProfile {
            is_inline: raw.waveform.peaks == "inline",
            has_picture: raw.waveform.picture,
            width: raw.waveform.width,
            height: raw.waveform.height,
            peaks_per_second: raw.waveform.peaks_per_second,
            max_peaks: match raw.waveform.peaks.as_str() {
                // A profile of before they were inline may ask for more.
                "inline" => raw.waveform.max_peaks.min(MAX_INLINE_PEAKS),
                _ => raw.waveform.max_peaks,
            },
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
        let opus = audio.codec == "opus";
        self.ensure(opus || audio.codec == "mp3", "audio.codec", "is neither \"mp3\" nor \"opus\"");
        self.ensure(!opus || audio.max_channels == 1, "audio.max_channels", "must be 1 for Opus");
        self.ensure(
            opus || audio.preferred_max_bytes == 0,
            "audio.preferred_max_bytes",
            "is only possible with codec = \"opus\"",
        );
        self.ensure(vbr || audio.mode == "cbr", "audio.mode", "is neither \"cbr\" nor \"vbr\"");
        self.ensure(vbr || audio.vbr_quality.is_none(), "audio.vbr_quality", "is only possible with mode = \"vbr\"");
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
            format!("MP3 at {sample_rate} Hz has no {bit_rate} bit/s; possible are {rates:?} kbit/s"),
        );
    }

    fn picture(&mut self, picture: &RawPicture) {
        self.range(picture.max_side, 160..=16_384, "picture.max_side");
        self.range(picture.quality, 2..=31, "picture.quality");
        let format = matches!(picture.format.as_str(), "auto" | "jpeg");
        self.ensure(format, "picture.format", "is neither \"auto\" nor \"jpeg\"");
        let unknown = picture.shown.iter().find(|name| !PICTURES.contains(&name.as_str()));
        self.ensure(unknown.is_none(), "picture.shown", format!("{unknown:?} is not one of {PICTURES:?}"));
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
        self.ensure(
            levels.contains(&video.max_level),
            "video.max_level",
            format!("is not an H.264 level; possible are {levels:?}"),
        );
        self.ensure(
            H264Profile::of(&video.h264_profile).is_some(),
            "video.h264_profile",
            format!("is not an H.264 profile; possible are {:?}", H264Profile::ALL.map(H264Profile::as_str)),
        );
        self.range(video.crf, 0.0..=51.0, "video.crf");
        self.ensure(
            X264_PRESETS.contains(&video.preset.as_str()),
            "video.preset",
            format!("is not an x264 preset; possible are {X264_PRESETS:?}"),
        );
        self.range(video.keyframe_interval_s, 0.1..=10.0, "video.keyframe_interval_s");
        self.range(video.audio_bit_rate_per_channel, 16_000..=256_000, "video.audio_bit_rate_per_channel");
    }
}
