//! One pass over the input: packets, frames, samples; copied or encoded.

pub(super) mod copy_streams;
pub(super) mod film;
pub(super) mod frames;
pub(super) mod loudness;
pub(super) mod packets;
pub(super) mod sound;
pub(super) mod spool;
