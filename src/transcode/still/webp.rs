//! Decodes animated WebP (RFC 9649) with a decoder in safe Rust, because libav supports only still ones.

use std::fs::File;
use std::io::BufReader;

use image_webp::{DecodingError, WebPDecoder};

use super::heif_property::MAX_ICC_BYTES;
use super::raster::Decoded;
use super::reduce::{Reduction, may_be_read};
use super::{NoFrame, Undecoded, refused};
use crate::error::Fault;
use crate::task::INPUT;
use crate::task::Limits;
use crate::transcode::av;
use crate::transcode::job::scratch;

/// The length of an animation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Animation {
    pub(super) frames: u32,
    /// The duration of one loop.
    pub(super) duration_ms: u64,
}

fn open() -> Result<Result<WebPDecoder<BufReader<File>>, DecodingError>, Fault> {
    let file = File::open(INPUT).map_err(scratch)?;
    Ok(WebPDecoder::new(BufReader::new(file)).map(|mut decoder| {
        decoder.set_memory_limit(MAX_ICC_BYTES);
        decoder
    }))
}

/// Whether the file is an animation according to its header, and its length if all of it can be read.
///
/// # Errors
/// Failures of the scratch directory.
pub(super) fn animation() -> Result<Option<Option<Animation>>, Fault> {
    Ok(match open()? {
        Ok(decoder) if decoder.is_animated() => {
            let length = Animation { frames: decoder.num_frames(), duration_ms: decoder.loop_duration() };
            Some(Some(length))
        }
        Ok(_) => None,
        Err(_) => says_animated().then_some(None),
    })
}

/// Whether the VP8X chunk, which comes first, has bit 1 of its flags set (RFC 9649, 2.7).
fn says_animated() -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = File::open(INPUT).and_then(|file| file.take(32).read_to_end(&mut head));
    read.is_ok() && head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// The ICC profile of a still WebP, which FFmpeg 5.1 does not return.
pub(super) fn icc_profile() -> Option<Vec<u8>> {
    open().ok()?.ok()?.icc_profile().ok()?
}

/// Bytes that the decoder uses for a pixel: of its result, of its own buffers, and of a copy without opacity.
const PIXEL_BYTES: u64 = 8;

/// A picture above `limits.pixels`, reduced. The decoder keeps all of it in memory, and no other copy is made.
pub(super) fn reduced(limits: &Limits) -> Result<Decoded, NoFrame> {
    let too_large = NoFrame::Undecoded(Undecoded::TooLarge);
    let mut decoder = open()?.map_err(|error| no_frame(&error))?;
    let (width, height) = decoder.dimensions();
    let bytes = (u64::from(width) * u64::from(height)).saturating_mul(PIXEL_BYTES);
    let fits = bytes <= limits.memory_bytes / 4 * 3 && may_be_read((width, height), limits);
    let size = decoder.output_buffer_size().filter(|_| fits).ok_or(too_large)?;
    let mut pixels = vec![0; size];
    if decoder.is_animated() {
        decoder.read_frame(&mut pixels).map_err(|error| no_frame(&error))?;
    } else {
        decoder.read_image(&mut pixels).map_err(|error| no_frame(&error))?;
    }
    let mut reduction = Reduction::new((width, height), limits)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    for (y, row) in (0..).zip(pixels.chunks_exact(width as usize * channels)) {
        for (x, pixel) in (0..).zip(row.chunks_exact(channels)) {
            reduction.put(x, y, [pixel[0], pixel[1], pixel[2], pixel.get(3).copied().unwrap_or(u8::MAX)]);
        }
    }
    let icc = decoder.icc_profile().ok().flatten();
    Ok(Decoded { icc, ..reduction.finish()? })
}

/// The first frame of an animation.
pub(super) fn first_frame(limits: &Limits) -> Result<Decoded, NoFrame> {
    let mut decoder = open()?.map_err(|error| no_frame(&error))?;
    let (width, height) = decoder.dimensions();
    let size = decoder.output_buffer_size().filter(|_| u64::from(width) * u64::from(height) <= limits.pixels);
    let size = size.ok_or(NoFrame::Undecoded(Undecoded::TooLarge))?;
    let mut pixels = vec![0; size];
    decoder.read_frame(&mut pixels).map_err(|error| no_frame(&error))?;
    if !decoder.has_alpha() {
        pixels = pixels.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, u8::MAX]).collect();
    }
    let frame = av::rgba_frame(width, height, &pixels).map_err(refused("copying the picture"))?;
    let icc = decoder.icc_profile().ok().flatten();
    Ok(Decoded { icc, ..Decoded::plain(frame) })
}

fn no_frame(error: &DecodingError) -> NoFrame {
    NoFrame::Undecoded(match error {
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => Undecoded::TooLarge,
        DecodingError::UnsupportedFeature(_) => Undecoded::NoDecoder,
        _ => Undecoded::Damaged,
    })
}
