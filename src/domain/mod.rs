//! Pure decisions: no IO, no libav, no serde.

mod container;
mod facts;
mod plan;
mod profile;

pub use container::{ACCEPTED, Accepted, Container, Reader};
pub use facts::{DynamicRange, Facts, Media, Picture, Sound, StreamFacts};
pub use plan::{
    AudioCodec, AudioSettings, How, Output, Plan, RateControl, Rendition, Track, VideoSettings, encode_plan, fit_audio,
    fit_video, plan, remux_plan, rendition,
};
pub use profile::{
    AudioProfile, ChannelRates, LoudnessTarget, MP3_BIT_RATES_MPEG1, MP3_BIT_RATES_MPEG2, MP3_SAMPLE_RATES,
    PictureFormat, PictureProfile, Profile, ProfileError, VideoProfile, WaveformProfile,
};
