//! Properties of HEIF items (ISO/IEC 23008-12, 6.5), and the crop, orientation and colours that they describe.

use super::cursor::{Cursor, full_box};
use crate::vocabulary::Orientation;

/// Longest ICC profile that is used.
pub(super) const MAX_ICC_BYTES: usize = 4 << 20;

/// One property.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Property {
    /// `ispe`: width and height.
    Size(u32, u32),
    /// `hvcC`, `av1C`, `avcC`: configuration that the decoder needs before the data.
    Config(Vec<u8>),
    /// `irot`: quarter turns counter-clockwise.
    Rotation(u8),
    /// `imir`: swaps left and right if true, otherwise top and bottom.
    Mirror(bool),
    /// `clap`: the part that is shown.
    CleanAperture(CleanAperture),
    /// `colr` of type `prof` or `rICC`.
    Icc(Vec<u8>),
    /// `colr` of type `nclx`: primaries, transfer, matrix (ITU-T H.273), full range.
    Cicp(u16, u16, u16, bool),
    /// `auxC`: the purpose of an auxiliary picture.
    Auxiliary(String),
    /// A property that does not affect how the picture is decoded or shown.
    Remark,
    /// Anything else.
    Other,
}

/// ISO/IEC 14496-12, 12.1.4: each value is a numerator and a denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CleanAperture {
    width: (u32, u32),
    height: (u32, u32),
    /// Offset of its centre from the picture's centre.
    horizontal: (i32, u32),
    vertical: (i32, u32),
}

/// A rectangle inside a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Property {
    /// Parses one box of `ipco`. A damaged property is treated as unknown.
    pub(super) fn parse((kind, content): ([u8; 4], &[u8])) -> Self {
        Self::known(kind, content).unwrap_or(Self::Other)
    }

    fn known(kind: [u8; 4], content: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(content);
        Some(match &kind {
            b"ispe" => {
                let mut cursor = Cursor(full_box(content)?.1);
                Self::Size(cursor.u32()?, cursor.u32()?)
            }
            b"hvcC" | b"av1C" | b"avcC" => Self::Config(content.to_vec()),
            b"irot" => Self::Rotation(cursor.u8()? & 3),
            b"imir" => Self::Mirror(cursor.u8()? & 1 == 1),
            b"clap" => Self::CleanAperture(CleanAperture::parse(content)?),
            b"colr" => match &cursor.array()? {
                b"prof" | b"rICC" if cursor.0.len() <= MAX_ICC_BYTES => Self::Icc(cursor.0.to_vec()),
                b"nclx" => Self::Cicp(cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u8()? & 0x80 != 0),
                _ => Self::Remark,
            },
            b"auxC" => {
                let text = full_box(content)?.1.split(|byte| *byte == 0).next()?;
                Self::Auxiliary(String::from_utf8_lossy(text).into_owned())
            }
            b"pixi" | b"pasp" | b"clli" | b"mdcv" | b"amve" | b"cclv" | b"a1lx" | b"rloc" | b"udes" => Self::Remark,
            _ => return None,
        })
    }
}

impl CleanAperture {
    fn parse(content: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(content);
        let mut pair = || Some((cursor.u32()?, cursor.u32().filter(|denominator| *denominator > 0)?));
        let (width, height, horizontal, vertical) = (pair()?, pair()?, pair()?, pair()?);
        let signed = |(numerator, denominator): (u32, u32)| (numerator.cast_signed(), denominator);
        Some(Self { width, height, horizontal: signed(horizontal), vertical: signed(vertical) })
    }

    /// The rectangle in a picture of this size; `None` if it is not inside the picture.
    pub(super) fn crop(&self, (width, height): (u32, u32)) -> Option<Crop> {
        let (x, cropped_width) = side(width, self.width, self.horizontal)?;
        let (y, cropped_height) = side(height, self.height, self.vertical)?;
        Some(Crop { x, y, width: cropped_width, height: cropped_height })
    }
}

/// Start and length on one side, in whole pixels.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within the side")]
fn side(length: u32, (size, per): (u32, u32), (offset, offset_per): (i32, u32)) -> Option<(u32, u32)> {
    let wanted = (f64::from(size) / f64::from(per)).round();
    let centre = f64::from(length) / 2.0 + f64::from(offset) / f64::from(offset_per);
    let start = (centre - wanted / 2.0).round();
    let within = start >= 0.0 && wanted >= 1.0 && start + wanted <= f64::from(length);
    within.then_some((start as u32, wanted as u32))
}

/// The orientation after rotating it further counter-clockwise by this many quarter turns.
pub(super) fn rotated(before: Orientation, quarters: u8) -> Orientation {
    let clockwise = u16::from(4 - quarters % 4) * 90;
    Orientation { rotation_degrees: (before.rotation_degrees + clockwise) % 360, ..before }
}

/// The orientation after mirroring it. An [`Orientation`] first mirrors left and right and then rotates.
pub(super) fn mirrored(before: Orientation, left_and_right: bool) -> Orientation {
    let half = if left_and_right { 0 } else { 180 };
    let rotation_degrees = (360 + half - before.rotation_degrees % 360) % 360;
    Orientation { rotation_degrees, mirrored: !before.mirrored }
}
