//! Compression profiles as they are written in TOML. The files `profiles/*.toml` next to this one are the built-in
//! profiles and the reference.

use serde::{Deserialize, Serialize};

/// A profile file. It is sent to the child unchanged, and the child validates it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    /// The name that events use, in kebab-case.
    pub name: String,
    /// One line for `mediamill profiles`.
    pub description: String,
    /// Whether the original is stored in addition to the assets. It is always stored if people open it.
    #[serde(default = "yes")]
    pub keep_original: bool,
    /// After how many days media with this profile are deleted, unless event, contact or tenant say otherwise. 0 means
    /// `privacy.retention_days`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retention_days: u32,
    /// How much larger than the original (in percent) the playback asset may be before the original's streams are kept
    /// instead.
    #[serde(default = "default_tolerance")]
    pub larger_tolerance_percent: f64,
    /// Largest size of the playback asset in bytes, which is guaranteed; 0 means no limit.
    #[serde(default)]
    pub max_bytes: u64,
    /// Settings for sound.
    pub audio: RawAudio,
    /// Settings for videos.
    pub video: RawVideo,
    /// Settings for thumbnails.
    #[serde(default)]
    pub thumbnail: RawThumbnail,
    /// Settings for still pictures.
    #[serde(default)]
    pub picture: RawPicture,
    /// Settings for the waveform picture and peaks.
    #[serde(default)]
    pub waveform: RawWaveform,
}

/// `[audio]`: audio files become MP3, or Ogg with Opus. Mono is usually voice and stereo usually music, so each has
/// rates of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAudio {
    /// `mp3` or `opus`. Opus has one channel and a variable bit rate around `bit_rate`, in Ogg, as messengers require
    /// for voice messages.
    #[serde(default = "mp3")]
    pub codec: String,
    /// Opus only: preferred size in bytes, for which the bit rate is lowered as far as speech stays good. A sound that
    /// still does not fit becomes larger, and the event says so. 0 means no preference.
    #[serde(default)]
    pub preferred_max_bytes: u64,
    /// `cbr` or `vbr`.
    pub mode: String,
    /// Bit rate of mono MP3 in bit/s. In VBR only the limit above which a mono MP3 is encoded again.
    pub bit_rate: u32,
    /// Highest sample rate of mono MP3 in Hz; a lower one of the source is kept.
    pub max_sample_rate_hz: u32,
    /// Bit rate of stereo MP3 in bit/s. In VBR only the limit.
    pub stereo_bit_rate: u32,
    /// Highest sample rate of stereo MP3 in Hz.
    pub stereo_max_sample_rate_hz: u32,
    /// LAME's VBR quality, 0 (best) to 9.
    #[serde(default)]
    pub vbr_quality: Option<u8>,
    /// LAME's algorithm quality, 0 (slowest) to 9.
    pub compression_level: u8,
    /// Most channels, 1 or 2.
    pub max_channels: u8,
    /// EBU R 128 target in LUFS. If absent, loudness is measured but not changed.
    #[serde(default)]
    pub loudness_target_lufs: Option<f64>,
    /// Highest true peak after gain, in dBTP.
    #[serde(default = "default_true_peak")]
    pub true_peak_dbtp: f64,
}

/// `[video]`: videos become H.264 in MP4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVideo {
    /// Longest long side in pixels.
    pub max_long_side: u32,
    /// Longest short side in pixels.
    pub max_short_side: u32,
    /// Highest average frame rate.
    pub max_frame_rate: f64,
    /// Above this average bit rate in bit/s a stream is encoded even if it conforms otherwise.
    pub max_bit_rate: u64,
    /// Highest H.264 level, times ten: 40 is level 4.0.
    pub max_level: i32,
    /// The H.264 profile that is written, and the highest that is kept: `high`, `main` or `baseline`. Left out, it is
    /// not part of the profile's version, which is older than the key.
    #[serde(default = "high", skip_serializing_if = "is_high")]
    pub h264_profile: String,
    /// Whether pictures may be predicted from later ones (B-frames).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
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

fn high() -> String {
    "high".to_owned()
}

fn is_high(profile: &String) -> bool {
    profile == "high"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_yes(value: &bool) -> bool {
    *value
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

/// `[picture]`: what is produced from a still picture in addition to its thumbnail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPicture {
    /// Whether a picture that not all programs show gets a rendition, `picture.jpg` or `picture.png`.
    pub rendition: bool,
    /// Formats that programs can show, by their names in events; `webp-animated` is an animated WebP.
    pub shown: Vec<String>,
    /// `auto` (JPEG, or PNG if there is transparency) or `jpeg` (transparent parts become white).
    pub format: String,
    /// Longest side of a rendition in pixels. A larger picture gets a rendition, whatever its format.
    pub max_side: u32,
    /// JPEG quality as libav counts it, 2 (best) to 31.
    pub quality: u8,
    /// Whether a JPEG, PNG or WebP that programs can show gets a rendition without Exif, XMP, IPTC and comments.
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
#[serde(default, deny_unknown_fields)]
pub struct RawWaveform {
    /// Where the peaks are: `inline`, in the event and the manifest, or `object`, in an object of their own, `peaks.json`.
    pub peaks: String,
    /// Whether a picture is drawn of them, `waveform.png`.
    pub picture: bool,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Pairs of peaks for each second of sound. A longer sound has fewer for each second, so that it has at most
    /// `max_peaks`.
    pub peaks_per_second: u32,
    /// Most pairs of peaks of a sound; where they are inline, at most 4,000 whatever stands here.
    pub max_peaks: u32,
}

impl Default for RawWaveform {
    fn default() -> Self {
        Self {
            peaks: "inline".to_owned(),
            picture: false,
            width: 800,
            height: 120,
            peaks_per_second: 20,
            max_peaks: 1000,
        }
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
