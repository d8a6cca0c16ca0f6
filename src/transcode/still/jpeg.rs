//! The header of a JPEG (ITU-T T.81, annex B), as far as it decides how it is decoded.

/// What the frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    /// All scans are needed before there is a picture, and all coefficients are kept until then.
    pub(super) progressive: bool,
    /// 1 is grey, 3 is colour, 4 is for printing.
    pub(super) components: u8,
    /// How many samples all components have for each of the picture's pixels, in quarters: 6 where colour is halved both
    /// ways.
    quarters: u64,
}

/// Bytes of one coefficient in libav's decoder.
const COEFFICIENT_BYTES: u64 = 2;

impl Frame {
    /// Walks the segments up to the frame header.
    pub(super) fn find(jpeg: &[u8]) -> Option<Self> {
        for (marker, body) in segments(jpeg) {
            // SOF0 to SOF15, without DHT, JPG and DAC, which stand between them.
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

    /// By which power of two each side is made smaller while it is decoded, so that the picture stays within `max_pixels`;
    /// none where not even the smallest does, or what has to be kept on the way is more than half of `memory_bytes`.
    pub(super) fn reduction(&self, max_pixels: u64, memory_bytes: u64) -> Option<u8> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let coefficients = if self.progressive { pixels * self.quarters / 4 * COEFFICIENT_BYTES } else { 0 };
        let reduction = (0..=MAX_REDUCTION).find(|reduction| pixels >> (2 * reduction) <= max_pixels)?;
        (coefficients <= memory_bytes / 2).then_some(reduction)
    }
}

/// A block of 8 × 8 coefficients becomes one pixel at least.
const MAX_REDUCTION: u8 = 3;

/// Marker and content of each segment with a length, up to the first scan's.
pub(super) fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg.strip_prefix(b"\xff\xd8").unwrap_or_default();
    std::iter::from_fn(move || {
        // Any number of fill bytes may stand in front of a marker (B.1.1.2).
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
    fn large_photos_are_made_smaller_while_they_are_decoded() {
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
