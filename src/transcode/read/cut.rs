//! Whether a file ends before its container says so. libav takes the end of the bytes for the end of the media.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use crate::plan::{Container, Facts, Media};

/// Less than this is rounding.
const LEAST_MISSING_MS: u64 = 1000;

/// Whether the container's own sizes reach beyond the end of the file.
///
/// # Errors
/// Those of reading the file.
pub(in crate::transcode) fn is_cut(file: &mut File, container: Container) -> io::Result<bool> {
    match container {
        Container::Ogg => ends_within_ogg_page(file),
        Container::Wav | Container::Avi => riff_is_short(file),
        Container::Bmp => bmp_is_short(file),
        Container::Tiff => tiff_is_short(file),
        container if container.is_iso() || container == Container::Avif => last_box_is_short(file),
        _ => Ok(false),
    }
}

/// How much of the length that the kept streams declare was not found, in ms.
pub(in crate::transcode) fn missing_ms(facts: &Facts, found_ms: Option<u64>) -> Option<u64> {
    // The others only estimate a length from size and bit rate.
    let declares = facts.container.is_iso()
        || matches!(
            facts.container,
            Container::Matroska | Container::WebM | Container::Wav | Container::Flac | Container::Avi | Container::Asf
        );
    let missing = declared_ms(facts)?.checked_sub(found_ms?).filter(|_| declares)?;
    (missing > LEAST_MISSING_MS && missing * 20 > declared_ms(facts)?).then_some(missing)
}

/// End of the streams that are kept, from the earliest start; subtitles may go on for longer.
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
        None => facts.duration_ms.filter(|_| !others),
    }
}

/// Pages have at most 65,307 bytes (RFC 3533, 6), so that the last one starts within as many from the end.
fn ends_within_ogg_page(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(65_307);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    // Walked from the first page on, since the capture pattern may also stand inside of one.
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
            // Something else behind the last page: not cut, but not ours to judge.
            return Ok(tail.len() - at < 4 && b"OggS".starts_with(&tail[at..]));
        }
    }
}

/// The RIFF chunk's size against the file's; recorders that stream leave it at nothing or at everything.
fn riff_is_short(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut header = [0; 8];
    file.read_exact(&mut header)?;
    let declared = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let known = header.starts_with(b"RIFF") && declared != 0 && declared < 0x7fff_ff00;
    // A pad byte is often forgotten.
    Ok(known && u64::from(declared) + 8 > length + 1)
}

/// The file's size in its header (BITMAPFILEHEADER, bfSize) against its own; some programs leave it at nothing.
fn bmp_is_short(file: &mut File) -> io::Result<bool> {
    let mut header = [0; 6];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut header)?;
    let declared = u32::from_le_bytes([header[2], header[3], header[4], header[5]]);
    Ok(u64::from(declared) > file.metadata()?.len())
}

/// Whether the first directory lies beyond the end (TIFF 6.0, section 2). Programs write it behind the picture.
fn tiff_is_short(file: &mut File) -> io::Result<bool> {
    let mut header = [0; 8];
    file.seek(SeekFrom::Start(0))?;
    if file.metadata()?.len() < 8 {
        return Ok(true);
    }
    file.read_exact(&mut header)?;
    let offset = [header[4], header[5], header[6], header[7]];
    let offset = if header.starts_with(b"II") { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) };
    // A directory has a count and four bytes behind its entries at least.
    Ok(u64::from(offset) + 6 > file.metadata()?.len())
}

/// The last box on the first level against the end of the file (ISO/IEC 14496-12, 4.2).
fn last_box_is_short(file: &mut File) -> io::Result<bool> {
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
            0 => return Ok(false),
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
    Ok(at > length)
}
