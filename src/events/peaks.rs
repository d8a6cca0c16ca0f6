//! `peaks.json`: the audiowaveform data format, version 2, which peaks.js and wavesurfer.js read.
//!
//! Source: <https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md>.

use serde::{Deserialize, Serialize};

/// Minimum and maximum per pixel, as 8-bit integers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
