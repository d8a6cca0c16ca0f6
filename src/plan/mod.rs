//! Decides what to produce from a file, by its facts and the profile. Does no I/O and does not use libav or serde.

mod accepted;
mod budget;
mod codecs;
mod decide;
mod facts;
mod obstacle;
mod rendition;
mod settings;
#[cfg(test)]
mod tests;

pub use accepted::{ACCEPTED, Accepted, Container, Reader};
pub use budget::{fit_audio, fit_video, prefer_audio};
pub use codecs::{AUDIO_CODECS, CODECS, Codec, Known, VIDEO_CODECS};
pub use decide::{How, Output, Plan, Track, encode_plan, plan, remux_plan};
pub use facts::{DynamicRange, Facts, Media, Picture, Sound, StreamFacts, Unkeepable};
pub use rendition::{Rendition, rendition};
pub use settings::{AudioCodec, AudioSettings, RateControl, VideoSettings};
