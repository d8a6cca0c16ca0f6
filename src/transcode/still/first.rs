//! The first frame of a stream of packets, and how large a picture may be that is decoded as a whole.

use ffmpeg_next as ff;

use super::{NoFrame, reduce, refused};
use crate::task::Limits;
use crate::transcode::av::Decoder;

/// Memory that decoding a whole picture may take for each pixel: libav keeps up to two pictures of eight bytes a pixel,
/// and a third of the memory is for everything else.
const WHOLE_PIXEL_BYTES: u64 = 24;

/// Most pixels of a picture that is decoded as a whole.
pub(super) fn most_whole(limits: &Limits) -> u64 {
    limits.pixels.max((limits.memory_bytes / WHOLE_PIXEL_BYTES).min(limits.pixels.saturating_mul(reduce::MOST_READ)))
}

/// The first frame that the packets give.
pub(super) fn first_frame(
    mut decoder: Decoder<ff::frame::Video>,
    packets: impl Iterator<Item = ff::Packet>,
) -> Result<ff::frame::Video, NoFrame> {
    let mut found: Option<ff::frame::Video> = None;
    let mut keep = |frame: &mut ff::frame::Video| {
        if found.is_none() {
            found = Some(std::mem::replace(frame, ff::frame::Video::empty()));
        }
        Ok(())
    };
    for packet in packets {
        decoder.push(Some(&packet), &mut keep)?;
    }
    decoder.push(None, &mut keep)?;
    let why = || refused("decoding")(decoder.refusal.unwrap_or(ff::Error::InvalidData));
    found.ok_or_else(why)
}
