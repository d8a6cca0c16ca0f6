//! Converts the colours of an ICC profile (ISO 15076-1) to sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

/// A conversion prepared for one profile.
pub(super) struct Transform {
    executor: Arc<dyn TransformExecutor<u8> + Send + Sync>,
    /// Whether the input has one channel (grey) instead of three.
    grey: bool,
}

impl Transform {
    /// `None` if the profile cannot be parsed or is for neither RGB nor grey. The picture is then shown as by programs
    /// without colour management.
    pub(super) fn new(profile: &[u8]) -> Option<Self> {
        let source = ColorProfile::new_from_slice(profile).ok()?;
        let grey = match source.color_space {
            DataColorSpace::Rgb => false,
            DataColorSpace::Gray => true,
            _ => return None,
        };
        let from = if grey { Layout::Gray } else { Layout::Rgb };
        let target = ColorProfile::new_srgb();
        let executor = source.create_transform_8bit(from, &target, Layout::Rgb, TransformOptions::default()).ok()?;
        Some(Self { executor, grey })
    }

    /// Converts a row of red, green, blue and opacity in place.
    pub(super) fn apply(&self, row: &mut [u8]) {
        let pixels = row.as_chunks_mut::<4>().0;
        let channels = if self.grey { 1 } else { 3 };
        let input: Vec<u8> = pixels.iter().flat_map(|pixel| &pixel[..channels]).copied().collect();
        let mut output = vec![0; pixels.len() * 3];
        if self.executor.transform(&input, &mut output).is_err() {
            return;
        }
        for (pixel, [red, green, blue]) in pixels.iter_mut().zip(output.as_chunks::<3>().0) {
            (pixel[0], pixel[1], pixel[2]) = (*red, *green, *blue);
        }
    }
}
