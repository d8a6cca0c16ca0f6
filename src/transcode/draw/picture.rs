//! Frames as people should see them: upright, square pixels, BT.709, no transparency. And the thumbnail.

use ffmpeg_next as ff;

use crate::error::Fault;
use crate::transcode::av::{self, PictureFilter};
use crate::vocabulary::Orientation;

/// The filters that turn a picture upright.
pub(in crate::transcode) fn upright(orientation: Orientation) -> String {
    let mirror = if orientation.mirrored { ",hflip" } else { "" };
    let turn = match orientation.rotation_degrees {
        90 => ",transpose=clock",
        180 => ",hflip,vflip",
        270 => ",transpose=cclock",
        _ => "",
    };
    format!("{mirror}{turn}")
}

/// Width and height before turning, of a picture that should have this size after it.
pub(in crate::transcode) fn before_turning((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if orientation.rotation_degrees % 180 == 90 { (height, width) } else { (width, height) }
}

/// The transfer, matrix and primaries of BT.2100 in zscale's words.
pub(in crate::transcode) fn tone_map(width: u32, height: u32, transfer: u32) -> String {
    let transfer = if transfer == 16 { "smpte2084" } else { "arib-std-b67" };
    // Light is added up and mapped in linear RGB; hable keeps shadows and skin as they are and rolls off highlights.
    format!(
        "zscale=w={width}:h={height}:tin={transfer}:min=2020_ncl:pin=2020:t=linear:npl=100,format=gbrpf32le,\
         zscale=p=709,tonemap=tonemap=hable:desat=0,zscale=t=709:m=709:r=tv"
    )
}

/// Lays a picture with transparency on white, as chat programs show it; others are returned as they are.
///
/// # Errors
/// Where the picture's format cannot be converted.
pub(in crate::transcode) fn flatten(frame: ff::frame::Video) -> Result<ff::frame::Video, Fault> {
    if !av::has_alpha(&frame) {
        return Ok(frame);
    }
    let pts = frame.pts();
    let mut rgba = PictureFilter::apply(&frame, "format=rgba").map_err(av::reading("converting a picture"))?;
    rgba.set_pts(pts);
    av::make_writable(&mut rgba).map_err(av::writing("copying a picture"))?;
    let (width, height, stride) = (rgba.width() as usize, rgba.height() as usize, rgba.stride(0));
    let data = rgba.data_mut(0);
    for row in data.chunks_mut(stride).take(height) {
        for pixel in row[..width * 4].chunks_exact_mut(4) {
            let alpha = u16::from(pixel[3]);
            for value in &mut pixel[..3] {
                let mixed = (u16::from(*value) * alpha + 255 * (255 - alpha) + 127) / 255;
                *value = u8::try_from(mixed).unwrap_or(255);
            }
            pixel[3] = 255;
        }
    }
    Ok(rgba)
}

/// A JPEG no larger than `max_side` on its longest side, of a frame that is already upright with square pixels.
///
/// # Errors
/// Where the encoder is missing.
pub(in crate::transcode) fn thumbnail(
    frame: &ff::frame::Video,
    (max_side, quality): (u32, u8),
) -> Result<(Vec<u8>, u32, u32), Fault> {
    let (width, height) = fit((frame.width(), frame.height()), max_side);
    let chain = format!("scale={width}:{height}:out_color_matrix=bt601:out_range=pc,format=yuvj420p");
    let small = PictureFilter::apply(frame, &chain).map_err(av::writing("scaling the thumbnail"))?;
    let bytes = av::encode_still("mjpeg", &small, Some(quality)).map_err(av::writing("encoding the thumbnail"))?;
    Ok((bytes, width, height))
}

/// The same shape within a square of `max_side`, never larger than it was, never without a side.
pub(in crate::transcode) fn fit((width, height): (u32, u32), max_side: u32) -> (u32, u32) {
    let long = u64::from(width.max(height).max(1));
    let scale = |side: u32| {
        let scaled = (u64::from(side) * u64::from(max_side) + long / 2) / long;
        u32::try_from(scaled).unwrap_or(max_side).max(1)
    };
    if long <= u64::from(max_side) { (width.max(1), height.max(1)) } else { (scale(width), scale(height)) }
}

/// How much there is to see in a frame: the standard deviation of its luma, over a grid of samples.
pub(in crate::transcode) fn detail(frame: &ff::frame::Video) -> f64 {
    let (width, height, stride) = (frame.width() as usize, frame.height() as usize, frame.stride(0));
    let luma = frame.data(0);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for y in (0..height).step_by((height / 48).max(1)) {
        for x in (0..width).step_by((width / 48).max(1)) {
            let value = f64::from(luma.get(y * stride + x).copied().unwrap_or(0));
            (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
        }
    }
    let mean = sum / f64::max(count, 1.0);
    (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt()
}

/// Enough to see for a poster.
const ENOUGH_DETAIL: f64 = 18.0;
/// Where a poster is looked for first: later than a fade-in, earlier than anybody gets bored.
const PREFERRED_MS: i64 = 1000;
/// After this the best so far is taken.
const LATEST_MS: i64 = 15_000;

/// Picks the poster among the frames that pass.
#[derive(Default)]
pub(in crate::transcode) struct PosterPicker {
    best: Option<(f64, ff::frame::Video)>,
    looked_ms: Option<i64>,
    done: bool,
}

impl PosterPicker {
    /// Looks at an 8-bit planar YUV frame, four times a second.
    pub(in crate::transcode) fn offer(&mut self, frame: &ff::frame::Video, ms: i64) {
        if self.done || self.looked_ms.is_some_and(|last| ms < last + 250) {
            return;
        }
        self.looked_ms = Some(ms);
        let score = detail(frame);
        let good = score >= ENOUGH_DETAIL;
        // A good frame at the preferred time beats a better one at the very start.
        let better = self.best.as_ref().is_none_or(|(best, _)| score > *best) || (good && ms >= PREFERRED_MS);
        if better {
            self.best = Some((score, av::reference(frame)));
        }
        self.done = (good && ms >= PREFERRED_MS) || ms >= LATEST_MS;
    }

    /// Whether nothing better will be found.
    pub(in crate::transcode) const fn is_done(&self) -> bool {
        self.done
    }

    /// The frame that was picked.
    pub(in crate::transcode) fn into_frame(self) -> Option<ff::frame::Video> {
        self.best.map(|(_, frame)| frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_keep_their_shape() {
        assert_eq!(fit((1920, 1080), 640), (640, 360));
        assert_eq!(fit((1080, 1920), 640), (360, 640));
        assert_eq!(fit((10, 20), 640), (10, 20));
        assert_eq!(fit((10_000, 1), 640), (640, 1));
    }

    #[test]
    fn mirroring_comes_before_turning() {
        assert_eq!(upright(Orientation { rotation_degrees: 270, mirrored: true }), ",hflip,transpose=cclock");
        assert_eq!(upright(Orientation::default()), "");
    }
}
