//! Lets the decoder of TIFF read pictures with a palette (TIFF 6.0, section 5), which it refuses: to it, their indices
//! are shades of grey.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::{NoFrame, Undecoded};

/// `PhotometricInterpretation` of the first directory.
const PHOTOMETRIC: u16 = 262;
const PALETTE: u64 = 3;
/// `BlackIsZero`.
const GREY: u8 = 1;
/// More entries than any writer has.
const MOST_ENTRIES: u64 = 4096;

/// A file of which one byte is read as another one.
pub(super) struct Source {
    file: File,
    at: u64,
    /// Position and value.
    replaced: Option<(u64, u8)>,
}

impl Source {
    /// Reads a TIFF. If its first picture has a palette, it is read as grey.
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        // A directory that cannot be read has no palette; the decoder says what is wrong with it.
        let replaced = palette_tag(&mut file).ok().flatten().map(|at| (at, GREY));
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, at: 0, replaced })
    }

    /// Whether the picture's samples are indices.
    pub(super) const fn has_palette(&self) -> bool {
        self.replaced.is_some()
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if let Some((at, value)) = self.replaced
            && let Some(byte) = at.checked_sub(self.at).and_then(|n| buffer[..count].get_mut(usize::try_from(n).ok()?))
        {
            *byte = value;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

/// Where the low byte of the tag's value is, if that is [`PALETTE`]. In BigTIFF numbers have 64 bits.
fn palette_tag(file: &mut File) -> io::Result<Option<u64>> {
    let mut head = [0; 16];
    file.read_exact(&mut head)?;
    let little = head.starts_with(b"II");
    let number = |bytes: &[u8]| {
        let fold = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) }
    };
    let big = number(&head[2..4]) == 43;
    let (offset, count_size, entry_size) =
        if big { (number(&head[8..16]), 8, 20) } else { (number(&head[4..8]), 2, 12) };
    let mut count = vec![0; count_size];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut count)?;
    for n in 0..number(&count).min(MOST_ENTRIES) {
        let mut entry = vec![0; entry_size];
        file.read_exact(&mut entry)?;
        if number(&entry[..2]) != u64::from(PHOTOMETRIC) {
            continue;
        }
        // A number of 16 bits stands at the start of the field for the value.
        let value = entry_size - if big { 8 } else { 4 };
        let low = offset + count_size as u64 + n * entry_size as u64 + value as u64 + u64::from(!little);
        return Ok((number(&entry[value..value + 2]) == PALETTE).then_some(low));
    }
    Ok(None)
}

/// The colours of a palette.
pub(super) struct Palette(Vec<[u8; 3]>);

impl Palette {
    /// From the tag `ColorMap`: all reds, then all greens, then all blues, of 16 bits each.
    ///
    /// # Errors
    /// [`Undecoded::Damaged`] if the tag does not have three equal parts.
    pub(super) fn new(map: &[u16]) -> Result<Self, NoFrame> {
        if map.is_empty() || !map.len().is_multiple_of(3) {
            return Err(NoFrame::Undecoded(Undecoded::Damaged));
        }
        let count = map.len() / 3;
        // Some writers give numbers of 8 bits.
        let shift = if map.iter().all(|value| *value < 256) { 0 } else { 8 };
        let byte = |value: u16| u8::try_from(value >> shift).unwrap_or(u8::MAX);
        Ok(Self((0..count).map(|n| [byte(map[n]), byte(map[count + n]), byte(map[2 * count + n])]).collect()))
    }

    /// The colour of an index; black if the palette does not have it.
    pub(super) fn rgba(&self, index: usize) -> [u8; 4] {
        let [red, green, blue] = self.0.get(index).copied().unwrap_or_default();
        [red, green, blue, u8::MAX]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tiff: &[u8]) -> Option<u64> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.tif");
        std::fs::write(&path, tiff).expect("written");
        palette_tag(&mut File::open(&path).expect("opened")).expect("read")
    }

    #[test]
    fn the_tag_is_found_in_both_byte_orders_and_sizes() {
        let little = [&b"II*\0\x08\0\0\0\x01\0"[..], &262_u16.to_le_bytes(), &[3, 0, 1, 0, 0, 0, 3, 0, 0, 0]].concat();
        assert_eq!(found(&little), Some(18));
        let big = [&b"MM\0*\0\0\0\x08\0\x01"[..], &262_u16.to_be_bytes(), &[0, 3, 0, 0, 0, 1, 0, 3, 0, 0]].concat();
        assert_eq!(found(&big), Some(19));
        let grey = [&b"MM\0*\0\0\0\x08\0\x01"[..], &262_u16.to_be_bytes(), &[0, 3, 0, 0, 0, 1, 0, 1, 0, 0]].concat();
        assert_eq!(found(&grey), None);
        let start = [&b"II+\0\x08\0\0\0"[..], &16_u64.to_le_bytes(), &1_u64.to_le_bytes()].concat();
        let entry = [&262_u16.to_le_bytes()[..], &[3, 0], &1_u64.to_le_bytes(), &3_u64.to_le_bytes()].concat();
        assert_eq!(found(&[start, entry].concat()), Some(36));
    }

    #[test]
    fn palettes_of_8_bits_are_not_taken_for_black() {
        let rgba = |map: &[u16], index| Palette::new(map).ok().expect("a palette").rgba(index);
        assert_eq!(rgba(&[0xffff, 0x8000, 0, 0, 0, 0x1234], 1), [0x80, 0, 0x12, 255]);
        assert_eq!(rgba(&[255, 0, 7, 0, 0, 3], 0), [255, 7, 0, 255]);
        assert_eq!(rgba(&[255, 7, 0], 9), [0, 0, 0, 255]);
        assert!(Palette::new(&[1, 2]).is_err());
    }
}
