//! Reads big-endian numbers and boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2) from a slice.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Most boxes on the first level that are searched.
const MAX_BOXES: usize = 64;

/// The bytes that are not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of this many bytes, at most 8; 0 bytes give the number 0.
    pub(super) fn uint(&mut self, bytes: usize) -> Option<u64> {
        let bytes = if bytes <= 8 { self.take(bytes)? } else { return None };
        Some(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// A box's type, the length of its header, and the length of the whole box; `None` as the length if it extends to
    /// the end.
    pub(super) fn box_header(mut self) -> Option<([u8; 4], u64, Option<u64>)> {
        let size = self.u32()?;
        let kind = self.array()?;
        Some(match size {
            0 => (kind, 8, None),
            1 => (kind, 16, Some(self.uint(8).filter(|size| *size >= 16)?)),
            size if size >= 8 => (kind, 8, Some(u64::from(size))),
            _ => return None,
        })
    }
}

/// Successive boxes as type and content, up to the first one that does not fit.
pub(super) fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, header_size, size) = Cursor(bytes).box_header()?;
        let size = size.map_or(Some(bytes.len()), |size| usize::try_from(size).ok())?;
        let (this, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        Some((kind, this.get(usize::try_from(header_size).ok()?..)?))
    })
}

/// Version and flags of a full box, and the rest of its content.
pub(super) fn full_box(content: &[u8]) -> Option<((u8, u32), &[u8])> {
    let mut cursor = Cursor(content);
    let word = cursor.u32()?;
    Some(((word.to_be_bytes()[0], word & 0x00ff_ffff), cursor.0))
}

/// Finds the first box on a file's first level that has one of these types. Returns its type, and the position and
/// length of its content.
///
/// # Errors
/// Those of reading.
pub(super) fn find_box(file: &mut File, kinds: &[[u8; 4]]) -> io::Result<Option<([u8; 4], u64, u64)>> {
    let length = file.metadata()?.len();
    let mut at = 0_u64;
    for _ in 0..MAX_BOXES {
        file.seek(SeekFrom::Start(at))?;
        let mut header = Vec::with_capacity(16);
        file.take(16).read_to_end(&mut header)?;
        let Some((kind, header_size, size)) = Cursor(&header).box_header() else { break };
        let size = size.unwrap_or(length.saturating_sub(at));
        if kinds.contains(&kind) {
            return Ok(Some((kind, at + header_size, size.saturating_sub(header_size))));
        }
        at = match at.checked_add(size.max(8)) {
            Some(next) if next < length => next,
            _ => break,
        };
    }
    Ok(None)
}
