//! Runs ViSQOL on the sound that the child decoded. ViSQOL is safe Rust without libav, so it does not need a child.

use std::cell::Cell;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use visqol_rs::AudioSignal;
use visqol_rs::constants::{DEFAULT_WINDOW_SIZE, NUM_BANDS_SPEECH};
use visqol_rs::variant::Variant;
use visqol_rs::visqol_manager::VisqolManager;

use crate::task::{PCM_OF_INPUT, PCM_OF_PLAYBACK, PCM_RATE_HZ};

/// ViSQOL compares sections of 0.4 s and needs several of them.
const MIN_SAMPLES: usize = PCM_RATE_HZ as usize;

/// The mean opinion score of the playback asset's sound; `None` if it is too short or too quiet for a score.
///
/// # Errors
/// Those of reading the child's output.
pub(super) fn mos(scratch: &Path) -> io::Result<Option<f64>> {
    let mut original = read(&scratch.join(PCM_OF_INPUT))?;
    let mut playback = read(&scratch.join(PCM_OF_PLAYBACK))?;
    if original.len().min(playback.len()) < MIN_SAMPLES {
        return Ok(None);
    }
    quieten();
    SCORING.set(true);
    // With silence ViSQOL divides by zero or indexes beyond its sections.
    let scored = catch_unwind(AssertUnwindSafe(|| {
        let variant = Variant::Wideband { use_unscaled_mos_mapping: false };
        let mut visqol = VisqolManager::<NUM_BANDS_SPEECH>::new(variant, DEFAULT_WINDOW_SIZE);
        visqol.compute_results(&mut original, &mut playback).ok().map(|similarity| similarity.moslqo)
    }));
    SCORING.set(false);
    Ok(scored.ok().flatten().filter(|mos| mos.is_finite()))
}

thread_local! {
    /// Whether this thread is inside ViSQOL, where a panic counts as no score.
    static SCORING: Cell<bool> = const { Cell::new(false) };
}

/// Hides the messages of panics inside ViSQOL, but not those of other panics.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SCORING.get() {
                show(info);
            }
        }));
    });
}

fn read(path: &Path) -> io::Result<AudioSignal> {
    let bytes = fs::read(path)?;
    let samples = bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    Ok(AudioSignal::new(&samples.collect::<Vec<_>>(), PCM_RATE_HZ))
}
