//! Reads the boxes of an ISO base media file (ISO/IEC 14496-12, 4.2) that determine whether the file must be rewritten.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// What the boxes say about the file's layout.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::transcode) struct IsoLayout {
    /// The index comes first, so playback can start while the file loads.
    pub(in crate::transcode) moov_first: bool,
    /// The file is fragmented: samples come in fragments, each with its own index.
    pub(in crate::transcode) fragmented: bool,
    /// Duration in ms from the movie header (`mvhd`); `None` if unknown.
    pub(in crate::transcode) film_ms: Option<u64>,
    /// There are boxes that may contain text about a person, a place or a device.
    pub(in crate::transcode) extra_boxes: bool,
}

/// Walks the boxes on the first two levels (ISO/IEC 14496-12, 4.2).
pub(in crate::transcode) fn iso_layout(file: &mut File) -> io::Result<IsoLayout> {
    let mut layout = IsoLayout::default();
    let mut seen_mdat = false;
    let length = file.metadata()?.len();
    walk(file, 0, length, &mut |file, kind, start, end| {
        match kind {
            b"moov" => {
                layout.moov_first = !seen_mdat;
                walk(file, start, end, &mut |file, kind, start, end| {
                    match kind {
                        b"mvex" => layout.fragmented = true,
                        b"mvhd" => layout.film_ms = film_ms(file, start)?,
                        b"udta" => layout.extra_boxes |= !names_only_the_encoder(file, start, end)?,
                        b"meta" | b"uuid" => layout.extra_boxes = true,
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            b"mdat" => seen_mdat = true,
            b"moof" => layout.fragmented = true,
            b"ftyp" | b"free" | b"skip" | b"wide" => {}
            _ => layout.extra_boxes = true,
        }
        Ok(())
    })?;
    Ok(layout)
}

/// The duration in a movie header (ISO/IEC 14496-12, 8.2.2): 32 bits in version 0, 64 bits in version 1. All bits set
/// means unknown.
fn film_ms(file: &mut File, start: u64) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(start))?;
    let mut content = [0; 32];
    file.read_exact(&mut content)?;
    let number =
        |at: usize, width: usize| content[at..at + width].iter().fold(0, |n, byte| (n << 8) | u64::from(*byte));
    let (scale, length, unknown) = match content[0] {
        0 => (number(12, 4), number(16, 4), u64::from(u32::MAX)),
        _ => (number(20, 4), number(24, 8), u64::MAX),
    };
    Ok((length > 0 && length < unknown).then(|| length.saturating_mul(1000).checked_div(scale)).flatten())
}

/// Whether the box contains only what a muxer writes about itself: `udta` → `meta` → `ilst` → `\u{a9}too`.
fn names_only_the_encoder(file: &mut File, start: u64, end: u64) -> io::Result<bool> {
    let mut only = true;
    walk(file, start, end, &mut |file, kind, start, end| match kind {
        // A full box begins with version and flags.
        b"meta" => walk(file, start + 4, end, &mut |file, kind, start, end| match kind {
            b"ilst" => walk(file, start, end, &mut |_, kind, _, _| {
                only &= kind == b"\xa9too";
                Ok(())
            }),
            b"hdlr" | b"free" => Ok(()),
            _ => {
                only = false;
                Ok(())
            }
        }),
        _ => {
            only = false;
            Ok(())
        }
    })?;
    Ok(only)
}

/// Takes a box.
pub(super) type OnBox<'a> = dyn FnMut(&mut File, &[u8; 4], u64, u64) -> io::Result<()> + 'a;

/// Passes on each box of one level: its kind, and where its content starts and ends.
///
/// # Errors
/// Those of reading the file, and of `on_box`.
pub(super) fn walk(file: &mut File, start: u64, end: u64, on_box: &mut OnBox<'_>) -> io::Result<()> {
    let mut at = start;
    // Limits the time spent on a file of empty boxes; no real file has a thousand boxes on one level.
    for _ in 0..1000 {
        if at + 8 > end {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        file.read_exact(&mut header[..8])?;
        let kind: [u8; 4] = [header[4], header[5], header[6], header[7]];
        let (size, header_size) = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            0 => (end - at, 8),
            1 => {
                file.read_exact(&mut header[8..])?;
                let mut large = [0; 8];
                large.copy_from_slice(&header[8..]);
                (u64::from_be_bytes(large), 16)
            }
            size => (u64::from(size), 8),
        };
        if size < header_size {
            break;
        }
        let next = at.saturating_add(size).min(end);
        on_box(file, &kind, at + header_size, next)?;
        at = next;
    }
    Ok(())
}
