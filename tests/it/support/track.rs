//! Films of one track, taken apart and put together anew: what muxers do not write, phones and editors do.

use super::boxes::{atom, full_atom, words};

/// A track of one film: its sample description, and its samples in a row.
pub struct Part {
    entry: Vec<u8>,
    sizes: Vec<u32>,
    keys: Vec<u32>,
    data: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Kind and content of each box in a row.
pub fn boxes(bytes: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let (mut at, mut found) = (0, Vec::new());
    while at + 8 <= bytes.len() {
        let size = word(bytes, at) as usize;
        found.push((bytes[at + 4..at + 8].try_into().expect("four bytes"), &bytes[at + 8..at + size]));
        at += size;
    }
    found
}

/// The content of the box at the end of this path.
fn inner<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        boxes(bytes).into_iter().find(|(of, _)| of == *kind).unwrap_or_else(|| panic!("no {kind:?}")).1
    })
}

impl Part {
    /// Of a film with a picture and nothing else, whose pictures are shown in the order they stand in.
    pub fn of(film: &[u8]) -> Self {
        let table = inner(film, &[b"moov", b"trak", b"mdia", b"minf", b"stbl"]);
        let entries = |kind: &[u8; 4], from: usize| {
            let bytes = inner(table, &[kind]);
            (from..bytes.len()).step_by(4).map(|at| word(bytes, at)).collect::<Vec<u32>>()
        };
        Self {
            entry: inner(table, &[b"stsd"])[8..].to_vec(),
            sizes: entries(b"stsz", 12),
            keys: entries(b"stss", 8),
            data: inner(film, &[b"mdat"]).to_vec(),
        }
    }
}

/// One film of 10 frames a second, with a sample description for each part; its last frame is shown for `last_ms`.
pub fn joined(parts: &[Part], (width, height): (u32, u32), last_ms: u32) -> Vec<u8> {
    let count: usize = parts.iter().map(|part| part.sizes.len()).sum();
    let count = u32::try_from(count).expect("a few");
    let length = (count - 1) * 100 + last_ms;
    let ftyp = atom(b"ftyp", &[b"isom", &words(&[0]), b"isommp42"]);
    let data: Vec<&[u8]> = parts.iter().map(|part| &part.data[..]).collect();
    let mut at = u32::try_from(ftyp.len() + 8).expect("small");
    let (mut offsets, mut chunks, mut keys, mut before) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (n, part) in (1..).zip(parts) {
        let samples = u32::try_from(part.sizes.len()).expect("a few");
        offsets.push(at);
        chunks.extend([n, samples, n]);
        keys.extend(part.keys.iter().map(|key| key + before));
        at += u32::try_from(part.data.len()).expect("small");
        before += samples;
    }
    let number = |list: &[u32], each: u32| u32::try_from(list.len()).expect("a few") / each;
    let entries: Vec<&[u8]> = parts.iter().map(|part| &part.entry[..]).collect();
    let sizes: Vec<u32> = parts.iter().flat_map(|part| part.sizes.clone()).collect();
    let table = atom(
        b"stbl",
        &[
            &full_atom(b"stsd", 0, &[&words(&[number(&offsets, 1)]), &entries.concat()]),
            &full_atom(b"stts", 0, &[&words(&[2, count - 1, 100, 1, last_ms])]),
            &full_atom(b"stsc", 0, &[&words(&[number(&chunks, 3)]), &words(&chunks)]),
            &full_atom(b"stsz", 0, &[&words(&[0, count]), &words(&sizes)]),
            &full_atom(b"stco", 0, &[&words(&[number(&offsets, 1)]), &words(&offsets)]),
            &full_atom(b"stss", 0, &[&words(&[number(&keys, 1)]), &words(&keys)]),
        ],
    );
    let dref = full_atom(b"dref", 0, &[&words(&[1]), &super::boxes::in_this_file()]);
    let minf = atom(b"minf", &[&full_atom(b"vmhd", 1, &[&[0; 8]]), &atom(b"dinf", &[&dref]), &table]);
    let mdhd = full_atom(b"mdhd", 0, &[&words(&[0, 0, 1000, length, 0])]);
    let hdlr = full_atom(b"hdlr", 0, &[&words(&[0]), b"vide", &words(&[0, 0, 0]), b"\0"]);
    let matrix = words(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
    let size = words(&[width << 16, height << 16]);
    let tkhd = full_atom(b"tkhd", 3, &[&words(&[0, 0, 1, 0, length, 0, 0, 0, 0]), &matrix, &size]);
    let trak = atom(b"trak", &[&tkhd, &atom(b"mdia", &[&mdhd, &hdlr, &minf])]);
    let start = words(&[0, 0, 1000, length, 0x1_0000, 0x0100_0000, 0, 0]);
    let mvhd = full_atom(b"mvhd", 0, &[&start, &matrix, &words(&[0, 0, 0, 0, 0, 0, 2])]);
    [ftyp, atom(b"mdat", &data), atom(b"moov", &[&mvhd, &trak])].concat()
}

/// Seconds to show, and where they begin in the track; [`EMPTY`] shows nothing.
pub type Edits<'a> = &'a [(f64, f64)];
pub const EMPTY: f64 = -1.0;

/// The film with this edit list in each of its tracks.
pub fn edited(film: &[u8], edits: Edits<'_>) -> Vec<u8> {
    edited_apart(film, edits, edits)
}

/// The film with one edit list for its picture and one for its sound.
pub fn edited_apart(film: &[u8], picture: Edits<'_>, sound: Edits<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, content) in boxes(film) {
        if kind == *b"moov" {
            out.extend(atom(b"moov", &[&edited_moov(content, picture, sound)]));
        } else {
            out.extend(atom(&kind, &[content]));
        }
    }
    out
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds in ticks")]
fn ticks(seconds: f64, scale: u32) -> u32 {
    (seconds * f64::from(scale)) as u32
}

fn edited_moov(moov: &[u8], picture: Edits<'_>, sound: Edits<'_>) -> Vec<u8> {
    let film_scale = word(inner(moov, &[b"mvhd"]), 12);
    let length = |edits: Edits<'_>| edits.iter().map(|(seconds, _)| ticks(*seconds, film_scale)).sum::<u32>();
    let with_length =
        |content: &[u8], at: usize, total: u32| [&content[..at], &total.to_be_bytes(), &content[at + 4..]].concat();
    let mut out = Vec::new();
    for (kind, content) in boxes(moov) {
        match &kind {
            b"mvhd" => out.extend(atom(&kind, &[&with_length(content, 16, length(picture).max(length(sound)))])),
            b"trak" => {
                let scale = word(inner(content, &[b"mdia", b"mdhd"]), 12);
                let is_picture = &inner(content, &[b"mdia", b"hdlr"])[8..12] == b"vide";
                let edits = if is_picture { picture } else { sound };
                let from = |from: f64| if from < 0.0 { u32::MAX } else { ticks(from, scale) };
                let list = edits.iter().flat_map(|(seconds, at)| [ticks(*seconds, film_scale), from(*at), 0x1_0000]);
                let list: Vec<u32> = list.collect();
                let count = u32::try_from(edits.len()).expect("a few");
                let edts = atom(b"edts", &[&full_atom(b"elst", 0, &[&words(&[count]), &words(&list)])]);
                let mut trak = Vec::new();
                for (kind, content) in boxes(content) {
                    match &kind {
                        b"edts" => {}
                        b"tkhd" => trak
                            .extend([atom(&kind, &[&with_length(content, 20, length(edits))]), edts.clone()].concat()),
                        _ => trak.extend(atom(&kind, &[content])),
                    }
                }
                out.extend(atom(&kind, &[&trak]));
            }
            _ => out.extend(atom(&kind, &[content])),
        }
    }
    out
}
