//! Decodes a PNG above `limits.pixels` row by row with a decoder in safe Rust, and repairs one that is cut off (PNG, third
//! edition, 5.3): the existing part can be decoded if its last chunk declares no more data than there is.

use std::fs::File;
use std::io::BufReader;

use png::{ColorType, Decoder, DecodingError, Limits as PngLimits, Transformations};

use super::heif_property::MAX_ICC_BYTES;
use super::raster::Decoded;
use super::reduce::Reduction;
use super::{NoFrame, Undecoded};
use crate::task::{INPUT, Limits};
use crate::transcode::job::scratch;

/// Most bytes that the decoder may use besides its rows.
const MOST_BYTES: usize = 4 * MAX_ICC_BYTES;
/// Bytes of the longest row: 32,768 pixels of 64 bits, and more for smaller ones.
const MOST_ROW_BYTES: usize = 64 << 20;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// An empty IEND chunk.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The file with its last chunk shortened to the existing data, and an end chunk. `None` if it is not cut off within
/// its pixels.
pub(super) fn ended(png: &[u8]) -> Option<Vec<u8>> {
    let mut at = SIGNATURE.len();
    if !png.starts_with(SIGNATURE) {
        return None;
    }
    let mut has_pixels = false;
    loop {
        let Some(header) = png.get(at..at + 8) else {
            // It is cut off between two chunks, or within the header of one.
            return has_pixels.then(|| [&png[..at.min(png.len())], END].concat());
        };
        let length = usize::try_from(u32::from_be_bytes(header[..4].try_into().ok()?)).ok()?;
        let is_pixels = &header[4..] == b"IDAT";
        has_pixels |= is_pixels;
        let next = at.checked_add(12)?.checked_add(length)?;
        if &header[4..] == b"IEND" {
            return None;
        }
        if next > png.len() {
            let data = &png[at + 8..];
            let length = u32::try_from(data.len().min(length)).ok()?;
            // The decoder does not check this checksum.
            let whole = [&png[..at], &length.to_be_bytes(), b"IDAT", &data[..length as usize], &[0; 4], END];
            return if is_pixels { Some(whole.concat()) } else { None };
        }
        at = next;
    }
}

/// Column and row of the first pixel of each pass of an interlaced picture, and the steps between its pixels (PNG, third
/// edition, 8.2).
const PASSES: [(u32, u32, u32, u32); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// First column, step between columns, and row of the picture, of each row that the decoder gives.
fn places((width, height): (u32, u32), interlaced: bool) -> impl Iterator<Item = (u32, u32, u32)> {
    let passes = if interlaced { &PASSES[..] } else { &[(0, 0, 1, 1)] };
    let passes = passes.iter().filter(move |(left, ..)| *left < width);
    passes.flat_map(move |(left, top, across, down)| {
        (*top..height).step_by(*down as usize).map(|row| (*left, *across, row))
    })
}

/// Decodes the picture row by row, reduced. What is missing at its end is black.
pub(super) fn reduced(limits: &Limits) -> Result<Decoded, NoFrame> {
    let file = BufReader::new(File::open(INPUT).map_err(scratch)?);
    let mut decoder = Decoder::new_with_limits(file, PngLimits { bytes: MOST_BYTES + MOST_ROW_BYTES });
    // To 8 bits for each channel, without palette.
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    // As browsers do, and libav.
    decoder.ignore_checksums(true);
    let mut reader = decoder.read_info().map_err(|error| no_frame(&error))?;
    let info = reader.info();
    let (size, interlaced) = ((info.width, info.height), info.interlaced);
    let icc = info.icc_profile.as_ref().map(|profile| profile.to_vec());
    let mut reduction = Reduction::new(size, limits)?;
    let color = reader.output_color_type().0;
    let mut truncated = false;
    for (n, (left, step, y)) in places(size, interlaced).enumerate() {
        let row = match reader.next_row() {
            Ok(Some(row)) => row,
            Err(error) if n == 0 => return Err(no_frame(&error)),
            Ok(None) | Err(_) => {
                truncated = true;
                break;
            }
        };
        for (x, pixel) in (left..).step_by(step as usize).zip(row.data().chunks_exact(color.samples())) {
            reduction.put(x, y, rgba(color, pixel));
        }
    }
    Ok(Decoded { icc, truncated, ..reduction.finish()? })
}

fn rgba(color: ColorType, pixel: &[u8]) -> [u8; 4] {
    match (color, pixel) {
        (ColorType::Rgba, [red, green, blue, alpha]) => [*red, *green, *blue, *alpha],
        (ColorType::Rgb, [red, green, blue]) => [*red, *green, *blue, u8::MAX],
        (ColorType::GrayscaleAlpha, [grey, alpha]) => [*grey, *grey, *grey, *alpha],
        (_, rest) => {
            let grey = rest.first().copied().unwrap_or(0);
            [grey, grey, grey, u8::MAX]
        }
    }
}

fn no_frame(error: &DecodingError) -> NoFrame {
    NoFrame::Undecoded(match error {
        DecodingError::LimitsExceeded => Undecoded::TooLarge,
        DecodingError::IoError(_) | DecodingError::Format(_) | DecodingError::Parameter(_) => Undecoded::Damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_an_interlaced_picture_cover_it_once() {
        for size in [(1, 1), (3, 5), (8, 8), (9, 17)] {
            let mut seen = vec![0; (size.0 * size.1) as usize];
            for (left, step, row) in places(size, true) {
                (left..size.0).step_by(step as usize).for_each(|column| seen[(row * size.0 + column) as usize] += 1);
            }
            assert!(seen.iter().all(|count| *count == 1), "{size:?}: {seen:?}");
        }
        assert_eq!(places((9, 2), false).collect::<Vec<_>>(), [(0, 1, 0), (0, 1, 1)]);
    }

    #[test]
    fn a_file_that_is_cut_off_is_ended_there() {
        let header = [&b"\0\0\0\x0dIHDR"[..], &[0; 17]].concat();
        let pixels = b"\0\0\0\x04IDATabcd\0\0\0\0";
        let whole = [SIGNATURE, &header, pixels, END].concat();
        assert_eq!(ended(&whole), None);
        let start = [SIGNATURE, &header].concat();
        assert_eq!(ended(&start), None);
        let cut = [&start[..], &pixels[..10]].concat();
        assert_eq!(ended(&cut), Some([&start[..], b"\0\0\0\x02IDATab\0\0\0\0", END].concat()));
        assert_eq!(ended(&whole[..whole.len() - END.len()]), Some(whole));
    }
}
