//! Reads what a camera wrote into Exif data (Exif 2.32): how it was held, and when.

use std::fs::File;
use std::io::BufReader;

use crate::task::INPUT;
use crate::vocabulary::Orientation;

/// The fields of the Exif data that are used.
#[derive(Default)]
pub(super) struct Exif {
    pub(super) orientation: Orientation,
    pub(super) created_at: Option<String>,
}

impl Exif {
    /// Reads them from the input; empty if it has no Exif data.
    pub(super) fn read() -> Self {
        let Ok(file) = File::open(INPUT) else { return Self::default() };
        let read = exif::Reader::new().continue_on_error(true).read_from_container(&mut BufReader::new(file));
        let fields = match read {
            Ok(fields) => fields,
            Err(exif::Error::PartialResult(partial)) => partial.into_inner().0,
            Err(_) => return Self::default(),
        };
        let orientation = fields
            .get_field(exif::Tag::Orientation, exif::In::PRIMARY)
            .and_then(|field| field.value.get_uint(0))
            .map(orientation_of)
            .unwrap_or_default();
        Self { orientation, created_at: created_at(&fields) }
    }
}

/// Exif 2.32, 4.6.4: rotation in degrees and mirroring for the tag's values from 1 on.
const ORIENTATIONS: [(u16, bool); 8] =
    [(0, false), (0, true), (180, false), (180, true), (270, true), (90, false), (90, true), (270, false)];

/// The orientation for a tag's value; upright for an unknown value.
pub(super) fn orientation_of(tag: u32) -> Orientation {
    let known = tag.checked_sub(1).and_then(|n| ORIENTATIONS.get(usize::try_from(n).ok()?));
    let (rotation_degrees, mirrored) = known.copied().unwrap_or_default();
    Orientation { rotation_degrees, mirrored }
}

/// The tag's value for an orientation; `None` if the picture is not rotated.
fn tag_of(orientation: Orientation) -> Option<u8> {
    let Orientation { rotation_degrees, mirrored } = orientation;
    let at = ORIENTATIONS.iter().position(|known| *known == (rotation_degrees, mirrored))?;
    u8::try_from(at + 1).ok().filter(|tag| *tag > 1)
}

/// Exif data that contain only the orientation; `None` if the picture is not rotated.
pub(super) fn orientation_only(orientation: Orientation) -> Option<Vec<u8>> {
    let tag = tag_of(orientation)?;
    // A TIFF header, a directory with one entry (0x0112, a short), and no further directory (TIFF 6.0, section 2).
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend_from_slice(&[tag, 0, 0, 0, 0, 0, 0]);
    Some(exif)
}

fn created_at(fields: &exif::Exif) -> Option<String> {
    let field = fields.get_field(exif::Tag::DateTimeOriginal, exif::In::PRIMARY)?;
    let exif::Value::Ascii(lines) = &field.value else { return None };
    let time = exif::DateTime::from_ascii(lines.first()?).ok()?;
    (time.year > 1990).then(|| {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            time.year, time.month, time.day, time.hour, time.minute, time.second
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orientation_is_written_as_it_is_read() {
        for tag in 2..=8 {
            let exif = orientation_only(orientation_of(tag)).expect("turned");
            let fields = exif::Reader::new().read_raw(exif).expect("Exif");
            assert_eq!(fields.fields().count(), 1);
            let field = fields.get_field(exif::Tag::Orientation, exif::In::PRIMARY).expect("the tag");
            assert_eq!(field.value.get_uint(0), Some(tag));
        }
        assert_eq!(orientation_only(orientation_of(1)), None);
        assert_eq!(orientation_of(9), Orientation::default());
    }
}
