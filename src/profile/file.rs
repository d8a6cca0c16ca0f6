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
    /// After how many days media are to be deleted that neither event, contact nor tenant say otherwise of; 0 is as
    /// `privacy.retention_days` says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retention_days: u32,
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
    /// Still pictures.
    #[serde(default)]
    pub picture: RawPicture,
    /// Waveform picture and peaks.
    #[serde(default)]
    pub waveform: RawWaveform,
}

/// `[audio]`: audio files become MP3, or Ogg with Opus. Mono is voice in all but name, stereo is music: each has its own rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAudio {
    /// `mp3`, or `opus`: one channel of Opus at a variable bit rate around `bit_rate`, in Ogg, as messengers take voice messages.
    #[serde(default = "mp3")]
    pub codec: String,
    /// Opus: a size in bytes within which the bit rate is lowered as far as speech stays good; what does not fit then is larger,
    /// and said. 0 is none.
    #[serde(default)]
    pub preferred_max_bytes: u64,
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

/// `[picture]`: what is made of a still picture beside its thumbnail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPicture {
    /// Whether a picture that is not shown everywhere gets a rendition, `picture.jpg` or `picture.png`.
    pub rendition: bool,
    /// Containers that are shown as they are, by their names in events; `webp-animated` is a WebP that moves.
    pub shown: Vec<String>,
    /// `auto` (JPEG, or PNG where there is transparency) or `jpeg` (transparency on white).
    pub format: String,
    /// Longest side of a rendition in pixels; a picture above it gets one, whatever its container.
    pub max_side: u32,
    /// JPEG quality as libav counts it, 2 (best) to 31.
    pub quality: u8,
    /// Whether JPEG, PNG and WebP that are shown as they are get a rendition without Exif, XMP, IPTC and comments.
    pub strip_metadata: bool,
}

impl Default for RawPicture {
    fn default() -> Self {
        Self {
            rendition: true,
            shown: ["jpeg", "png", "gif", "webp"].map(str::to_owned).to_vec(),
            format: "auto".to_owned(),
            max_side: 4096,
            quality: 3,
            strip_metadata: false,
        }
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

fn mp3() -> String {
    "mp3".to_owned()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(days: &u32) -> bool {
    *days == 0
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
