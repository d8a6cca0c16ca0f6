//! Decodes the picture of a HEIF or AVIF file: puts its tiles together, and reads its opacity, crop, rotation and
//! colours.

use std::fs::File;
use std::io;

use ffmpeg_next as ff;

use super::cursor::Cursor;
use super::first::{first_frame, most_whole};
use super::heif::Heif;
use super::heif_overlay::Overlay;
use super::heif_property::{CleanAperture, Crop, Property, mirrored, rotated};
use super::raster::Decoded;
use super::{NoFrame, Undecoded, refused};
use crate::plan::Container;
use crate::task::Limits;
use crate::transcode::av::{self, Decoder, Mosaic, PictureFilter};
use crate::transcode::job::scratch;
use crate::vocabulary::Orientation;

/// What the boxes say about a picture.
pub(super) struct Described {
    /// Width and height of the coded picture.
    pub(super) coded: (u32, u32),
    /// The part that is shown.
    pub(super) crop: Option<Crop>,
    /// How the shown part is rotated and mirrored.
    pub(super) orientation: Orientation,
    /// libav's name of the codec; `None` if no decoder here supports it.
    pub(super) codec: Option<&'static str>,
    icc: Option<Vec<u8>>,
    cicp: Option<(u16, u16, u16, bool)>,
    /// The coded tiles, row by row.
    pieces: Vec<u32>,
    columns: u32,
    /// Where the pieces are, if they are pictures of their own on a canvas.
    overlay: Option<Overlay>,
}

impl Described {
    /// The size of the shown part, before rotation.
    pub(super) fn shown(&self) -> (u32, u32) {
        self.crop.map_or(self.coded, |crop| (crop.width, crop.height))
    }
}

/// Describes an item.
///
/// # Errors
/// `InvalidData` if its boxes are damaged, `Unsupported` if it is a kind of picture that is not supported here.
pub(super) fn describe(heif: &Heif, file: &mut File, id: u32) -> io::Result<Described> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    let item = heif.item(id).ok_or_else(invalid)?;
    let mut overlay = None;
    let (pieces, columns, size) = match &item.kind {
        b"iovl" => {
            let found = Overlay::parse(&heif.data(file, id)?, heif.references_from(id, *b"dimg"));
            let found = overlay.insert(found.ok_or_else(invalid)?);
            (found.items().collect(), 1, Some(found.size))
        }
        b"grid" => {
            let (columns, rows, size) = grid(&heif.data(file, id)?).ok_or_else(invalid)?;
            let tiles = heif.references_from(id, *b"dimg");
            if tiles.len() as u64 != u64::from(columns) * u64::from(rows) {
                return Err(invalid());
            }
            (tiles.to_vec(), columns, Some(size))
        }
        b"iden" => {
            let [of] = heif.references_from(id, *b"dimg") else { return Err(invalid()) };
            // A derived picture: another one, rotated or cropped. That one must not be derived itself.
            let base = heif.item(*of).filter(|base| base.kind != *b"iden" && base.kind != *b"grid");
            base.ok_or_else(unsupported)?;
            (vec![*of], 1, None)
        }
        _ => (vec![id], 1, None),
    };
    let first = *pieces.first().ok_or_else(invalid)?;
    let codec = codec_under(heif, first, MOST_DERIVED);
    let properties = heif.properties(id).ok_or_else(unsupported)?;
    let size_of = |properties: &[&Property]| {
        properties.iter().find_map(|p| if let Property::Size(w, h) = p { Some((*w, *h)) } else { None })
    };
    let of_piece = heif.properties(first).ok_or_else(unsupported)?;
    let coded = size.or_else(|| size_of(&properties)).or_else(|| size_of(&of_piece)).ok_or_else(invalid)?;
    let mut described = Described {
        coded,
        crop: None,
        orientation: Orientation::default(),
        codec,
        icc: None,
        cicp: None,
        pieces,
        columns,
        overlay,
    };
    described.colours(&of_piece);
    described.colours(&properties);
    properties.iter().try_for_each(|property| described.transform(property)).ok_or_else(unsupported)?;
    Ok(described)
}

impl Described {
    fn colours(&mut self, properties: &[&Property]) {
        for property in properties {
            match property {
                Property::Icc(profile) => self.icc = Some(profile.clone()),
                Property::Cicp(primaries, transfer, matrix, full) => {
                    self.cicp = Some((*primaries, *transfer, *matrix, *full));
                }
                _ => {}
            }
        }
    }

    /// Applies a crop, rotation or mirroring in the order of the file; `None` if it crops what is already rotated.
    fn transform(&mut self, property: &Property) -> Option<()> {
        match property {
            Property::CleanAperture(aperture) => self.clean_aperture(aperture)?,
            Property::Rotation(quarters) => self.orientation = rotated(self.orientation, *quarters),
            Property::Mirror(left_and_right) => self.orientation = mirrored(self.orientation, *left_and_right),
            _ => {}
        }
        Some(())
    }

    fn clean_aperture(&mut self, aperture: &CleanAperture) -> Option<()> {
        if self.orientation != Orientation::default() || self.crop.is_some() {
            return None;
        }
        // A crop that is not inside the picture is ignored, as browsers do.
        self.crop = aperture.crop(self.coded);
        Some(())
    }
}

/// libav's name of the codec for an item type (ISO/IEC 23008-12, annexes; AV1 Image File Format, 2.1).
const fn codec_of(kind: [u8; 4]) -> Option<&'static str> {
    match &kind {
        b"hvc1" | b"hev1" => Some("hevc"),
        b"av01" => Some("av1"),
        b"avc1" => Some("h264"),
        b"jpeg" => Some("mjpeg"),
        _ => None,
    }
}

/// Derived pictures may be derived from derived ones, up to this depth.
const MOST_DERIVED: u8 = 3;

/// libav's name of the codec of the first coded item that this one is derived from.
fn codec_under(heif: &Heif, id: u32, depth: u8) -> Option<&'static str> {
    let first = heif.references_from(id, *b"dimg").first();
    codec_of(heif.item(id)?.kind).or_else(|| codec_under(heif, *first?, depth.checked_sub(1)?))
}

/// The grid's columns and rows, and the size of the whole (ISO/IEC 23008-12, 6.6.2.3.2).
fn grid(data: &[u8]) -> Option<(u32, u32, (u32, u32))> {
    let mut cursor = Cursor(data);
    cursor.u8().filter(|version| *version == 0)?;
    let side = if cursor.u8()? & 1 == 0 { 2 } else { 4 };
    let (rows, columns) = (u32::from(cursor.u8()?) + 1, u32::from(cursor.u8()?) + 1);
    let mut side = || u32::try_from(cursor.uint(side)?).ok().filter(|side| *side > 0);
    Some((columns, rows, (side()?, side()?)))
}

/// Decodes the picture.
pub(super) fn decode(heif: &Heif, file: &mut File, container: Container, limits: &Limits) -> Result<Decoded, NoFrame> {
    decode_picture(heif, file, heif.primary(), (container, limits), MOST_DERIVED)
}

/// Decodes an item with its opacity. Pictures of an overlay are items of their own, at most `depth` levels down.
fn decode_picture(
    heif: &Heif,
    file: &mut File,
    id: u32,
    (container, limits): (Container, &Limits),
    depth: u8,
) -> Result<Decoded, NoFrame> {
    let described = describe(heif, file, id).map_err(unreadable)?;
    if let Some(overlay) = &described.overlay {
        let below = depth.checked_sub(1).ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
        let mut layer = |id| decode_picture(heif, file, id, (container, limits), below);
        // It is in sRGB, whatever the profiles of its pictures are.
        let drawn = overlay.draw(limits, &mut layer)?;
        return Ok(Decoded { crop: described.crop, orientation: Some(described.orientation), icc: None, ..drawn });
    }
    let (mut frame, reduction) = piece_together(heif, file, &described, (container, limits))?;
    if let Some((primaries, transfer, matrix, full)) = described.cicp {
        let decoded = av::frame_color(&frame);
        let [primaries, transfer, matrix] = [primaries, transfer, matrix].map(known);
        // RGB has the matrix 0, and everything else has another one. A declared matrix that contradicts this is
        // ignored.
        let matrix = matrix.filter(|matrix| (*matrix == 0) == (decoded.matrix == 0)).unwrap_or(decoded.matrix);
        let color = av::FrameColor {
            range: if full { 2 } else { 1 },
            primaries: primaries.unwrap_or(decoded.primaries),
            transfer: transfer.unwrap_or(decoded.transfer),
            matrix,
        };
        av::set_frame_color(&mut frame, color);
    }
    let alpha = alpha_of(heif, id);
    let premultiplied = alpha.is_some_and(|alpha| heif.references_from(id, *b"prem").contains(&alpha));
    // If the opacity cannot be decoded, the picture is shown without it.
    let alpha = match alpha.map(|alpha| opacity(heif, file, alpha, (container, limits))) {
        Some(Err(fault @ NoFrame::Fault(_))) => return Err(fault),
        Some(Ok(alpha)) => Some(alpha),
        Some(Err(NoFrame::Undecoded(_))) | None => None,
    };
    let coded = if reduction > 0 { described.coded } else { (frame.width(), frame.height()) };
    let icc = described.icc.or_else(|| av::icc_profile(&frame));
    Ok(Decoded {
        premultiplied: premultiplied && alpha.is_some(),
        frame,
        alpha,
        coded,
        crop: described.crop,
        orientation: Some(described.orientation),
        icc,
        truncated: false,
    })
}

/// A number of ITU-T H.273 for which libav has a name; 2 means unspecified.
fn known(number: u16) -> Option<u32> {
    (number <= 18 && number != 2).then(|| u32::from(number))
}

fn opacity(heif: &Heif, file: &mut File, id: u32, allowed: (Container, &Limits)) -> Result<ff::frame::Video, NoFrame> {
    let described = describe(heif, file, id).map_err(unreadable)?;
    Ok(piece_together(heif, file, &described, allowed)?.0)
}

/// The auxiliary picture with the opacity of this one (ISO/IEC 23008-12, 6.5.8 and annex B; MIAF, 7.3.5.2).
fn alpha_of(heif: &Heif, id: u32) -> Option<u32> {
    let is_alpha = |id: &u32| {
        let properties = heif.properties(*id).unwrap_or_default();
        properties.iter().any(|property| {
            matches!(property, Property::Auxiliary(kind) if kind == "urn:mpeg:hevc:2015:auxid:1"
                || kind == "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
                || kind == "urn:mpeg:avc:2015:auxid:1")
        })
    };
    heif.references_to(id, *b"auxl").find(is_alpha)
}

/// The whole coded picture, and the power of two by which its sides were reduced.
fn piece_together(
    heif: &Heif,
    file: &mut File,
    described: &Described,
    (container, limits): (Container, &Limits),
) -> Result<(ff::frame::Video, u8), NoFrame> {
    if described.overlay.is_some() {
        return Err(NoFrame::Undecoded(Undecoded::NoDecoder));
    }
    let codec = described.codec.filter(|codec| container.row().video.contains(codec));
    let codec = codec.ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let mut tile = |id: u32| decode_item(heif, file, id, codec, limits);
    let (width, height) = described.coded;
    let [only] = described.pieces[..] else {
        let first = tile(described.pieces[0])?;
        let reduction = reduction(described.coded, (first.width(), first.height()), limits)?;
        let smaller = |side: u32| side.div_ceil(1 << reduction).max(1);
        let shrink = |tile: ff::frame::Video| shrunk(tile, reduction);
        let rows = u32::try_from(described.pieces.len()).unwrap_or(u32::MAX) / described.columns.max(1);
        let covered = |tile: u32, count: u32, whole: u32| u64::from(tile) * u64::from(count) >= u64::from(whole);
        if !covered(first.width(), described.columns, width) || !covered(first.height(), rows, height) {
            return Err(NoFrame::Undecoded(Undecoded::Damaged));
        }
        let first = shrink(first)?;
        let mut mosaic = Mosaic::new(&first, smaller(width), smaller(height)).map_err(refused("allocating"))?;
        for (n, id) in (0..).zip(&described.pieces) {
            let (column, row) = (n % described.columns, n / described.columns);
            mosaic.put(&shrink(tile(*id)?)?, column, row).map_err(refused("putting tiles together"))?;
        }
        return Ok((mosaic.finish(), reduction));
    };
    Ok((tile(only)?, 0))
}

/// The power of two by which the sides of a tiled picture must be reduced to stay within the limit.
fn reduction((width, height): (u32, u32), tile: (u32, u32), limits: &Limits) -> Result<u8, NoFrame> {
    let pixels = u64::from(width) * u64::from(height);
    // The tiles must keep even sides, so that their colour samples stay aligned.
    let fits = |reduction: &u8| pixels >> (2 * reduction) <= limits.pixels;
    let divides = |reduction: u8| (tile.0 | tile.1).is_multiple_of(2 << reduction);
    match (0..=6).find(fits) {
        Some(reduction) if reduction == 0 || divides(reduction) => Ok(reduction),
        _ => Err(NoFrame::Undecoded(Undecoded::TooLarge)),
    }
}

fn shrunk(tile: ff::frame::Video, reduction: u8) -> Result<ff::frame::Video, NoFrame> {
    if reduction == 0 {
        return Ok(tile);
    }
    let color = av::frame_color(&tile);
    let chain = format!("scale={}:{}:flags=area", tile.width() >> reduction, tile.height() >> reduction);
    let mut small = PictureFilter::apply(&tile, &chain).map_err(refused("scaling a tile"))?;
    av::set_frame_color(&mut small, color);
    Ok(small)
}

fn decode_item(
    heif: &Heif,
    file: &mut File,
    id: u32,
    codec: &str,
    limits: &Limits,
) -> Result<ff::frame::Video, NoFrame> {
    // All tiles of a picture have the codec of the first one.
    if heif.item(id).and_then(|item| codec_of(item.kind)) != Some(codec) {
        return Err(NoFrame::Undecoded(Undecoded::NoDecoder));
    }
    let data = heif.data(file, id).map_err(unreadable)?;
    let properties = heif.properties(id).ok_or(NoFrame::Undecoded(Undecoded::NoDecoder))?;
    let config = properties.iter().find_map(|p| if let Property::Config(bytes) = p { Some(&bytes[..]) } else { None });
    let decoder = Decoder::open_item(codec, config.unwrap_or_default(), most_whole(limits));
    let decoder = decoder.map_err(refused("opening the decoder"))?;
    first_frame(decoder, std::iter::once(ff::Packet::copy(&data)))
}

/// Maps an error of reading boxes to its meaning for the picture.
pub(super) fn unreadable(error: io::Error) -> NoFrame {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => NoFrame::Undecoded(Undecoded::Damaged),
        io::ErrorKind::Unsupported => NoFrame::Undecoded(Undecoded::NoDecoder),
        _ => NoFrame::Fault(scratch(error)),
    }
}
