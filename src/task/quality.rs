//! How similar a playback asset is to its original, as a child measures it.

use serde::{Deserialize, Serialize};

/// The similarity of a playback asset to its original over the first 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The sound, if both have sound.
    pub sound: Option<SoundQuality>,
    /// The picture, if it was encoded.
    pub picture: Option<PictureQuality>,
}

/// Similarity of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoundQuality {
    /// Integrated loudness of the playback asset minus that of the original, in LU, measured on one channel; absent if
    /// either is silent.
    pub loudness_change_lu: Option<f64>,
}

/// Similarity of the picture to the original, after that was rotated upright, scaled and tone-mapped as planned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PictureQuality {
    /// Pairs of frames that were compared.
    pub frames: u32,
    /// Frames of one side without a counterpart on the other.
    pub unmatched: u32,
    /// libavfilter's SSIM over all planes, mean.
    pub ssim: f64,
    /// SSIM of the worst frame.
    pub ssim_worst: f64,
    /// libavfilter's PSNR over all planes in dB, mean; identical frames count as 100.
    pub psnr_db: f64,
    /// SSIMULACRA 2 of a frame every 4 s, mean; absent where frames are too small.
    pub ssimulacra2: Option<f64>,
    /// SSIMULACRA 2 of the worst of these frames.
    pub ssimulacra2_worst: Option<f64>,
}
