//! HEIF and AVIF files by hand: pieces that ffmpeg has encoded, with whatever a test wants said of them.

use std::path::Path;

use tempfile::TempDir;

use super::boxes::{atom, full_atom, words};
use super::media::synthesise;

/// One coded picture: the box that configures its decoder, its data, its size.
pub struct Piece {
    pub config: Vec<u8>,
    pub data: Vec<u8>,
    pub size: (u32, u32),
    kind: [u8; 4],
}

/// One item: what it is, what stands in `mdat` of it, what is said of it, and what it refers to.
pub struct Item {
    pub kind: [u8; 4],
    pub data: Vec<u8>,
    /// Boxes of `ipco`, in the order in which they apply.
    pub properties: Vec<Vec<u8>>,
    /// Kind of reference, and numbers of items from 1 on.
    pub references: Vec<([u8; 4], Vec<u16>)>,
}

impl Piece {
    /// Encodes the first frame of a source: with `libx265` for HEIC, with `libaom-av1` for AVIF.
    pub fn encode(dir: &TempDir, encoder: &str, source: &str, size: (u32, u32), options: &str) -> Self {
        let hevc = encoder == "libx265";
        let quiet = if hevc { "-x265-params log-level=none -tag:v hvc1 -preset ultrafast" } else { "-cpu-used 8" };
        let arguments = format!("{source} -frames:v 1 -c:v {encoder} {quiet} {options}");
        let film = std::fs::read(synthesise(dir, "piece.mp4", &arguments)).expect("a film");
        let name: &[u8; 4] = if hevc { b"hvcC" } else { b"av1C" };
        Self {
            config: whole(&film, *name),
            // One frame is all there is.
            data: whole(&film, *b"mdat")[8..].to_vec(),
            size,
            kind: if hevc { *b"hvc1" } else { *b"av01" },
        }
    }

    /// The piece as an item with these properties besides its size and configuration.
    pub fn item(&self, properties: &[Vec<u8>]) -> Item {
        let mut all = vec![size(self.size), self.config.clone()];
        all.extend_from_slice(properties);
        Item { kind: self.kind, data: self.data.clone(), properties: all, references: Vec::new() }
    }
}

/// The first box of this kind, with its header.
fn whole(bytes: &[u8], kind: [u8; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|window| window == kind).expect("the box") - 4;
    let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    bytes[at..at + size as usize].to_vec()
}

/// `ispe`: width and height.
pub fn size((width, height): (u32, u32)) -> Vec<u8> {
    full_atom(b"ispe", 0, &[&words(&[width, height])])
}

/// `irot`: quarter turns counter-clockwise.
pub fn rotation(quarters: u8) -> Vec<u8> {
    atom(b"irot", &[&[quarters]])
}

/// `imir`: 0 exchanges top and bottom, 1 left and right.
pub fn mirror(axis: u8) -> Vec<u8> {
    atom(b"imir", &[&[axis]])
}

/// `clap`: width, height, and the distance of its centre from the picture's, in halves of a pixel.
pub fn clean_aperture(width: u32, height: u32, off_x: i32, off_y: i32) -> Vec<u8> {
    let (x, y) = (off_x.cast_unsigned(), off_y.cast_unsigned());
    atom(b"clap", &[&words(&[width, 1, height, 1, x, 2, y, 2])])
}

/// `colr` of type `nclx`, full range.
pub fn colours(primaries: u16, transfer: u16, matrix: u16) -> Vec<u8> {
    let numbers: Vec<u8> = [primaries, transfer, matrix].iter().flat_map(|number| number.to_be_bytes()).collect();
    atom(b"colr", &[b"nclx", &numbers, &[0x80]])
}

/// `colr` with an ICC profile.
pub fn icc(profile: &[u8]) -> Vec<u8> {
    atom(b"colr", &[b"prof", profile])
}

/// `auxC` of an opacity.
pub fn alpha() -> Vec<u8> {
    full_atom(b"auxC", 0, &[b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"])
}

/// A grid of items (ISO/IEC 23008-12, 6.6.2.3).
pub fn grid(columns: u8, rows: u8, whole: (u16, u16), tiles: Vec<u16>, properties: &[Vec<u8>]) -> Item {
    let (width, height) = (whole.0.to_be_bytes(), whole.1.to_be_bytes());
    let data = [&[0, 0, rows - 1, columns - 1][..], &width, &height].concat();
    let mut all = vec![size((whole.0.into(), whole.1.into()))];
    all.extend_from_slice(properties);
    Item { kind: *b"grid", data, properties: all, references: vec![(*b"dimg", tiles)] }
}

/// An overlay of items at places on a canvas of this colour and size (ISO/IEC 23008-12, 6.6.2.2).
pub fn overlay(fill: [u16; 4], (width, height): (u16, u16), layers: &[(u16, (i16, i16))], more: &[Vec<u8>]) -> Item {
    let mut data = vec![0, 0];
    data.extend(fill.iter().flat_map(|channel| channel.to_be_bytes()));
    data.extend([width, height].iter().flat_map(|side| side.to_be_bytes()));
    data.extend(layers.iter().flat_map(|(_, (x, y))| [x.to_be_bytes(), y.to_be_bytes()].concat()));
    let mut properties = vec![size((width.into(), height.into()))];
    properties.extend_from_slice(more);
    let to = layers.iter().map(|(item, _)| *item).collect();
    Item { kind: *b"iovl", data, properties, references: vec![(*b"dimg", to)] }
}

/// Writes a file of these items, of which one is the picture.
pub fn write(path: &Path, brand: &[u8; 4], items: &[Item], primary: u16) {
    let number = |n: usize| u16::try_from(n + 1).expect("few items").to_be_bytes();
    let count = u16::try_from(items.len()).expect("few items").to_be_bytes();
    let infos: Vec<u8> = items.iter().enumerate().flat_map(|(n, item)| info(number(n), item.kind)).collect();
    let mut properties = Vec::new();
    let mut associations = Vec::new();
    let mut index = 0_u8;
    for (n, item) in items.iter().enumerate() {
        associations.extend_from_slice(&number(n));
        associations.push(u8::try_from(item.properties.len()).expect("few properties"));
        for property in &item.properties {
            index += 1;
            properties.extend_from_slice(property);
            associations.push(0x80 | index);
        }
    }
    let references: Vec<u8> = items
        .iter()
        .enumerate()
        .flat_map(|(n, item)| item.references.iter().flat_map(move |(kind, to)| reference(kind, number(n), to)))
        .collect();
    let meta = |offset: u32| {
        let mut at = offset;
        let mut locations = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let length = u32::try_from(item.data.len()).expect("short");
            locations.extend_from_slice(&[&number(n)[..], &[0, 0, 0, 1], &words(&[at, length])].concat());
            at += length;
        }
        let parts: [&[u8]; 6] = [
            &full_atom(b"hdlr", 0, &[&[0; 4], b"pict", &[0; 13]]),
            &full_atom(b"pitm", 0, &[&primary.to_be_bytes()]),
            &full_atom(b"iinf", 0, &[&count, &infos]),
            &full_atom(b"iloc", 0, &[&[0x44, 0], &count, &locations]),
            &atom(
                b"iprp",
                &[
                    &atom(b"ipco", &[&properties]),
                    &full_atom(b"ipma", 0, &[&words(&[items.len().try_into().expect("few")]), &associations]),
                ],
            ),
            &full_atom(b"iref", 0, &[&references]),
        ];
        full_atom(b"meta", 0, &parts)
    };
    let start = atom(b"ftyp", &[brand, &[0; 4], b"mif1", brand]);
    let offset = u32::try_from(start.len() + meta(0).len() + 8).expect("a small file");
    let data: Vec<u8> = items.iter().flat_map(|item| item.data.clone()).collect();
    std::fs::write(path, [start, meta(offset), atom(b"mdat", &[&data])].concat()).expect("written");
}

fn info(number: [u8; 2], kind: [u8; 4]) -> Vec<u8> {
    // Version 2.
    atom(b"infe", &[&[2, 0, 0, 0], &number, &[0, 0], &kind, &[0]])
}

fn reference(kind: &[u8; 4], from: [u8; 2], to: &[u16]) -> Vec<u8> {
    let count = u16::try_from(to.len()).expect("few references").to_be_bytes();
    let to: Vec<u8> = to.iter().flat_map(|id| id.to_be_bytes()).collect();
    atom(kind, &[&from, &count, &to])
}
