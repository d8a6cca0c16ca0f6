//! What to make of a file, decided from its facts and the profile: no IO, no libav, no serde.

mod accepted;
mod budget;
mod decide;
mod facts;
mod obstacle;
mod settings;
#[cfg(test)]
mod tests;

pub use accepted::{ACCEPTED, Accepted, Container, Reader};
pub use budget::{fit_audio, fit_video};
pub use decide::{How, Output, Plan, Track, encode_plan, plan, remux_plan};
pub use facts::{DynamicRange, Facts, Media, Picture, Sound, StreamFacts};
pub use settings::{AudioCodec, AudioSettings, RateControl, VideoSettings};
