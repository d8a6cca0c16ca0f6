//! Reads the items of a HEIF file (ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12): which one is the picture, of which coded
//! pieces it consists, and how it is to be shown. Only boxes are read here; the pieces are decoded by libav.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::cursor::{Cursor, boxes, find_box, full_box};
use super::heif_property::Property;

/// Longest `meta` box that is read. A picture of 256 × 256 tiles has one of about 2 MiB.
const MAX_META_BYTES: u64 = 16 << 20;
/// Most items of a file: a grid has at most 65,536 (ISO/IEC 23008-12, 6.6.2.3).
const MAX_ITEMS: usize = 1 << 17;
/// Most extents of one item's data.
const MAX_EXTENTS: usize = 1024;

/// A file's items by id.
#[derive(Debug)]
pub(super) struct Heif {
    items: BTreeMap<u32, Item>,
    properties: Vec<Property>,
    /// Each reference: its type, the item that it is from, and the items that it is to.
    references: Vec<([u8; 4], u32, Vec<u32>)>,
    primary: u32,
    /// Content of the `idat` box.
    idat: Vec<u8>,
}

/// One item of the file.
#[derive(Debug, Default, Clone)]
pub(super) struct Item {
    /// Its type: `hvc1`, `av01`, `grid`.
    pub(super) kind: [u8; 4],
    /// Where its extents are: 0 means file offsets, 1 means in `idat`.
    method: u8,
    extents: Vec<(u64, u64)>,
    /// Positions in `ipco`, counted from 1, in the order in which they are applied; and whether a reader must support
    /// the property.
    associations: Vec<(usize, bool)>,
}

impl Heif {
    /// Reads the items of a file.
    ///
    /// # Errors
    /// `InvalidData` if there are no items or their boxes are damaged; otherwise those of reading.
    pub(super) fn read(file: &mut File) -> io::Result<Self> {
        let meta = meta_of(file)?;
        Self::parse(&meta).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn parse(meta: &[u8]) -> Option<Self> {
        let (_, body) = full_box(meta)?;
        let mut heif = Self {
            items: BTreeMap::new(),
            properties: Vec::new(),
            references: Vec::new(),
            primary: 0,
            idat: Vec::new(),
        };
        let mut names_primary = false;
        for (kind, content) in boxes(body) {
            match &kind {
                b"pitm" => {
                    heif.primary = primary_item(content)?;
                    names_primary = true;
                }
                b"iinf" => heif.item_infos(content)?,
                b"iloc" => heif.locations(content)?,
                b"iprp" => heif.item_properties(content)?,
                b"iref" => heif.item_references(content)?,
                b"idat" => heif.idat = content.to_vec(),
                _ => {}
            }
        }
        if !names_primary {
            heif.primary = *heif.items.keys().next()?;
        }
        heif.items.contains_key(&heif.primary).then_some(heif)
    }

    /// The id of the item that is the picture.
    pub(super) const fn primary(&self) -> u32 {
        self.primary
    }

    pub(super) fn item(&self, id: u32) -> Option<&Item> {
        self.items.get(&id)
    }

    /// An item's properties in their order; `None` if a reader must support one that this reader does not know.
    pub(super) fn properties(&self, id: u32) -> Option<Vec<&Property>> {
        let known = |(index, essential): &(usize, bool)| {
            let property = self.properties.get(index.checked_sub(1)?)?;
            let other = matches!(property, Property::Other);
            if other && *essential { None } else { Some(property) }
        };
        self.items.get(&id)?.associations.iter().map(known).collect()
    }

    /// The items that an item has references of this type to, in order.
    pub(super) fn references_from(&self, id: u32, kind: [u8; 4]) -> &[u32] {
        let found = self.references.iter().find(|(k, from, _)| *k == kind && *from == id);
        found.map_or(&[], |(_, _, to)| to)
    }

    /// The items that have references of this type to this one.
    pub(super) fn references_to(&self, id: u32, kind: [u8; 4]) -> impl Iterator<Item = u32> {
        self.references.iter().filter(move |(k, _, to)| *k == kind && to.contains(&id)).map(|(_, from, _)| *from)
    }

    /// An item's data.
    ///
    /// # Errors
    /// `InvalidData` if the data is not in this file, otherwise those of reading.
    pub(super) fn data(&self, file: &mut File, id: u32) -> io::Result<Vec<u8>> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let item = self.items.get(&id).ok_or_else(invalid)?;
        let length = file.metadata()?.len();
        let mut data = Vec::new();
        for (offset, size) in &item.extents {
            if item.method == 1 {
                let start = usize::try_from(*offset).map_err(|_| invalid())?;
                let rest = self.idat.get(start..).ok_or_else(invalid)?;
                let size = if *size == 0 { rest.len() } else { usize::try_from(*size).map_err(|_| invalid())? };
                data.extend_from_slice(rest.get(..size).ok_or_else(invalid)?);
            } else {
                let rest = length.checked_sub(*offset).ok_or_else(invalid)?;
                let size = if *size == 0 { rest } else { *size };
                // No extent is longer than the file, nor are all of them together.
                if item.method != 0 || size > rest || data.len() as u64 + size > length {
                    return Err(invalid());
                }
                file.seek(SeekFrom::Start(*offset))?;
                file.take(size).read_to_end(&mut data)?;
            }
        }
        Ok(data)
    }

    /// ISO/IEC 14496-12, 8.11.6.
    fn item_infos(&mut self, content: &[u8]) -> Option<()> {
        let ((version, _), body) = full_box(content)?;
        let mut cursor = Cursor(body);
        let count = if version == 0 { u32::from(cursor.u16()?) } else { cursor.u32()? };
        for (kind, entry) in boxes(cursor.0).take(count as usize).take(MAX_ITEMS) {
            let ((version, _), body) = full_box(entry)?;
            // Versions 0 and 1 predate pictures in this format.
            if kind != *b"infe" || version < 2 {
                continue;
            }
            let mut cursor = Cursor(body);
            let id = if version == 2 { u32::from(cursor.u16()?) } else { cursor.u32()? };
            cursor.u16()?;
            let kind = cursor.array()?;
            self.items.entry(id).or_default().kind = kind;
        }
        Some(())
    }

    /// ISO/IEC 14496-12, 8.11.3.
    fn locations(&mut self, content: &[u8]) -> Option<()> {
        let ((version, _), body) = full_box(content)?;
        let mut cursor = Cursor(body);
        let sizes = cursor.u16()?;
        let nibble = |shift: u16| usize::from((sizes >> shift) & 15);
        let (offset_size, length_size, base_size) = (nibble(12), nibble(8), nibble(4));
        let index_size = if version == 0 { 0 } else { nibble(0) };
        let count = if version < 2 { u32::from(cursor.u16()?) } else { cursor.u32()? };
        for _ in 0..(count as usize).min(MAX_ITEMS) {
            let id = if version < 2 { u32::from(cursor.u16()?) } else { cursor.u32()? };
            let method = if version == 0 { 0 } else { (cursor.u16()? & 15).to_be_bytes()[1] };
            // Data in other files is marked with an unsupported method; see `data`.
            let elsewhere = cursor.u16()? != 0;
            let base = cursor.uint(base_size)?;
            let extents = usize::from(cursor.u16()?);
            if extents > MAX_EXTENTS {
                return None;
            }
            let item = self.items.entry(id).or_default();
            item.method = if elsewhere { u8::MAX } else { method };
            item.extents.clear();
            for _ in 0..extents {
                cursor.uint(index_size)?;
                let offset = base.checked_add(cursor.uint(offset_size)?)?;
                item.extents.push((offset, cursor.uint(length_size)?));
            }
        }
        Some(())
    }

    /// ISO/IEC 14496-12, 8.11.14.
    fn item_properties(&mut self, content: &[u8]) -> Option<()> {
        for (kind, content) in boxes(content) {
            match &kind {
                b"ipco" => self.properties = boxes(content).take(MAX_ITEMS).map(Property::parse).collect(),
                b"ipma" => self.associations(content)?,
                _ => {}
            }
        }
        Some(())
    }

    fn associations(&mut self, content: &[u8]) -> Option<()> {
        let ((version, flags), body) = full_box(content)?;
        let mut cursor = Cursor(body);
        let count = cursor.u32()?;
        for _ in 0..(count as usize).min(MAX_ITEMS) {
            let id = if version == 0 { u32::from(cursor.u16()?) } else { cursor.u32()? };
            let item = self.items.entry(id).or_default();
            for _ in 0..cursor.u8()? {
                let (bits, width) = if flags & 1 == 0 { (u16::from(cursor.u8()?), 7) } else { (cursor.u16()?, 15) };
                let index = usize::from(bits & ((1 << width) - 1));
                if index > 0 {
                    item.associations.push((index, bits >> width == 1));
                }
            }
        }
        Some(())
    }

    /// ISO/IEC 14496-12, 8.11.12.
    fn item_references(&mut self, content: &[u8]) -> Option<()> {
        let ((version, _), body) = full_box(content)?;
        for (kind, content) in boxes(body).take(MAX_ITEMS) {
            let mut cursor = Cursor(content);
            let id = |cursor: &mut Cursor<'_>| {
                if version == 0 { cursor.u16().map(u32::from) } else { cursor.u32() }
            };
            let from = id(&mut cursor)?;
            let count = cursor.u16()?;
            let to = (0..count).map(|_| id(&mut cursor)).collect::<Option<Vec<_>>>()?;
            self.references.push((kind, from, to));
        }
        Some(())
    }
}

/// ISO/IEC 14496-12, 8.11.4.
fn primary_item(content: &[u8]) -> Option<u32> {
    let ((version, _), body) = full_box(content)?;
    let mut cursor = Cursor(body);
    if version == 0 { cursor.u16().map(u32::from) } else { cursor.u32() }
}

/// The content of the `meta` box on the first level.
fn meta_of(file: &mut File) -> io::Result<Vec<u8>> {
    let found = find_box(file, &[*b"meta"])?.filter(|(_, _, size)| *size <= MAX_META_BYTES);
    let (_, offset, size) = found.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    file.seek(SeekFrom::Start(offset))?;
    let mut meta = Vec::new();
    file.take(size).read_to_end(&mut meta)?;
    Ok(meta)
}
