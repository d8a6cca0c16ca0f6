//! The peaks of a sound, inline or as `peaks.json`: the audiowaveform data format, version 2, which peaks.js and wavesurfer.js read.
//!
//! Source: <https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minimum and maximum per pixel, as 8-bit integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peaks {
    /// Always 2.
    pub version: u8,
    /// Always 1: channels are folded into one, so that a stereo file draws one line.
    pub channels: u8,
    /// Of the sound that was measured, in Hz.
    pub sample_rate: u32,
    /// How many samples one pair stands for.
    pub samples_per_pixel: u32,
    /// Always 8.
    pub bits: u8,
    /// Number of pairs in `data`.
    pub length: u32,
    /// `min, max, min, max, …`, from -128 to 127.
    pub data: Vec<i8>,
}

impl Peaks {
    /// Whether it is what the format says, with at most `most` pairs.
    #[must_use]
    pub fn is_sound(&self, most: u32) -> bool {
        (self.version, self.channels, self.bits) == (2, 1, 8)
            && self.sample_rate > 0
            && self.samples_per_pixel > 0
            && (1..=most).contains(&self.length)
            && u64::try_from(self.data.len()).is_ok_and(|values| values == 2 * u64::from(self.length))
    }
}
