//! Converts frames for display: upright, square pixels, BT.709, no transparency. Also makes the thumbnail and picks the
//! poster.

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

/// The size before rotation of a picture that has this size after it.
pub(in crate::transcode) fn before_turning((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if orientation.rotation_degrees % 180 == 90 { (height, width) } else { (width, height) }
}

/// Luminance of reference white in cd/m² (ITU-R BT.2408, table 1), which becomes white on the screen.
const REFERENCE_WHITE_NITS: f64 = 203.0;
/// Luminance above which highlights are clipped: the nominal peak of HLG (ITU-R BT.2100, table 5), for which most PQ
/// video is graded as well.
const PEAK_NITS: f64 = 1000.0;
/// Light up to this part of reference white is not changed. Above it, it is compressed gradually up to the peak.
const KNEE: f64 = 0.75;

/// The filters that convert high dynamic range to BT.709 at this size.
pub(in crate::transcode) fn tone_map(width: u32, height: u32, color: av::FrameColor) -> String {
    let transfer = if color.transfer == 16 { "smpte2084" } else { "arib-std-b67" };
    let primaries = primaries_name(color.primaries).unwrap_or("2020");
    let matrix = if matches!(color.matrix, 0 | 2) { "2020_ncl" } else { matrix_name(color.matrix) };
    let peak = PEAK_NITS / REFERENCE_WHITE_NITS;
    // Scaling and tone mapping are done in linear RGB, where 1 is reference white.
    format!(
        "zscale=w={width}:h={height}:tin={transfer}:min={matrix}:pin={primaries}:t=linear:npl={REFERENCE_WHITE_NITS},\
         format=gbrpf32le,zscale=p=709,tonemap=tonemap=mobius:param={KNEE}:peak={peak:.4}:desat=0,\
         zscale=t=709:m=709:r=tv"
    )
}

/// The filter that converts the wider primaries of BT.2020 or P3 to BT.709 at this size; `None` if the frame has others
/// or does not name them.
pub(in crate::transcode) fn primaries(width: u32, height: u32, color: av::FrameColor) -> Option<String> {
    let from = primaries_name(color.primaries)?;
    let transfer = if color.transfer == 13 { "iec61966-2-1" } else { "709" };
    let matrix = matrix_name(color.matrix);
    Some(format!("zscale=w={width}:h={height}:tin={transfer}:min={matrix}:pin={from}:t={transfer}:m=709:p=709:r=tv"))
}

/// zscale's name of primaries that are wider than BT.709, by their number in ITU-T H.273.
const fn primaries_name(number: u32) -> Option<&'static str> {
    match number {
        9 => Some("2020"),
        11 => Some("smpte431"),
        12 => Some("smpte432"),
        _ => None,
    }
}

/// zscale's name of a matrix, by its number in ITU-T H.273; BT.709 if zscale does not know the matrix.
const fn matrix_name(number: u32) -> &'static str {
    match number {
        5 => "470bg",
        6 => "170m",
        9 | 10 => "2020_ncl",
        _ => "709",
    }
}

/// The filter that converts the colours of BT.2020, P3 or high dynamic range to sRGB at this size; `None` if they are
/// sRGB already or not tagged.
pub(in crate::transcode) fn to_srgb(width: u32, height: u32, frame: &ff::frame::Video) -> Option<String> {
    let color = av::frame_color(frame);
    if matches!(color.transfer, 16 | 18) {
        return Some(tone_map(width, height, color));
    }
    primaries(width, height, color)
}

/// Draws a picture with transparency over white, as chat programs show it. Other pictures are returned unchanged.
///
/// # Errors
/// If the picture's pixel format cannot be converted.
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

/// A JPEG whose longer side is at most `max_side`, from a frame that is already upright with square pixels.
///
/// # Errors
/// If the encoder is missing.
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

/// The size of a picture of the same shape within a square of `max_side`: never larger than before, and each side at
/// least 1.
pub(in crate::transcode) fn fit((width, height): (u32, u32), max_side: u32) -> (u32, u32) {
    let long = u64::from(width.max(height).max(1));
    let scale = |side: u32| {
        let scaled = (u64::from(side) * u64::from(max_side) + long / 2) / long;
        u32::try_from(scaled).unwrap_or(max_side).max(1)
    };
    if long <= u64::from(max_side) { (width.max(1), height.max(1)) } else { (scale(width), scale(height)) }
}

/// A measure of how much a frame shows: the standard deviation of its luma over a grid of samples.
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

/// The detail that is enough for a poster.
const ENOUGH_DETAIL: f64 = 18.0;
/// The preferred time of a poster: usually after a fade-in.
const PREFERRED_MS: i64 = 1000;
/// After this time the best frame so far is used, if it shows anything.
const LATEST_MS: i64 = 15_000;
/// A frame with less detail than this shows nothing: it is black or of a single colour.
const SOME_DETAIL: f64 = 4.0;

/// Picks the poster from the frames that it is offered.
#[derive(Default)]
pub(in crate::transcode) struct PosterPicker {
    best: Option<(f64, ff::frame::Video)>,
    looked_ms: Option<i64>,
    done: bool,
}

impl PosterPicker {
    /// Rates an 8-bit planar YUV frame. Frames less than a quarter of a second after the last one are skipped.
    pub(in crate::transcode) fn offer(&mut self, frame: &ff::frame::Video, ms: i64) {
        if self.done || self.looked_ms.is_some_and(|last| ms < last + 250) {
            return;
        }
        self.looked_ms = Some(ms);
        let score = detail(frame);
        let good = score >= ENOUGH_DETAIL;
        // A good frame at or after the preferred time replaces a better one from before it.
        let better = self.best.as_ref().is_none_or(|(best, _)| score > *best) || (good && ms >= PREFERRED_MS);
        if better {
            self.best = Some((score, av::reference(frame)));
        }
        self.done = (good && ms >= PREFERRED_MS) || (ms >= LATEST_MS && self.shows_something());
    }

    /// Whether the best frame so far shows anything.
    pub(in crate::transcode) fn shows_something(&self) -> bool {
        self.best.as_ref().is_some_and(|(score, _)| *score >= SOME_DETAIL)
    }

    /// Whether the search can end, because no better frame will be picked.
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
    fn mirroring_comes_before_rotation() {
        assert_eq!(upright(Orientation { rotation_degrees: 270, mirrored: true }), ",hflip,transpose=cclock");
        assert_eq!(upright(Orientation::default()), "");
    }
}
