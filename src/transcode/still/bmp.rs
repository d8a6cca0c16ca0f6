//! Reads the size of a BMP from its header: Windows uses signed 32-bit numbers, OS/2 1.x uses 16-bit ones.

/// Width and height. A negative height means that rows are stored from top to bottom (BITMAPINFOHEADER, `biHeight`).
pub(super) fn size(head: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?)));
    let (width, height) = if word(14)? == CORE_HEADER_BYTES {
        (half(18)?, half(20)?)
    } else {
        (word(18)?.cast_signed().unsigned_abs(), word(22)?.cast_signed().unsigned_abs())
    };
    (width > 0 && height > 0).then_some((width, height))
}

/// Size of BITMAPCOREHEADER (OS/2 1.x).
const CORE_HEADER_BYTES: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_from_the_top_and_short_headers() {
        let header = |body: &[u8]| [&[0; 14][..], body].concat();
        let top_down = [&40_u32.to_le_bytes()[..], &32_i32.to_le_bytes(), &(-24_i32).to_le_bytes()].concat();
        assert_eq!(size(&header(&top_down)), Some((32, 24)));
        let core = [&12_u32.to_le_bytes()[..], &32_u16.to_le_bytes(), &24_u16.to_le_bytes()].concat();
        assert_eq!(size(&header(&core)), Some((32, 24)));
        assert_eq!(size(&[0; 20]), None);
    }
}
