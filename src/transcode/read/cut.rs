//! Finds out whether a file ends before its container says so. libav treats the end of the bytes as the end of the
//! media.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use crate::plan::{Container, Facts, Media};

/// A smaller difference is a rounding error.
const LEAST_MISSING_MS: u64 = 1000;

/// How the file's end compares with the end that its container declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The file ends earlier than the container declares.
    Cut,
    /// The file ends where the container declares it, or a little later.
    Complete,
    /// The container does not declare an end.
    Unknown,
}

/// Compares the sizes that the container declares with the file's size.
///
/// # Errors
/// Those of reading the file.
pub(super) fn extent(file: &mut File, container: Container) -> io::Result<Extent> {
    let cut_or_unknown = |cut: bool| if cut { Extent::Cut } else { Extent::Unknown };
    match container {
        Container::Ogg => ends_within_ogg_page(file).map(cut_or_unknown),
        Container::Wav | Container::Avi => riff_extent(file),
        Container::Matroska | Container::WebM => segment_extent(file),
        Container::Bmp => bmp_is_short(file).map(cut_or_unknown),
        Container::Tiff => tiff_is_short(file).map(cut_or_unknown),
        container if container.is_iso() || container == Container::Avif => boxes_extent(file),
        _ => Ok(Extent::Unknown),
    }
}

/// Whether the container declares sizes beyond the end of the file.
///
/// # Errors
/// Those of reading the file.
pub(in crate::transcode) fn is_cut(file: &mut File, container: Container) -> io::Result<bool> {
    extent(file, container).map(|extent| extent == Extent::Cut)
}

/// How much of the length that the kept streams declare was not found, in ms.
pub(in crate::transcode) fn missing_ms(facts: &Facts, found_ms: Option<u64>) -> Option<u64> {
    // Other containers only estimate a length from size and bit rate.
    let declares = facts.container.is_iso()
        || matches!(
            facts.container,
            Container::Matroska | Container::WebM | Container::Wav | Container::Flac | Container::Avi | Container::Asf
        );
    // In a complete file nothing is missing, whatever length its header declares.
    let missing = declared_ms(facts)?.checked_sub(found_ms?).filter(|_| declares && !facts.complete)?;
    (missing > LEAST_MISSING_MS && missing * 20 > declared_ms(facts)?).then_some(missing)
}

/// The end of the kept streams, counted from their earliest start. Subtitles are left out because they may last longer.
fn declared_ms(facts: &Facts) -> Option<u64> {
    let kept = [facts.main_video().map(|(stream, _)| stream), facts.main_audio().map(|(stream, _)| stream)];
    let kept: Vec<_> = kept.into_iter().flatten().collect();
    let others = facts.streams.iter().any(|s| matches!(s.media, Media::Subtitle | Media::Data));
    let start = kept.iter().filter_map(|stream| stream.start_ms).min().unwrap_or(0);
    let end = kept.iter().filter_map(|stream| {
        let duration = i64::try_from(stream.duration_ms?).ok()?;
        Some(stream.start_ms.unwrap_or(0) + duration - start)
    });
    match end.max() {
        Some(end) => u64::try_from(end).ok(),
        // The duration of Matroska's segment counts from 0 (RFC 9559, 5.1.2.10), not from the first block.
        None => facts.duration_ms.filter(|_| !others)?.checked_sub(u64::try_from(start).unwrap_or(0)),
    }
}

/// A page has at most 65,307 bytes (RFC 3533, 6), so the last one starts within that distance from the end.
fn ends_within_ogg_page(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(65_307);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    // Follows the pages from the first one found, because the capture pattern may also occur inside a page.
    let Some(mut at) = tail.windows(4).position(|window| window == b"OggS") else { return Ok(length > 0) };
    loop {
        let Some(segments) = tail.get(at + 26) else { return Ok(true) };
        let table = at + 27..at + 27 + usize::from(*segments);
        let Some(lacing) = tail.get(table.clone()) else { return Ok(true) };
        at = table.end + lacing.iter().map(|size| usize::from(*size)).sum::<usize>();
        if at >= tail.len() {
            return Ok(at > tail.len());
        }
        if !tail[at..].starts_with(b"OggS") {
            // There is something else behind the last page: the file is not cut off, and the rest does not matter.
            return Ok(tail.len() - at < 4 && b"OggS".starts_with(&tail[at..]));
        }
    }
}

/// Programs that write a WAV into a pipe do not know its size and write a large one: sox writes 2 GiB less a page and
/// its header.
const UNKNOWN_RIFF: u32 = 0x7fff_0000;

/// Compares the RIFF chunk's size with the file's. Recorders that stream leave it at zero or at the maximum.
fn riff_extent(file: &mut File) -> io::Result<Extent> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let declared = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let known = header.starts_with(b"RIFF") && declared != 0 && declared < UNKNOWN_RIFF;
    Ok(match u64::from(declared) + 8 > length + 1 {
        _ if !known => Extent::Unknown,
        // A difference of one is not a cut: the pad byte is often missing.
        true => Extent::Cut,
        false => Extent::Complete,
    })
}

/// Compares the end of Matroska's segment (RFC 8794, 6: sizes have one to eight bytes; all bits set means unknown).
fn segment_extent(file: &mut File) -> io::Result<Extent> {
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(4096).read_to_end(&mut head)?;
    let header = head.get(4..).and_then(element_size);
    let Some((Some(size), width)) = header else { return Ok(Extent::Unknown) };
    let Some(at) = usize::try_from(size).ok().and_then(|size| size.checked_add(4 + width)) else {
        return Ok(Extent::Unknown);
    };
    let Some(segment) = head.get(at..).filter(|bytes| bytes.starts_with(b"\x18\x53\x80\x67")) else {
        return Ok(Extent::Unknown);
    };
    let Some((Some(size), width)) = segment.get(4..).and_then(element_size) else { return Ok(Extent::Unknown) };
    let end = (at as u64 + 4 + width as u64).saturating_add(size);
    Ok(if end > length { Extent::Cut } else { Extent::Complete })
}

/// An element's size, and how many bytes that takes; `None` if the size is unknown.
fn element_size(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() as usize + 1;
    let size = bytes.get(..width).filter(|_| width <= 8)?;
    let bits = 7 * width;
    let value = size.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)) & ((1 << bits) - 1);
    Some(((value != (1 << bits) - 1).then_some(value), width))
}

/// Whether the file is shorter than its header says (BITMAPFILEHEADER, bfSize). Some programs leave that at zero.
fn bmp_is_short(file: &mut File) -> io::Result<bool> {
    let mut header = [0; 6];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut header)?;
    let declared = u32::from_le_bytes([header[2], header[3], header[4], header[5]]);
    Ok(u64::from(declared) > file.metadata()?.len())
}

/// Whether the first directory is beyond the end of the file (TIFF 6.0, section 2). Programs write it behind the
/// picture.
fn tiff_is_short(file: &mut File) -> io::Result<bool> {
    let mut header = [0; 8];
    file.seek(SeekFrom::Start(0))?;
    if file.metadata()?.len() < 8 {
        return Ok(true);
    }
    file.read_exact(&mut header)?;
    let offset = [header[4], header[5], header[6], header[7]];
    let offset = if header.starts_with(b"II") { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) };
    // A directory has at least a count, and four bytes behind its entries.
    Ok(u64::from(offset) + 6 > file.metadata()?.len())
}

/// Compares the end of the last box on the first level with the end of the file (ISO/IEC 14496-12, 4.2).
fn boxes_extent(file: &mut File) -> io::Result<Extent> {
    let length = file.metadata()?.len();
    let mut at = 0;
    for _ in 0..10_000 {
        if at + 8 > length {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        file.read_exact(&mut header[..8])?;
        let size = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
            0 => return Ok(Extent::Unknown),
            1 => {
                file.read_exact(&mut header[8..])?;
                header[8..].iter().fold(0_u64, |size, byte| (size << 8) | u64::from(*byte))
            }
            size => u64::from(size),
        };
        if size < 8 || !header[4..8].iter().all(|b| b.is_ascii_graphic() || *b == b' ' || *b == 0xa9) {
            break;
        }
        at = at.saturating_add(size);
    }
    Ok(match at.cmp(&length) {
        Ordering::Greater => Extent::Cut,
        Ordering::Equal => Extent::Complete,
        Ordering::Less => Extent::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::element_size;

    #[test]
    fn sizes_of_matroska_may_be_unknown() {
        assert_eq!(element_size(&[0x9f]), Some((Some(0x1f), 1)));
        assert_eq!(element_size(&[0x01, 0, 0, 0, 0, 0, 0x12, 0x34]), Some((Some(0x1234), 8)));
        assert_eq!(element_size(&[0xff]), Some((None, 1)));
        assert_eq!(element_size(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Some((None, 8)));
        assert_eq!(element_size(&[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(element_size(&[0x40]), None);
    }
}
