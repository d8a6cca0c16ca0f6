//! From the colours of an ICC profile (ISO 15076-1) to sRGB.

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts in place, opacity aside. A profile that cannot be read, or of neither RGB nor grey, changes nothing: the picture
/// is then shown as programs without colour management show it.
pub(super) fn to_srgb(rgba: &mut [u8], profile: &[u8]) {
    let Ok(source) = ColorProfile::new_from_slice(profile) else { return };
    let target = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let grey = match source.color_space {
        DataColorSpace::Rgb => false,
        DataColorSpace::Gray => true,
        _ => return,
    };
    let (from, to) = if grey { (Layout::Gray, Layout::Rgb) } else { (Layout::Rgb, Layout::Rgb) };
    let Ok(transform) = source.create_transform_8bit(from, &target, to, options) else { return };
    let mut input = Vec::new();
    let mut output = Vec::new();
    for pixels in rgba.as_chunks_mut::<4>().0.chunks_mut(PIXELS_AT_ONCE) {
        input.clear();
        for pixel in pixels.iter() {
            input.extend_from_slice(if grey { &pixel[..1] } else { &pixel[..3] });
        }
        output.clear();
        output.resize(pixels.len() * 3, 0);
        if transform.transform(&input, &mut output).is_err() {
            return;
        }
        for (pixel, [red, green, blue]) in pixels.iter_mut().zip(output.as_chunks::<3>().0) {
            (pixel[0], pixel[1], pixel[2]) = (*red, *green, *blue);
        }
    }
}

/// Pixels that are copied out and converted at a time.
const PIXELS_AT_ONCE: usize = 4096;
