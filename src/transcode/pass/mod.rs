//! One pass over the input: packets, frames and samples are read, and copied or encoded.

pub(super) mod clock;
pub(super) mod copy_streams;
pub(super) mod film;
pub(super) mod frames;
pub(super) mod loudness;
pub(super) mod packets;
pub(super) mod sound;
pub(super) mod spool;
pub(super) mod survey;
pub(super) mod visible;
