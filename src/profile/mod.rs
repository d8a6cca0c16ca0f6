//! A compression profile: as written in TOML, and as checked. `config` reads the files; the child checks again what it is
//! given, since what crosses the process boundary is untrusted.

mod checked;
mod file;

pub use checked::{
    AudioProfile, ChannelRates, LoudnessTarget, MP3_BIT_RATES_MPEG1, MP3_BIT_RATES_MPEG2, MP3_SAMPLE_RATES, Profile,
    ProfileError, VideoProfile, WaveformProfile,
};
pub use file::{RawAudio, RawProfile, RawThumbnail, RawVideo, RawWaveform};
