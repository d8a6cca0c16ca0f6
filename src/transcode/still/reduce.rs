//! Reduces a picture while it is decoded row by row or tile by tile, so that a picture above `limits.pixels` is never
//! in memory as a whole.

use super::raster::Decoded;
use super::{NoFrame, Undecoded, refused};
use crate::task::Limits;
use crate::transcode::av;

/// Most pixels of a reduced picture. More would not be seen: renditions have at most 4096 × 4096.
const MOST_REDUCED: u64 = 1 << 24;
/// Pixels that may be read for each one of `limits.pixels`. Beyond that, decoding would take too long.
pub(super) const MOST_READ: u64 = 16;
/// Largest factor: the sums of more pixels would not fit into 32 bits.
const MOST_FACTOR: u32 = 256;

/// The mean of each square of `factor` × `factor` pixels.
pub(super) struct Reduction {
    factor: u32,
    /// Of the whole picture.
    size: (u32, u32),
    /// Width of the reduced picture.
    columns: usize,
    /// Sums of red, green and blue, each multiplied by the opacity, and of the opacity; and how many pixels they are of.
    squares: Vec<([u32; 4], u32)>,
}

/// Whether a picture above `limits.pixels` may be decoded in parts.
pub(super) fn may_be_read(size: (u32, u32), limits: &Limits) -> bool {
    pixels(size) <= limits.pixels.saturating_mul(MOST_READ)
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

impl Reduction {
    /// For a picture of this size.
    ///
    /// # Errors
    /// [`Undecoded::TooLarge`] if even reading it would take too long, [`Undecoded::Damaged`] if it has no pixels.
    pub(super) fn new((width, height): (u32, u32), limits: &Limits) -> Result<Self, NoFrame> {
        let whole = pixels((width, height));
        if whole == 0 {
            return Err(NoFrame::Undecoded(Undecoded::Damaged));
        }
        let most = limits.pixels.clamp(1, MOST_REDUCED);
        let reduced = |factor: &u32| pixels((width.div_ceil(*factor), height.div_ceil(*factor))) <= most;
        let factor = (1..=MOST_FACTOR).find(reduced).filter(|_| may_be_read((width, height), limits));
        let factor = factor.ok_or(NoFrame::Undecoded(Undecoded::TooLarge))?;
        let (columns, rows) = (width.div_ceil(factor) as usize, height.div_ceil(factor) as usize);
        Ok(Self { factor, size: (width, height), columns, squares: vec![Default::default(); columns * rows] })
    }

    /// Adds the pixel at this place: red, green, blue and straight opacity. A place outside of the picture is ignored.
    pub(super) fn put(&mut self, x: u32, y: u32, [red, green, blue, alpha]: [u8; 4]) {
        if x >= self.size.0 || y >= self.size.1 {
            return;
        }
        let at = (y / self.factor) as usize * self.columns + (x / self.factor) as usize;
        let Some((sums, count)) = self.squares.get_mut(at) else { return };
        let opacity = u32::from(alpha);
        for (sum, value) in sums.iter_mut().zip([red, green, blue]) {
            *sum += u32::from(value) * opacity;
        }
        sums[3] += opacity;
        *count += 1;
    }

    /// The reduced picture. What was not put, because the file breaks off, is black.
    pub(super) fn finish(self) -> Result<Decoded, NoFrame> {
        let rows = self.squares.len() / self.columns;
        let mut rgba = Vec::with_capacity(self.squares.len() * 4);
        for (sums, count) in &self.squares {
            let mean = |sum: u32, of: u32| u8::try_from((sum + of / 2).checked_div(of).unwrap_or(0)).unwrap_or(u8::MAX);
            let opacity = if *count == 0 { u8::MAX } else { mean(sums[3], *count) };
            rgba.extend(sums[..3].iter().map(|sum| mean(*sum, sums[3])).chain([opacity]));
        }
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let frame = av::rgba_frame(side(self.columns), side(rows), &rgba).map_err(refused("copying the picture"))?;
        Ok(Decoded { coded: self.size, ..Decoded::plain(frame) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(pixels: u64) -> Limits {
        Limits { pixels, ..crate::config::load(None, [], &[]).expect("defaults").limits }
    }

    #[test]
    fn squares_become_their_mean_and_what_is_missing_is_black() {
        let mut reduction = Reduction::new((5, 2), &limits(3)).ok().expect("small enough");
        assert_eq!((reduction.factor, reduction.columns), (2, 3));
        for (x, value) in [(0, 10), (1, 20), (2, 255), (7, 9)] {
            reduction.put(x, 0, [value, 0, 0, if x == 2 { 0 } else { 255 }]);
        }
        let decoded = reduction.finish().ok().expect("a picture");
        assert_eq!((decoded.frame.width(), decoded.frame.height(), decoded.coded), (3, 1, (5, 2)));
        assert_eq!(decoded.frame.data(0)[..12], [15, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn the_sums_of_the_largest_square_fit() {
        let most = u64::from(u8::MAX) * u64::from(u8::MAX) * u64::from(MOST_FACTOR).pow(2);
        assert!(u32::try_from(most + most / 2).is_err() && u32::try_from(most).is_ok());
    }

    #[test]
    fn a_picture_that_would_take_too_long_is_not_read() {
        let new = |side| Reduction::new((side, side), &limits(1 << 26));
        assert!(new(32_768).is_ok_and(|reduction| reduction.factor == 8));
        assert!(matches!(new(32_769), Err(NoFrame::Undecoded(Undecoded::TooLarge))));
        assert!(matches!(new(0), Err(NoFrame::Undecoded(Undecoded::Damaged))));
    }
}
