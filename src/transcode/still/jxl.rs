//! Reads the size and orientation of a JPEG XL picture (ISO/IEC 18181-1, annexes A and D). No decoder here supports the
//! format.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::cursor::find_box;
use super::exif::orientation_of;
use crate::vocabulary::Orientation;

/// How many bytes of the codestream are read for its headers.
const HEAD_BYTES: u64 = 32;

/// Width and height as coded, and the orientation; `None` if the header is damaged.
///
/// # Errors
/// Those of reading.
pub(super) fn header(file: &mut File) -> io::Result<Option<((u32, u32), Orientation)>> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    if !head.starts_with(SIGNATURE) {
        // In a container (ISO/IEC 18181-2) the codestream is one box, or several partial boxes that begin with a
        // number.
        let Some((kind, offset, _)) = find_box(file, &[*b"jxlc", *b"jxlp"])? else { return Ok(None) };
        file.seek(SeekFrom::Start(offset + if kind == *b"jxlp" { 4 } else { 0 }))?;
        head.clear();
        file.take(HEAD_BYTES).read_to_end(&mut head)?;
    }
    Ok(parse(&head))
}

const SIGNATURE: &[u8] = b"\xff\x0a";

fn parse(codestream: &[u8]) -> Option<((u32, u32), Orientation)> {
    let mut bits = Bits { bytes: codestream.strip_prefix(SIGNATURE)?, at: 0 };
    let small = bits.take(1)? == 1;
    let side = |bits: &mut Bits<'_>| {
        if small {
            return Some((bits.take(5)? + 1) * 8);
        }
        let width = [9, 13, 18, 30][bits.take(2)? as usize];
        Some(bits.take(width)? + 1)
    };
    let height = side(&mut bits)?;
    let ratio = [(0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)][bits.take(3)? as usize];
    let width = match ratio {
        (0, _) => side(&mut bits)?,
        (wide, high) => u32::try_from(u64::from(height) * wide / high).ok()?,
    };
    // ImageMetadata begins with the flags "all default" and "extra fields". The first extra field is the orientation,
    // with the values of Exif.
    let turned = bits.take(1)? == 0 && bits.take(1)? == 1;
    let orientation = if turned { orientation_of(bits.take(3)? + 1) } else { Orientation::default() };
    Some(((width, height), orientation))
}

/// Reads numbers of a given count of bits, least significant bit first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for n in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number |= u32::from(byte >> (self.at % 8) & 1) << n;
            self.at += 1;
        }
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A codestream of these numbers, each with its count of bits.
    fn codestream(numbers: &[(u32, usize)]) -> Vec<u8> {
        let bits = numbers.iter().flat_map(|(number, count)| (0..*count).map(move |n| (number >> n) & 1 == 1));
        let bits: Vec<bool> = bits.collect();
        let byte = |bits: &[bool]| bits.iter().enumerate().map(|(n, bit)| u8::from(*bit) << n).sum::<u8>();
        [SIGNATURE, &bits.chunks(8).map(byte).collect::<Vec<u8>>(), &[0; 8]].concat()
    }

    #[test]
    fn sizes_by_both_sides_by_a_ratio_and_in_eights() {
        let plain = Orientation::default();
        let both = codestream(&[(0, 1), (0, 2), (239, 9), (0, 3), (1, 2), (999, 13), (1, 1)]);
        assert_eq!(parse(&both), Some(((1000, 240), plain)));
        // 1081 lines at 16:9 give no whole number of columns.
        let ratio = codestream(&[(0, 1), (1, 2), (1080, 13), (5, 3), (1, 1)]);
        assert_eq!(parse(&ratio), Some(((1921, 1081), plain)));
        let turned = codestream(&[(1, 1), (3, 5), (1, 3), (0, 1), (1, 1), (5, 3)]);
        assert_eq!(parse(&turned), Some(((32, 32), orientation_of(6))));
        assert_eq!(parse(b"\xff\x0a"), None);
    }
}
