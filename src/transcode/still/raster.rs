//! A decoded picture as people should see it: cropped, in sRGB, upright, of the wanted size; and the files made of it.

use ffmpeg_next as ff;

use super::super::av::{self, PictureFilter};
use super::super::picture;
use super::heif_property::Crop;
use super::{NoFrame, icc, refused};
use crate::error::Fault;
use crate::events::Orientation;

/// What a decoder found in the file.
pub(super) struct Decoded {
    /// The colours, in whatever format the decoder has; perhaps smaller than coded.
    pub(super) frame: ff::frame::Video,
    /// The opacity where it is a picture of its own: its luma.
    pub(super) alpha: Option<ff::frame::Video>,
    /// Whether colours were multiplied by the opacity.
    pub(super) premultiplied: bool,
    /// Width and height as coded.
    pub(super) coded: (u32, u32),
    /// The part of the coded picture that is shown.
    pub(super) crop: Option<Crop>,
    /// How it is turned, by the container; none where EXIF decides.
    pub(super) orientation: Option<Orientation>,
    /// The ICC profile of its colours.
    pub(super) icc: Option<Vec<u8>>,
}

/// Upright sRGB with straight alpha: four bytes a pixel, without padding.
pub(super) struct Raster {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rgba: Vec<u8>,
}

impl Decoded {
    /// A picture without anything particular.
    pub(super) fn plain(frame: ff::frame::Video) -> Self {
        let (coded, icc) = ((frame.width(), frame.height()), av::icc_profile(&frame));
        Self { frame, alpha: None, premultiplied: false, coded, crop: None, orientation: None, icc }
    }

    /// Width and height of what is shown, before it is turned.
    pub(super) fn shown(&self) -> (u32, u32) {
        self.crop.map_or(self.coded, |crop| (crop.width, crop.height))
    }

    /// The picture with no side longer than `max_side`.
    pub(super) fn render(mut self, max_side: u32, orientation: Orientation) -> Result<Raster, NoFrame> {
        let (width, height) = picture::fit(self.shown(), max_side);
        let crop = self.crop_filter();
        av::assume_color(&mut self.frame);
        let scale = if self.icc.is_some() { None } else { picture::to_srgb(width, height, &self.frame) };
        let scale = scale.unwrap_or_else(|| format!("scale={width}:{height}"));
        let frame = PictureFilter::apply(&self.frame, &format!("{crop}{scale},setsar=1,format=rgba"))
            .map_err(refused("converting the picture"))?;
        let mut rgba = packed(&frame, 4);
        if let Some(mut alpha) = self.alpha.take() {
            let plane = opacity(&mut alpha, &format!("{crop}scale={width}:{height}"))?;
            for (pixel, alpha) in rgba.as_chunks_mut::<4>().0.iter_mut().zip(plane) {
                pixel[3] = alpha;
            }
        }
        if self.premultiplied {
            unmultiply(&mut rgba);
        }
        if let Some(profile) = &self.icc {
            icc::to_srgb(&mut rgba, profile);
        }
        Ok(Raster { width: frame.width(), height: frame.height(), rgba }.turned(orientation))
    }

    /// The filter that leaves the shown part, of a frame that may be smaller than coded; with a comma, or nothing.
    fn crop_filter(&self) -> String {
        let Some(crop) = self.crop.filter(|crop| (crop.width, crop.height) != self.coded) else { return String::new() };
        let scaled = |value: u32, coded: u32, is: u32| {
            let scaled = u64::from(value) * u64::from(is) / u64::from(coded.max(1));
            u32::try_from(scaled).unwrap_or(0)
        };
        let (coded_width, coded_height) = self.coded;
        let (is_width, is_height) = (self.frame.width(), self.frame.height());
        let (x, y) = (scaled(crop.x, coded_width, is_width), scaled(crop.y, coded_height, is_height));
        let width = scaled(crop.width, coded_width, is_width).max(1).min(is_width - x.min(is_width - 1));
        let height = scaled(crop.height, coded_height, is_height).max(1).min(is_height - y.min(is_height - 1));
        format!("crop={width}:{height}:{x}:{y}:exact=1,")
    }
}

/// The opacity out of a picture's luma, one byte a pixel.
fn opacity(alpha: &mut ff::frame::Video, scale: &str) -> Result<Vec<u8>, NoFrame> {
    let color = av::frame_color(alpha);
    let limited = color.range == 1;
    // Taken for full range, so that the numbers stay as they are.
    av::set_frame_color(alpha, av::FrameColor { range: 2, matrix: 6, ..color });
    let grey = PictureFilter::apply(alpha, &format!("{scale},format=gray")).map_err(refused("converting opacity"))?;
    let mut plane = packed(&grey, 1);
    if limited {
        for value in &mut plane {
            let expanded = (u32::from(value.saturating_sub(16)) * 255 + 109) / 219;
            *value = u8::try_from(expanded).unwrap_or(u8::MAX);
        }
    }
    Ok(plane)
}

fn unmultiply(rgba: &mut [u8]) {
    for [red, green, blue, alpha] in rgba.as_chunks_mut::<4>().0 {
        let alpha = u32::from(*alpha);
        if alpha > 0 {
            for value in [red, green, blue] {
                *value = u8::try_from((u32::from(*value) * 255 + alpha / 2) / alpha).unwrap_or(u8::MAX);
            }
        }
    }
}

/// The rows of a frame's only plane, without padding.
fn packed(frame: &ff::frame::Video, pixel_bytes: usize) -> Vec<u8> {
    let (row, height) = (frame.width() as usize * pixel_bytes, frame.height() as usize);
    frame.data(0).chunks(frame.stride(0).max(1)).take(height).flat_map(|line| &line[..row]).copied().collect()
}

impl Raster {
    /// Mirrored first, then turned.
    fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::default() {
            return self;
        }
        let (width, height) = (self.width as usize, self.height as usize);
        let lies = orientation.rotation_degrees % 180 == 90;
        let (to_width, to_height) = if lies { (height, width) } else { (width, height) };
        let mut rgba = Vec::with_capacity(self.rgba.len());
        let pixels = self.rgba.as_chunks::<4>().0;
        for y in 0..to_height {
            for x in 0..to_width {
                let (from_x, from_y) = match orientation.rotation_degrees {
                    90 => (y, height - 1 - x),
                    180 => (width - 1 - x, height - 1 - y),
                    270 => (width - 1 - y, x),
                    _ => (x, y),
                };
                let from_x = if orientation.mirrored { width - 1 - from_x } else { from_x };
                rgba.extend_from_slice(&pixels[from_y * width + from_x]);
            }
        }
        let (width, height) = if lies { (self.height, self.width) } else { (self.width, self.height) };
        Self { width, height, rgba }
    }

    /// Whether anything can be seen through it.
    pub(super) fn is_opaque(&self) -> bool {
        self.rgba.as_chunks::<4>().0.iter().all(|pixel| pixel[3] == u8::MAX)
    }

    /// As a frame.
    ///
    /// # Errors
    /// Running out of memory.
    pub(super) fn frame(&self) -> Result<ff::frame::Video, Fault> {
        av::rgba_frame(self.width, self.height, &self.rgba).map_err(av::writing("copying a picture"))
    }

    /// A frame without transparency: on white.
    ///
    /// # Errors
    /// Running out of memory.
    pub(super) fn on_white(&self) -> Result<ff::frame::Video, Fault> {
        picture::flatten(self.frame()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns and three rows, each pixel its own number.
    fn numbered() -> Raster {
        Raster { width: 2, height: 3, rgba: (0..6).flat_map(|n| [n; 4]).collect() }
    }

    #[test]
    fn a_raster_is_mirrored_first_and_turned_then() {
        let cases: [(u16, bool, (u32, u32), [u8; 6]); 5] = [
            (90, false, (3, 2), [4, 2, 0, 5, 3, 1]),
            (180, false, (2, 3), [5, 4, 3, 2, 1, 0]),
            (270, false, (3, 2), [1, 3, 5, 0, 2, 4]),
            (0, true, (2, 3), [1, 0, 3, 2, 5, 4]),
            (90, true, (3, 2), [5, 3, 1, 4, 2, 0]),
        ];
        for (rotation_degrees, mirrored, size, expected) in cases {
            let turned = numbered().turned(Orientation { rotation_degrees, mirrored });
            assert_eq!((turned.width, turned.height), size, "{rotation_degrees} {mirrored}");
            let numbers: Vec<u8> = turned.rgba.iter().step_by(4).copied().collect();
            assert_eq!(numbers, expected, "{rotation_degrees} {mirrored}");
        }
    }

    #[test]
    fn colours_that_were_multiplied_by_their_opacity_are_divided_again() {
        let mut rgba = [100, 50, 0, 128, 7, 7, 7, 0, 1, 2, 3, 255];
        unmultiply(&mut rgba);
        assert_eq!(rgba, [199, 100, 0, 128, 7, 7, 7, 0, 1, 2, 3, 255]);
    }
}
