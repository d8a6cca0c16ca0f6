//! Compression profiles as written in TOML. `profiles/*.toml` beside this file are the built-in ones and the reference.

use serde::{Deserialize, Serialize};

/// A profile file. Travels to the child as it is; the child validates it into a domain profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    /// The name that events use; kebab-case.
    pub name: String,
    /// One line for `mediamill profiles`.
    pub description: String,
    /// Whether the original is stored next to the assets. Always done where it is what people open.
    #[serde(default = "yes")]
    pub keep_original: bool,
    /// The playback asset may be so much larger than the original (in percent) before the original's streams win.
    #[serde(default = "default_tolerance")]
    pub larger_tolerance_percent: f64,
    /// The playback asset's promised maximum in bytes; 0 is none.
    #[serde(default)]
    pub max_bytes: u64,
    /// Sound of its own, and of videos where a `[video.audio]` says nothing else.
    pub audio: RawAudio,
    /// Moving pictures.
    pub video: RawVideo,
    /// Thumbnails.
    #[serde(default)]
    pub thumbnail: RawThumbnail,
    /// Waveform picture and peaks.
    #[serde(default)]
    pub waveform: RawWaveform,
}

/// `[audio]`: audio files become MP3. Mono is voice in all but name, stereo is music: each has its own rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAudio {
    /// `cbr` or `vbr`.
    pub mode: String,
    /// bit/s of mono MP3; in VBR only the cap above which a mono MP3 is encoded again.
    pub bit_rate: u32,
    /// Highest sample rate of mono MP3 in Hz; a source below stays as it is.
    pub max_sample_rate_hz: u32,
    /// bit/s of stereo MP3; in VBR only the cap.
    pub stereo_bit_rate: u32,
    /// Highest sample rate of stereo MP3 in Hz.
    pub stereo_max_sample_rate_hz: u32,
    /// LAME's VBR quality, 0 (best) to 9.
    #[serde(default)]
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality, 0 (slowest) to 9.
    pub compression_level: u8,
    /// 1 or 2.
    pub max_channels: u8,
    /// EBU R 128 target in LUFS; absent: the loudness is measured and left alone.
    #[serde(default)]
    pub loudness_target_lufs: Option<f64>,
    /// Highest true peak after gain, in dBTP.
    #[serde(default = "default_true_peak")]
    pub true_peak_dbtp: f64,
}

/// `[video]`: moving pictures become H.264 in MP4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVideo {
    /// Longest side in pixels.
    pub max_long_side: u32,
    /// Shortest side in pixels.
    pub max_short_side: u32,
    /// Highest average frame rate.
    pub max_frame_rate: f64,
    /// Above this average a conforming stream is encoded all the same, bit/s.
    pub max_bit_rate: u64,
    /// Highest H.264 level, times ten: 40 is level 4.0.
    pub max_level: i32,
    /// x264's constant rate factor.
    pub crf: f64,
    /// x264's preset.
    pub preset: String,
    /// Seconds between keyframes at the most.
    pub keyframe_interval_s: f64,
    /// AAC bit/s for one channel.
    pub audio_bit_rate_per_channel: u32,
}

/// `[thumbnail]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawThumbnail {
    /// Longest side in pixels.
    pub max_side: u32,
    /// JPEG quality as libav counts it, 2 (best) to 31.
    pub quality: u8,
}

impl Default for RawThumbnail {
    fn default() -> Self {
        Self { max_side: 640, quality: 4 }
    }
}

/// `[waveform]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWaveform {
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Pairs of peaks for each second of sound, for as long as they stay below `max_peaks`.
    pub peaks_per_second: u32,
    /// Most pairs of peaks in a file.
    pub max_peaks: u32,
}

impl Default for RawWaveform {
    fn default() -> Self {
        Self { width: 800, height: 120, peaks_per_second: 20, max_peaks: 4000 }
    }
}

const fn yes() -> bool {
    true
}

const fn default_tolerance() -> f64 {
    5.0
}

const fn default_true_peak() -> f64 {
    -1.5
}
