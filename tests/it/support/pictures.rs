//! Small pictures that are large, written by hand.

use super::boxes::{chunk, words};

/// A PNG whose header says this size, with next to nothing behind it.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len()).expect("small");
        let named = [&kind[..], body].concat();
        [&length.to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
    };
    // 8 bits of grey. The pixels: an empty stored block of zlib.
    let header = [&words(&[width, height])[..], &[8, 0, 0, 0, 0]].concat();
    let pixels = [0x78, 0x01, 0x01, 0, 0, 0xff, 0xff, 0, 0, 0, 1];
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], &chunk(b"IDAT", &pixels), &chunk(b"IEND", &[])].concat()
}

/// CRC-32 as PNG has it (ISO/IEC 15948, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// A lossless WebP of this size and nothing behind the header (RFC 9649, 3.4).
pub fn vp8l(width: u32, height: u32) -> Vec<u8> {
    let size = (width - 1) | ((height - 1) << 14);
    chunk(b"VP8L", &[&[0x2f], &size.to_le_bytes(), &[0; 64]])
}

/// RIFF around the chunks of a WebP.
pub fn webp(chunks: &[&[u8]]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WEBP", &chunks.concat()])
}

/// The chunk that says what else there is: a canvas of this size (RFC 9649, 2.7).
pub fn vp8x(width: u32, height: u32) -> Vec<u8> {
    chunk(b"VP8X", &[&[0; 4], &(width - 1).to_le_bytes()[..3], &(height - 1).to_le_bytes()[..3]])
}

/// A GIF of so many frames of one pixel each on a large canvas: twenty bytes a frame to write, a canvas to read.
pub fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let screen = [&b"GIF89a"[..], &width.to_le_bytes(), &height.to_le_bytes(), &[0x80, 0, 0, 0, 0, 0, 255, 255, 255]];
    // Graphic control: 10 ms, restore to background; a frame of 1x1; LZW of code size 2: clear, 0, end.
    let control = [0x21, 0xf9, 4, 0x08, 1, 0, 0, 0];
    let frame = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0];
    [&screen.concat()[..], &[&control[..], &frame].concat().repeat(frames), &[0x3b]].concat()
}

/// A progressive JPEG of so many scans that say nothing about each of its blocks (ITU-T T.81, G.1.2.2).
pub fn progressive_jpeg(side: u16, scans: usize) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).expect("small");
        [&[0xff, marker], &length.to_be_bytes()[..], body].concat()
    };
    let quantizers = segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let frame = segment(0xc2, &[&[8][..], &side.to_be_bytes(), &side.to_be_bytes(), &[1, 1, 0x11, 0]].concat());
    // One code of one bit each: DC difference 0, and a run of 2^14 empty blocks (EOB14) with 14 bits of how many more.
    let dc = segment(0xc4, &[&[0, 1][..], &[0; 15], &[0]].concat());
    let ac = segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0xe0]].concat());
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let first = [segment(0xda, &[1, 1, 0, 0, 0, 0]), vec![0; blocks.div_ceil(8)]].concat();
    let again = [segment(0xda, &[1, 1, 0, 1, 63, 0]), vec![0; blocks.div_ceil(1 << 14) * 2]].concat();
    [&[0xff, 0xd8][..], &quantizers, &frame, &dc, &ac, &first, &again.repeat(scans), &[0xff, 0xd9]].concat()
}
