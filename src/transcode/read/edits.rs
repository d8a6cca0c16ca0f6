//! Reads where the edit lists of an ISO base media file show nothing between other edits (ISO/IEC 14496-12, 8.6.6).
//! libav's demuxer leaves room for such an empty edit, but fills it with the first samples of the track. An empty edit
//! at the start only delays the track, and libav does that.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::iso::walk;
use crate::transcode::av::EmptyEdits;

/// The empty edits of each track that has any between others. A fragmented file has none: libav does not apply edit lists
/// to fragments.
///
/// # Errors
/// Those of reading the file, and a box that is shorter than its fields.
pub(super) fn empty_edits(file: &mut File) -> io::Result<Vec<EmptyEdits>> {
    let mut tracks = Vec::new();
    let (mut film_scale, mut is_fragmented) = (0, false);
    let length = file.metadata()?.len();
    walk(file, 0, length, &mut |file, kind, start, end| match kind {
        b"moov" => walk(file, start, end, &mut |file, kind, start, end| {
            match kind {
                b"mvhd" => film_scale = time_scale(file, start)?,
                b"mvex" => is_fragmented = true,
                b"trak" => tracks.push(track(file, start, end)?),
                _ => {}
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    let placed = tracks.into_iter().map(|track| track.placed(film_scale));
    Ok(placed.filter(|edits| !edits.gaps.is_empty() && !is_fragmented).collect())
}

/// A track as its boxes describe it.
#[derive(Default)]
struct Track {
    id: u32,
    scale: u32,
    edits: Vec<Edit>,
}

/// One entry of an edit list.
#[derive(Debug, Clone, Copy)]
struct Edit {
    /// In the time scale of the movie.
    length: u64,
    is_empty: bool,
}

impl Track {
    /// The empty edits behind the first other one, on the track's own clock, rounded as libav rounds them.
    fn placed(self, film_scale: u32) -> EmptyEdits {
        let mut gaps = Vec::new();
        let (mut at, mut has_shown) = (0_i64, false);
        for edit in self.edits {
            let half = u128::from(film_scale / 2);
            let ticks = (u128::from(edit.length) * u128::from(self.scale) + half) / u128::from(film_scale.max(1));
            let end = at.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX));
            if edit.is_empty && has_shown {
                gaps.push((at, end));
            }
            has_shown |= !edit.is_empty;
            at = end;
        }
        EmptyEdits { track_id: self.id, gaps }
    }
}

fn track(file: &mut File, start: u64, end: u64) -> io::Result<Track> {
    let mut track = Track::default();
    walk(file, start, end, &mut |file, kind, start, end| match kind {
        b"tkhd" => {
            track.id = numbers(file, start, 24, |bytes| word(bytes, if bytes[0] == 0 { 12 } else { 20 }))?;
            Ok(())
        }
        b"edts" => walk(file, start, end, &mut |file, kind, start, end| {
            if kind == b"elst" {
                track.edits = edit_list(file, start, end)?;
            }
            Ok(())
        }),
        b"mdia" => walk(file, start, end, &mut |file, kind, start, _| {
            if kind == b"mdhd" {
                track.scale = time_scale(file, start)?;
            }
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok(track)
}

/// More entries than any editor writes. The rest of a longer list is not read.
const MOST_EDITS: u64 = 65_536;

/// The entries of an `elst` box. In version 1 lengths and times have 64 bits.
fn edit_list(file: &mut File, start: u64, end: u64) -> io::Result<Vec<Edit>> {
    let (version, count) = numbers(file, start, 8, |bytes| (bytes[0], word(bytes, 4)))?;
    let size: usize = if version == 0 { 12 } else { 20 };
    let room = end.saturating_sub(start + 8) / size as u64;
    let mut entries = Vec::new();
    file.take(room.min(u64::from(count)).min(MOST_EDITS) * size as u64).read_to_end(&mut entries)?;
    Ok(entries
        .chunks_exact(size)
        .map(|entry| match version {
            0 => Edit { length: u64::from(word(entry, 0)), is_empty: word(entry, 4) == u32::MAX },
            _ => {
                let wide = |at| u64::from(word(entry, at)) << 32 | u64::from(word(entry, at + 4));
                Edit { length: wide(0), is_empty: wide(8) == u64::MAX }
            }
        })
        .collect())
}

/// The time scale in a movie header or a media header (ISO/IEC 14496-12, 8.2.2 and 8.4.2).
fn time_scale(file: &mut File, start: u64) -> io::Result<u32> {
    numbers(file, start, 24, |bytes| word(bytes, if bytes[0] == 0 { 12 } else { 20 }))
}

/// Reads `size` bytes at this position, and takes numbers from them.
fn numbers<T>(file: &mut File, start: u64, size: usize, take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut bytes = vec![0; size];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(take(&bytes))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(edits: &[(u64, bool)]) -> Vec<(i64, i64)> {
        let edits = edits.iter().map(|(length, is_empty)| Edit { length: *length, is_empty: *is_empty }).collect();
        Track { id: 1, scale: 48_000, edits }.placed(600).gaps
    }

    #[test]
    fn empty_edits_behind_others_are_gaps() {
        assert_eq!(gaps(&[(600, false)]), []);
        assert_eq!(gaps(&[(300, true), (300, true), (600, false)]), []);
        assert_eq!(gaps(&[(600, false), (300, true), (1, false)]), [(48_000, 72_000)]);
        assert_eq!(gaps(&[(1, true), (600, false), (600, true)]), [(48_080, 96_080)]);
        // libav ignores a list that shows nothing at all.
        assert_eq!(gaps(&[(600, true)]), []);
    }

    #[test]
    fn times_of_64_bits_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("elst");
        let entry = |length: u64, time: i64| [&length.to_be_bytes()[..], &time.to_be_bytes(), &[0, 1, 0, 0]].concat();
        let content = [&[1, 0, 0, 0, 0, 0, 0, 2][..], &entry(1 << 33, -1), &entry(7, 0)].concat();
        std::fs::write(&path, &content).expect("written");
        let mut file = File::open(&path).expect("opened");
        let edits = edit_list(&mut file, 0, content.len() as u64).expect("read");
        let read: Vec<_> = edits.iter().map(|edit| (edit.length, edit.is_empty)).collect();
        assert_eq!(read, [(1 << 33, true), (7, false)]);
    }
}
