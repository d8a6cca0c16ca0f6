//! A stream of the original, as events and `mediamill probe` describe it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One stream of the original file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// Index in the container, from 0.
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
    /// Whether players choose this stream by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The properties of this kind of stream.
    #[serde(flatten)]
    pub detail: StreamDetail,
}

/// The properties of one kind of stream; the tag is `type`.
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
        /// Level in the codec's own numbers: 31 is H.264 level 3.1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<i32>,
        /// How the coded picture has to be rotated and mirrored to be upright.
        #[serde(default)]
        orientation: Orientation,
        /// `sdr`, `hlg` or `pq`.
        dynamic_range: String,
        /// `bt709`, `bt2020nc`, …, if the stream declares it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        color_space: Option<String>,
        /// Whether it is a cover picture of the audio instead of a video.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cover_art: bool,
        /// How many pictures an animation has, if its header says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        frames: Option<u32>,
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

/// How a coded picture is rotated and mirrored for display: first mirrored left to right, then rotated clockwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Orientation {
    /// Clockwise rotation: 0, 90, 180 or 270 degrees.
    pub rotation_degrees: u16,
    /// Whether left and right are exchanged before the rotation.
    pub mirrored: bool,
}
