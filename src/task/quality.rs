//! How near a playback asset is to its original, as a child measures it.

use serde::{Deserialize, Serialize};

/// How near a playback asset is to its original, over the first 20 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Where both have sound.
    pub sound: Option<SoundQuality>,
    /// Where the picture was encoded.
    pub picture: Option<PictureQuality>,
}

/// Of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoundQuality {
    /// Integrated loudness of the playback asset less the original's, in LU, measured on one channel; absent where
    /// either is silent.
    pub loudness_change_lu: Option<f64>,
}

/// Of the picture, against the original upright, scaled and tone-mapped as planned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PictureQuality {
    /// Pairs of frames that were compared.
    pub frames: u32,
    /// Frames of either side that the other does not have.
    pub unmatched: u32,
    /// libavfilter's SSIM over all planes, mean.
    pub ssim: f64,
    /// Of the worst frame.
    pub ssim_worst: f64,
    /// libavfilter's PSNR over all planes in dB, mean; identical frames count as 100.
    pub psnr_db: f64,
    /// SSIMULACRA 2 of a frame every 4 s, mean; absent where frames are too small.
    pub ssimulacra2: Option<f64>,
    /// Of the worst of these.
    pub ssimulacra2_worst: Option<f64>,
}
