//! Creates frames from pixels and from tiles, and reads their ICC profile.
#![expect(unsafe_code, reason = "buffers, planes and side data of frames are libav's C structs")]

use ff::ffi;
use ffmpeg_next as ff;

use super::{frame_color, set_frame_color};

/// An empty frame with this size and pixel format (libav's number).
fn allocate(width: u32, height: u32, format: i32) -> Result<ff::frame::Video, ff::Error> {
    let side = |side: u32| i32::try_from(side).ok().filter(|side| *side > 0).ok_or(ff::Error::InvalidData);
    let (width, height) = (side(width)?, side(height)?);
    let mut frame = ff::frame::Video::empty();
    // SAFETY: the frame is allocated and has no buffers; libav checks the numbers that it is given.
    let result = unsafe {
        let raw = frame.as_mut_ptr();
        ((*raw).width, (*raw).height, (*raw).format) = (width, height, format);
        ffi::av_frame_get_buffer(raw, 0)
    };
    if result < 0 { Err(ff::Error::from(result)) } else { Ok(frame) }
}

/// A frame with four bytes for each pixel and no padding: red, green, blue and straight alpha, in sRGB.
///
/// # Errors
/// libav's error, also if memory runs out.
pub(in crate::transcode) fn rgba_frame(width: u32, height: u32, rgba: &[u8]) -> Result<ff::frame::Video, ff::Error> {
    let mut frame = allocate(width, height, ffi::AVPixelFormat::AV_PIX_FMT_RGBA as i32)?;
    let (row, stride) = (width as usize * 4, frame.stride(0));
    for (to, from) in frame.data_mut(0).chunks_mut(stride).zip(rgba.chunks_exact(row)) {
        to[..row].copy_from_slice(from);
    }
    // IEC 61966-2-1 in numbers of ITU-T H.273; RGB has no matrix.
    set_frame_color(&mut frame, super::FrameColor { range: 2, primaries: 1, transfer: 13, matrix: 0 });
    Ok(frame)
}

/// The ICC profile that the decoder found in the picture.
pub(in crate::transcode) fn icc_profile(frame: &ff::frame::Video) -> Option<Vec<u8>> {
    let data = frame.side_data(ff::frame::side_data::Type::IccProfile)?;
    Some(data.data().to_vec())
}

/// A picture that is assembled from tiles of the same size and format.
pub(in crate::transcode) struct Mosaic {
    frame: ff::frame::Video,
    tile: (u32, u32, i32),
}

impl Mosaic {
    /// A picture for tiles like this one.
    ///
    /// # Errors
    /// libav's error, also if memory runs out.
    pub(in crate::transcode) fn new(tile: &ff::frame::Video, width: u32, height: u32) -> Result<Self, ff::Error> {
        let shape = shape(tile);
        let mut frame = allocate(width, height, shape.2)?;
        set_frame_color(&mut frame, frame_color(tile));
        Ok(Self { frame, tile: shape })
    }

    /// Copies a tile to this column and row; parts beyond the right and lower edge are left out.
    ///
    /// # Errors
    /// `InvalidData` if the tile differs from the first one in size or format.
    pub(in crate::transcode) fn put(
        &mut self,
        tile: &ff::frame::Video,
        column: u32,
        row: u32,
    ) -> Result<(), ff::Error> {
        if shape(tile) != self.tile {
            return Err(ff::Error::InvalidData);
        }
        let (tile_width, tile_height, format) = self.tile;
        let (x, y) = (column.saturating_mul(tile_width), row.saturating_mul(tile_height));
        let width = tile_width.min(self.frame.width().saturating_sub(x));
        let height = tile_height.min(self.frame.height().saturating_sub(y));
        let line = |width: u32, plane: usize| line_bytes(format, width, plane);
        for plane in 0..tile.planes() {
            let (start, length) = (line(x, plane)?, line(width, plane)?);
            let whole = self.frame.plane_height(plane) as usize;
            // How many rows of the plane belong to this many rows of the picture: half, if colour has half the
            // resolution.
            let rows = |rows: u32| (rows as usize * whole).div_ceil(self.frame.height().max(1) as usize);
            let (first, count) = (rows(y), rows(height));
            let (from_stride, to_stride) = (tile.stride(plane), self.frame.stride(plane));
            let from = tile.data(plane).chunks(from_stride);
            let to = self.frame.data_mut(plane).chunks_mut(to_stride).skip(first);
            for (to, from) in to.zip(from).take(count) {
                to[start..start + length].copy_from_slice(&from[..length]);
            }
        }
        Ok(())
    }

    /// The assembled picture.
    pub(in crate::transcode) fn finish(self) -> ff::frame::Video {
        self.frame
    }
}

fn shape(frame: &ff::frame::Video) -> (u32, u32, i32) {
    // SAFETY: the frame is allocated.
    (frame.width(), frame.height(), unsafe { (*frame.as_ptr()).format })
}

/// How many bytes this many pixels take in a row of a plane.
fn line_bytes(format: i32, width: u32, plane: usize) -> Result<usize, ff::Error> {
    let descriptor = super::names::pixel_descriptor(format);
    let width = i32::try_from(width).map_err(|_| ff::Error::InvalidData)?;
    let plane = i32::try_from(plane).map_err(|_| ff::Error::InvalidData)?;
    if descriptor.is_null() {
        return Err(ff::Error::InvalidData);
    }
    // SAFETY: the descriptor is one of libav's table, whose id is a known format.
    let bytes = unsafe { ffi::av_image_get_linesize(ffi::av_pix_fmt_desc_get_id(descriptor), width, plane) };
    usize::try_from(bytes).map_err(|_| ff::Error::InvalidData)
}
