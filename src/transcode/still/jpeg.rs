//! Reads the parts of a JPEG's header (ITU-T T.81, annex B) that determine how it is decoded.

/// The content of the frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Progressive: all scans are needed for a picture, and all coefficients are kept in memory until then.
    pub(super) progressive: bool,
    /// 1 is grey, 3 is colour, 4 is for print (CMYK).
    pub(super) components: u8,
    /// How many samples all components together have for each pixel, in quarters: 6 if colour has half the resolution
    /// in both directions.
    quarters: u64,
}

/// Bytes of a coefficient in libav's decoder.
const COEFFICIENT_BYTES: u64 = 2;

impl Frame {
    /// Searches the segments for the frame header.
    pub(super) fn find(jpeg: &[u8]) -> Option<Self> {
        for (marker, body) in segments(jpeg) {
            // SOF0 to SOF15, except DHT, JPG and DAC, whose markers lie in the same range.
            if matches!(marker, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(&marker) {
                let [_, height, low, width, low_width, components, rest @ ..] = body else { return None };
                let factors = rest.chunks_exact(3).take(usize::from(*components)).map(|component| component[1]);
                let area = |factor: u8| u64::from(factor >> 4) * u64::from(factor & 15);
                let (sum, most) = factors.fold((0, 1), |(sum, most), f| (sum + area(f), most.max(area(f))));
                return Some(Self {
                    width: u32::from(u16::from_be_bytes([*width, *low_width])),
                    height: u32::from(u16::from_be_bytes([*height, *low])),
                    progressive: marker & 3 == 2,
                    components: *components,
                    quarters: (sum * 4).div_ceil(most),
                });
            }
        }
        None
    }

    /// The power of two by which each side is reduced during decoding, so that the picture has at most `max_pixels`.
    /// `None` if the smallest is still too large, or decoding would keep more than half of `memory_bytes`.
    pub(super) fn reduction(&self, max_pixels: u64, memory_bytes: u64) -> Option<u8> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let coefficients = if self.progressive { pixels * self.quarters / 4 * COEFFICIENT_BYTES } else { 0 };
        let reduction = (0..=MAX_REDUCTION).find(|reduction| pixels >> (2 * reduction) <= max_pixels)?;
        (coefficients <= memory_bytes / 2).then_some(reduction)
    }
}

/// A block of 8 × 8 coefficients becomes at least one pixel.
const MAX_REDUCTION: u8 = 3;

/// Marker and content of each segment with a length, up to the header of the first scan.
pub(super) fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg.strip_prefix(b"\xff\xd8").unwrap_or_default();
    std::iter::from_fn(move || {
        // Any number of fill bytes may precede a marker (B.1.1.2).
        while let [0xff, 0xff, ..] = rest {
            rest = &rest[1..];
        }
        let [0xff, marker, high, low, ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let body = rest.get(4..2 + length)?;
        rest = if *marker == 0xda { &[] } else { &rest[2 + length..] };
        Some((*marker, body))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(marker: u8, width: u16, height: u16, factors: [u8; 3]) -> Vec<u8> {
        let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
        let components = factors.iter().flat_map(|factor| [0, *factor, 0]).collect::<Vec<u8>>();
        [&b"\xff\xd8\xff\xe0\0\x04ab\xff\xff"[..], &[marker, 0, 17, 8, h[0], h[1], w[0], w[1], 3], &components].concat()
    }

    #[test]
    fn large_photos_are_reduced_while_they_are_decoded() {
        let find = |marker, width, height| Frame::find(&header(marker, width, height, [0x22, 0x11, 0x11]));
        let photo = find(0xc0, 16_320, 12_240).expect("a frame");
        assert_eq!((photo.width, photo.height, photo.progressive, photo.quarters), (16_320, 12_240, false, 6));
        let (most, memory) = (64 << 20, 3 << 30);
        assert_eq!(photo.reduction(most, memory), Some(1));
        assert_eq!(find(0xc0, 4000, 3000).and_then(|photo| photo.reduction(most, memory)), Some(0));
        assert_eq!(find(0xc0, 65_535, 65_535).and_then(|photo| photo.reduction(most, memory)), Some(3));
        // 600 MB of coefficients, and 12 GB.
        assert_eq!(find(0xc2, 16_320, 12_240).and_then(|photo| photo.reduction(most, memory)), Some(1));
        assert_eq!(find(0xc2, 65_535, 65_535).and_then(|photo| photo.reduction(most, memory)), None);
    }
}
