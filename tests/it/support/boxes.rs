//! Small media files, written by hand: ISO boxes and RIFF chunks around what a test wants to say.

/// A box of ISO base media: size, kind, content (ISO/IEC 14496-12, 4.2).
pub fn atom(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len() + 8).expect("a small box");
    [&size.to_be_bytes()[..], kind, &body].concat()
}

/// A box with version 0 and these flags in front of its content.
pub fn full_atom(kind: &[u8; 4], flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    atom(kind, &[&flags.to_be_bytes(), &parts.concat()])
}

/// A chunk of RIFF: kind, size, content, and a byte to make it even.
pub fn chunk(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len()).expect("a small chunk");
    let pad: &[u8] = if body.len().is_multiple_of(2) { &[] } else { &[0] };
    [&kind[..], &size.to_le_bytes(), &body, pad].concat()
}

/// Big-endian words.
pub fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

const IDENTITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// A QuickTime film whose tables say what a test wants said.
#[derive(Clone)]
pub struct Film {
    /// `soun` or `vide`.
    pub handler: [u8; 4],
    /// The sample description.
    pub entry: Vec<u8>,
    /// One entry of the data reference box: where the samples stand.
    pub reference: Vec<u8>,
    /// How many samples of two bytes and 1/8000 s the tables promise.
    pub samples: u32,
    /// What the header says of the length, in 1/8000 s.
    pub declared: u32,
    /// How many tracks there are, all alike.
    pub tracks: usize,
    /// The samples that are really there.
    pub data: Vec<u8>,
}

impl Film {
    /// A second of sound: PCM of 16 bits, 8000 Hz (QuickTime File Format, sound description version 0).
    pub fn sound() -> Self {
        Self {
            handler: *b"soun",
            entry: atom(b"sowt", &[&words(&[0, 1, 0, 0, 0x0001_0010, 0, 8000 << 16])]),
            reference: in_this_file(),
            samples: 8000,
            declared: 8000,
            tracks: 1,
            data: vec![0; 16_000],
        }
    }

    /// The same tables around Motion JPEG of 16x16 (video sample description).
    pub fn picture() -> Self {
        let size = [&[0, 1, 0, 0, 0, 0, 0x0010_0010, 0x0048_0000, 0x0048_0000, 0, 0x0001_0000][..], &[0; 7]].concat();
        let depth = [0, 0, 0, 0x18, 0xff, 0xff];
        Self { handler: *b"vide", entry: atom(b"jpeg", &[&words(&size), &depth]), ..Self::sound() }
    }

    /// The whole file: `ftyp`, `mdat`, `moov`.
    pub fn file(&self) -> Vec<u8> {
        let ftyp = atom(b"ftyp", &[b"qt  ", &words(&[0]), b"qt  "]);
        let mdat = atom(b"mdat", &[&self.data]);
        let first = u32::try_from(ftyp.len() + 8).expect("small");
        [ftyp, mdat, atom(b"moov", &[&self.mvhd(), &self.trak(first).repeat(self.tracks)])].concat()
    }

    fn mvhd(&self) -> Vec<u8> {
        let tail = [&IDENTITY[..], &[0; 6], &[2]].concat();
        full_atom(b"mvhd", 0, &[&words(&[0, 0, 8000, self.declared, 0x1_0000, 0x0100_0000, 0, 0]), &words(&tail)])
    }

    fn trak(&self, first: u32) -> Vec<u8> {
        let tail = [&IDENTITY[..], &[0, 0]].concat();
        let tkhd = full_atom(b"tkhd", 7, &[&words(&[0, 0, 1, 0, self.declared, 0, 0, 0, 0x0100_0000]), &words(&tail)]);
        let mdhd = full_atom(b"mdhd", 0, &[&words(&[0, 0, 8000, self.declared, 0])]);
        let hdlr = full_atom(b"hdlr", 0, &[b"mhlr", &self.handler, &words(&[0, 0, 0]), b"\0"]);
        let dref = full_atom(b"dref", 0, &[&words(&[1]), &self.reference]);
        let minf = atom(b"minf", &[&atom(b"dinf", &[&dref]), &self.stbl(first)]);
        atom(b"trak", &[&tkhd, &atom(b"mdia", &[&mdhd, &hdlr, &minf])])
    }

    fn stbl(&self, first: u32) -> Vec<u8> {
        atom(
            b"stbl",
            &[
                &full_atom(b"stsd", 0, &[&words(&[1]), &self.entry]),
                &full_atom(b"stts", 0, &[&words(&[1, self.samples, 1])]),
                &full_atom(b"stsc", 0, &[&words(&[1, 1, self.samples, 1])]),
                &full_atom(b"stsz", 0, &[&words(&[2, self.samples])]),
                &full_atom(b"stco", 0, &[&words(&[1, first])]),
            ],
        )
    }
}

/// The data reference that means: in this file.
pub fn in_this_file() -> Vec<u8> {
    full_atom(b"url ", 1, &[])
}
