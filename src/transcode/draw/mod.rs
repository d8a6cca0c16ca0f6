//! Pictures that are derived from the media: thumbnails, posters, waveforms.

pub(super) mod picture;
pub(super) mod poster;
pub(super) mod waveform;
