//! A stream of the original, as it stands in events and in `mediamill probe`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One stream of the original file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// Position in the container, from 0.
    pub index: usize,
    /// Codec by its FFmpeg name: `opus`, `h264`, `mov_text`, …
    pub codec: String,
    /// Codec profile: `High`, `LC`, `HE-AACv2`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Average bit rate in bit/s, declared or measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    /// Presentation time of the first frame in ms; 0 is the start of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    /// Length of this stream in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Whether players pick this stream by themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// What is particular to the kind of stream.
    #[serde(flatten)]
    pub detail: StreamDetail,
}

/// What is particular to one kind of stream; the tag is `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum StreamDetail {
    /// Moving or still picture.
    Video {
        /// Width in pixels as displayed: cropped, square pixels, upright.
        width: u32,
        /// Height in pixels as displayed.
        height: u32,
        /// FFmpeg's name of the pixel format: `yuv420p`, `yuv420p10le`, …
        pixel_format: String,
        /// Average frames per second; absent for stills.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frame_rate: Option<f64>,
        /// Level as the codec counts it: 31 is H.264 level 3.1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<i32>,
        /// How the coded picture has to be turned to stand upright.
        #[serde(default)]
        orientation: Orientation,
        /// `sdr`, `hlg` or `pq`.
        dynamic_range: String,
        /// `bt709`, `bt2020nc`, … where the stream says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        color_space: Option<String>,
        /// A picture that goes with the audio, not a video.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cover_art: bool,
    },
    /// Sound.
    Audio {
        /// Samples per second after decoding.
        sample_rate_hz: u32,
        /// Number of channels.
        channels: u32,
    },
    /// Timed text or subtitle pictures.
    Subtitle,
    /// Anything else: timed metadata, attachments.
    Data,
}

/// How a coded picture is turned for display: mirrored left to right first, then rotated clockwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Orientation {
    /// Clockwise, 0, 90, 180 or 270.
    pub rotation_degrees: u16,
    /// Left and right exchanged before rotating.
    pub mirrored: bool,
}
