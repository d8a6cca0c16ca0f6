//! Puts the pictures of an overlay (`iovl`, ISO/IEC 23008-12, 6.6.2.2) on their canvas.

use super::cursor::Cursor;
use super::raster::{Decoded, Raster};
use super::{NoFrame, Undecoded, refused};
use crate::task::Limits;
use crate::transcode::av;

/// Most pictures of an overlay. Each may be as large as the limit allows, and is decoded.
const MOST_LAYERS: usize = 64;
/// Most times that each side is halved.
const MOST_REDUCTION: u8 = 6;

/// A canvas, and the pictures on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Overlay {
    /// Width and height of the canvas.
    pub(super) size: (u32, u32),
    /// Red, green, blue and opacity where no picture is.
    fill: [u8; 4],
    /// The items, from the lowest one up, and where their upper left corners are.
    layers: Vec<(u32, (i32, i32))>,
}

impl Overlay {
    /// From the item's data and the items that it refers to.
    pub(super) fn parse(data: &[u8], items: &[u32]) -> Option<Self> {
        let mut cursor = Cursor(data);
        cursor.u8().filter(|version| *version == 0)?;
        let wide = cursor.u8()? & 1 == 1;
        let mut fill = [0; 4];
        for channel in &mut fill {
            *channel = cursor.u16()?.to_be_bytes()[0];
        }
        let mut number = || if wide { cursor.u32() } else { cursor.u16().map(u32::from) };
        let size = (number()?, number()?);
        if size.0 == 0 || size.1 == 0 || items.len() > MOST_LAYERS {
            return None;
        }
        let signed = |number: u32| {
            let narrow = |number: u32| u16::try_from(number).map_or(0, |number| i32::from(number.cast_signed()));
            if wide { number.cast_signed() } else { narrow(number) }
        };
        let place = |id: &u32| Some((*id, (signed(number()?), signed(number()?))));
        let layers = items.iter().map(place).collect::<Option<Vec<_>>>()?;
        Some(Self { size, fill, layers })
    }

    /// The items of the pictures, from the lowest one up.
    pub(super) fn items(&self) -> impl Iterator<Item = u32> {
        self.layers.iter().map(|(id, _)| *id)
    }

    /// Draws the pictures. A canvas above `limits.pixels` is reduced, and they with it.
    ///
    /// # Errors
    /// Those of `decode`, and [`Undecoded::TooLarge`].
    pub(super) fn draw(
        &self,
        limits: &Limits,
        decode: &mut dyn FnMut(u32) -> Result<Decoded, NoFrame>,
    ) -> Result<Decoded, NoFrame> {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let reduction = (0..=MOST_REDUCTION).find(|reduction| pixels >> (2 * reduction) <= limits.pixels);
        let reduction = reduction.ok_or(NoFrame::Undecoded(Undecoded::TooLarge))?;
        let smaller = |side: u32| (side >> reduction).max(1);
        let mut canvas = Canvas::new((smaller(self.size.0), smaller(self.size.1)), self.fill);
        for (id, (x, y)) in &self.layers {
            let layer = decode(*id)?;
            let (width, height) = layer.shown();
            let orientation = layer.orientation.unwrap_or_default();
            let raster = layer.render(smaller(width.max(height)), orientation)?;
            canvas.put(&raster, (x >> reduction, y >> reduction));
        }
        let (width, height) = canvas.size;
        let frame = av::rgba_frame(width, height, &canvas.rgba).map_err(refused("copying the picture"))?;
        Ok(Decoded { coded: self.size, ..Decoded::plain(frame) })
    }
}

/// A picture in sRGB with straight opacity.
struct Canvas {
    size: (u32, u32),
    rgba: Vec<u8>,
}

impl Canvas {
    fn new(size: (u32, u32), fill: [u8; 4]) -> Self {
        Self { size, rgba: fill.repeat(size.0 as usize * size.1 as usize) }
    }

    /// Draws a picture over what is there; the parts outside are left out.
    fn put(&mut self, raster: &Raster, (x, y): (i32, i32)) {
        let (width, height) = raster.size();
        let frame = raster.frame();
        let lines = frame.data(0).chunks(frame.stride(0).max(1)).take(height as usize);
        for (row, line) in (i64::from(y)..).zip(lines) {
            let Some(row) = u32::try_from(row).ok().filter(|row| *row < self.size.1) else { continue };
            for (column, pixel) in (i64::from(x)..).zip(line.as_chunks::<4>().0.iter().take(width as usize)) {
                let Some(column) = u32::try_from(column).ok().filter(|column| *column < self.size.0) else { continue };
                let at = (row as usize * self.size.0 as usize + column as usize) * 4;
                if let Some(below) = self.rgba.get_mut(at..at + 4) {
                    draw_over(below, *pixel);
                }
            }
        }
    }
}

/// Porter and Duff's *over* with straight opacity.
fn draw_over(below: &mut [u8], above: [u8; 4]) {
    let (over, under) = (u32::from(above[3]) * 255, u32::from(below[3]) * u32::from(u8::MAX - above[3]));
    let whole = over + under;
    for (value, upper) in below.iter_mut().zip(&above[..3]) {
        let mixed = (u32::from(*upper) * over + u32::from(*value) * under + whole / 2).checked_div(whole);
        *value = mixed.map_or(0, |mixed| u8::try_from(mixed).unwrap_or(u8::MAX));
    }
    if let Some(opacity) = below.get_mut(3) {
        *opacity = u8::try_from((whole + 127) / 255).unwrap_or(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_may_be_negative_and_wide() {
        let data = [&[0, 0][..], &[0xff, 0xff, 0, 0, 0x80, 0, 0xff, 0xff], &[0, 9, 0, 8], &[0xff, 0xff, 0, 2]].concat();
        let overlay = Overlay::parse(&data, &[7]).expect("an overlay");
        assert_eq!((overlay.size, overlay.fill), ((9, 8), [255, 0, 128, 255]));
        assert_eq!(overlay.layers, [(7, (-1, 2))]);
        let sides = [9_u32, 8, u32::MAX, 70_000].map(u32::to_be_bytes).concat();
        let wide = [&[0, 1][..], &[0; 8], &sides].concat();
        assert_eq!(Overlay::parse(&wide, &[7]).expect("an overlay").layers, [(7, (-1, 70_000))]);
        assert_eq!(Overlay::parse(&wide, &[7, 8]), None);
        assert_eq!(Overlay::parse(&[&[0, 0][..], &[0; 12]].concat(), &[]), None);
    }

    #[test]
    fn what_is_half_opaque_is_mixed() {
        let mut below = [0, 0, 0, 255];
        draw_over(&mut below, [255, 100, 0, 128]);
        assert_eq!(below, [128, 50, 0, 255]);
        let mut nothing = [9, 9, 9, 0];
        draw_over(&mut nothing, [1, 2, 3, 128]);
        assert_eq!(nothing, [1, 2, 3, 128]);
        draw_over(&mut nothing, [0, 0, 0, 0]);
        assert_eq!(nothing, [1, 2, 3, 128]);
    }
}
