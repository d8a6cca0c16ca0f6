//! TIFF by hand: what tests want said of pixels.

/// Where the data of a TIFF of these tests begin.
pub const DATA: usize = 512;

/// A number as the format has it.
pub fn number(of: usize) -> u32 {
    u32::try_from(of).expect("small")
}

/// A little-endian TIFF of one directory (TIFF 6.0, section 2): entries of tag, type, count and value or place, and the bytes
/// behind them.
pub fn tiff(entries: &[(u16, u16, u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend_from_slice(&u16::try_from(entries.len()).expect("few").to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend_from_slice(&[&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes()].concat());
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    out.resize(DATA, 0);
    out.extend_from_slice(data);
    out
}
