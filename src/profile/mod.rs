//! A compression profile: as written in TOML, and as validated. `config` reads the files. The child validates a profile
//! again, because everything that crosses the process boundary is untrusted.

mod checked;
mod file;

pub use checked::{
    AudioProfile, ChannelRates, H264Profile, LoudnessTarget, MAX_INLINE_PEAKS, MP3_BIT_RATES_MPEG1,
    MP3_BIT_RATES_MPEG2, MP3_SAMPLE_RATES, PICTURES, PictureFormat, PictureProfile, Profile, ProfileError, SoundCodec,
    VideoProfile, WaveformProfile,
};
pub use file::{RawAudio, RawPicture, RawProfile, RawThumbnail, RawVideo, RawWaveform};
