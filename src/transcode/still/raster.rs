//! A decoded picture converted for display: cropped, in sRGB, upright, in the wanted size; and the files made from it.

use ffmpeg_next as ff;

use super::heif_property::Crop;
use super::{NoFrame, icc, refused};
use crate::error::Fault;
use crate::transcode::av::{self, PictureFilter};
use crate::transcode::draw::picture;
use crate::vocabulary::Orientation;

/// What a decoder found in the file.
pub(super) struct Decoded {
    /// The colours in the decoder's pixel format, possibly reduced.
    pub(super) frame: ff::frame::Video,
    /// The luma of this frame is the opacity, if that is a picture of its own.
    pub(super) alpha: Option<ff::frame::Video>,
    /// Whether the colours are multiplied by the opacity.
    pub(super) premultiplied: bool,
    /// Width and height as coded.
    pub(super) coded: (u32, u32),
    /// The part of the coded picture that is shown.
    pub(super) crop: Option<Crop>,
    /// The orientation from the container; `None` if Exif determines it.
    pub(super) orientation: Option<Orientation>,
    /// The ICC profile of its colours.
    pub(super) icc: Option<Vec<u8>>,
    /// Whether the file is cut off within the picture.
    pub(super) truncated: bool,
}

/// Upright sRGB with straight alpha, four bytes for each pixel.
pub(super) struct Raster {
    frame: ff::frame::Video,
    /// Whether every pixel is opaque.
    opaque: bool,
}

impl Decoded {
    /// A picture without opacity, crop, orientation or profile of its own.
    pub(super) fn plain(frame: ff::frame::Video) -> Self {
        let (coded, icc) = ((frame.width(), frame.height()), av::icc_profile(&frame));
        Self { frame, alpha: None, premultiplied: false, coded, crop: None, orientation: None, icc, truncated: false }
    }

    /// Width and height of the shown part, before rotation.
    pub(super) fn shown(&self) -> (u32, u32) {
        self.crop.map_or(self.coded, |crop| (crop.width, crop.height))
    }

    /// Converts the picture, with its longer side at most `max_side`.
    pub(super) fn render(mut self, max_side: u32, orientation: Orientation) -> Result<Raster, NoFrame> {
        let (width, height) = picture::fit(self.shown(), max_side);
        let crop = self.crop_filter();
        av::assume_color(&mut self.frame);
        let scale = if self.icc.is_some() { None } else { picture::to_srgb(width, height, &self.frame) };
        let scale = scale.unwrap_or_else(|| format!("scale={width}:{height}"));
        let turn = picture::upright(orientation);
        let see_through = self.alpha.is_some() || av::has_alpha(&self.frame);
        let chain = format!("{crop}{scale}{turn},setsar=1,format=rgba");
        let mut frame = PictureFilter::apply(&self.frame, &chain).map_err(refused("converting the picture"))?;
        av::make_writable(&mut frame).map_err(refused("copying the picture"))?;
        if let Some(mut alpha) = self.alpha.take() {
            put_alpha(&mut frame, &mut alpha, &format!("{crop}scale={width}:{height}{turn}"))?;
        }
        if self.premultiplied {
            rows(&mut frame).for_each(unmultiply);
        }
        if let Some(transform) = self.icc.as_deref().and_then(icc::Transform::new) {
            rows(&mut frame).for_each(|row| transform.apply(row));
        }
        let color = av::FrameColor { range: 2, primaries: 1, transfer: 13, matrix: 0 };
        av::set_frame_color(&mut frame, color);
        let opaque = !see_through || rows(&mut frame).all(|row| row.as_chunks::<4>().0.iter().all(|p| p[3] == u8::MAX));
        Ok(Raster { frame, opaque })
    }

    /// The filter that crops to the shown part, scaled to a frame that may be reduced; with a comma, or empty.
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

/// Copies the luma of another frame into the alpha channel.
fn put_alpha(frame: &mut ff::frame::Video, alpha: &mut ff::frame::Video, scale: &str) -> Result<(), NoFrame> {
    let color = av::frame_color(alpha);
    let limited = color.range == 1;
    // Tagged as full range, so that its values are not converted.
    av::set_frame_color(alpha, av::FrameColor { range: 2, matrix: 6, ..color });
    let grey = PictureFilter::apply(alpha, &format!("{scale},format=gray")).map_err(refused("converting opacity"))?;
    let lines = grey.data(0).chunks(grey.stride(0).max(1));
    for (row, line) in rows(frame).zip(lines) {
        for (pixel, value) in row.as_chunks_mut::<4>().0.iter_mut().zip(line) {
            let expanded = (u32::from(value.saturating_sub(16)) * 255 + 109) / 219;
            pixel[3] = if limited { u8::try_from(expanded).unwrap_or(u8::MAX) } else { *value };
        }
    }
    Ok(())
}

/// The rows of an RGBA frame, without padding.
fn rows(frame: &mut ff::frame::Video) -> impl Iterator<Item = &mut [u8]> {
    let (row, height, stride) = (frame.width() as usize * 4, frame.height() as usize, frame.stride(0).max(1));
    frame.data_mut(0).chunks_mut(stride).take(height).filter_map(move |line| line.get_mut(..row))
}

/// Restores colours that were multiplied by their opacity.
pub(super) fn unmultiply(row: &mut [u8]) {
    for [red, green, blue, alpha] in row.as_chunks_mut::<4>().0 {
        let alpha = u32::from(*alpha);
        for value in [red, green, blue] {
            // An invisible pixel has no colour to restore.
            let straight = (u32::from(*value) * 255 + alpha / 2).checked_div(alpha);
            *value = straight.map_or(*value, |value| u8::try_from(value).unwrap_or(u8::MAX));
        }
    }
}

impl Raster {
    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.frame.width(), self.frame.height())
    }

    /// Whether every pixel is opaque.
    pub(super) const fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// The picture with its alpha channel.
    pub(super) const fn frame(&self) -> &ff::frame::Video {
        &self.frame
    }

    /// The picture drawn over white.
    ///
    /// # Errors
    /// A lack of memory.
    pub(super) fn on_white(&self) -> Result<ff::frame::Video, Fault> {
        let frame = av::reference(&self.frame);
        if self.opaque { Ok(frame) } else { picture::flatten(frame) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_multiplied_by_their_opacity_are_restored() {
        let mut row = [100, 50, 0, 128, 7, 7, 7, 0, 1, 2, 3, 255];
        unmultiply(&mut row);
        assert_eq!(row, [199, 100, 0, 128, 7, 7, 7, 0, 1, 2, 3, 255]);
    }
}
