//! The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2), as far as they decide what has to be written anew.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// What the boxes say.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::transcode) struct IsoLayout {
    /// Playing can start while the file loads.
    pub(in crate::transcode) moov_first: bool,
    /// Samples come in pieces with an index each.
    pub(in crate::transcode) fragmented: bool,
    /// There are boxes that may hold text about a person, a place or a device.
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

/// What a muxer writes of itself: `udta` → `meta` → `ilst` → `\u{a9}too`, and nothing else.
fn names_only_the_encoder(file: &mut File, start: u64, end: u64) -> io::Result<bool> {
    let mut only = true;
    walk(file, start, end, &mut |file, kind, start, end| match kind {
        // A full box: version and flags come first.
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

type OnBox<'a> = dyn FnMut(&mut File, &[u8; 4], u64, u64) -> io::Result<()> + 'a;

fn walk(file: &mut File, start: u64, end: u64, on_box: &mut OnBox<'_>) -> io::Result<()> {
    let mut at = start;
    // A file of empty boxes must not keep us: nobody has a thousand on one level.
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
