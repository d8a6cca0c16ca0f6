//! True peak (ITU-R BS.1770-4, annex 2): the largest value between the samples, found by oversampling four times.

use std::f64::consts::PI;

use crate::transcode::extremes::extremes;

/// Values for each sample.
const FACTOR: usize = 4;
/// Samples that each value is computed from.
pub(super) const TAPS: usize = 12;
/// Samples whose values are computed in one go.
const RUN: usize = 16;
/// More than all rounding errors of a value.
const MARGIN: f32 = 1.001;

/// The interpolation filter and the largest value so far.
pub(super) struct TruePeak {
    /// One filter for each of the values between two samples; coefficients for the latest sample first.
    filters: [[f32; TAPS]; FACTOR],
    /// The most that a filter can make of samples of 1.
    most: f32,
    pub(super) peak: f32,
}

impl TruePeak {
    pub(super) fn new() -> Self {
        let filters = filters();
        let gain = |filter: &[f32; TAPS]| filter.iter().map(|coefficient| coefficient.abs()).sum::<f32>();
        let most = filters.iter().map(gain).fold(0.0, f32::max) * MARGIN;
        Self { filters, most, peak: 0.0 }
    }

    /// Looks at the samples of one channel, which follow on `TAPS - 1` earlier ones in the same slice.
    ///
    /// Most of a voice is much quieter than its loudest moment. Where no value can exceed the peak so far, none is
    /// computed.
    pub(super) fn push(&mut self, samples: &[f32]) {
        let mut start = 0;
        while start + TAPS <= samples.len() {
            let end = (start + TAPS - 1 + RUN).min(samples.len());
            let run = &samples[start..end];
            let loudest = loudest(run);
            if loudest * self.most > self.peak {
                self.peak = self.peak.max(loudest).max(loudest_between(&self.filters, run));
            }
            start += RUN;
        }
    }
}

/// The largest value between the samples of a run of up to `TAPS - 1 + RUN`.
fn loudest_between(filters: &[[f32; TAPS]; FACTOR], run: &[f32]) -> f32 {
    let mut padded = [0.0; TAPS - 1 + RUN];
    padded[..run.len()].copy_from_slice(run);
    let values = run.len() + 1 - TAPS;
    let mut peak = 0.0_f32;
    for filter in filters {
        let mut sums = [0.0_f32; RUN];
        for (tap, coefficient) in filter.iter().enumerate() {
            for (sum, sample) in sums.iter_mut().zip(&padded[TAPS - 1 - tap..]) {
                *sum += coefficient * sample;
            }
        }
        peak = loudest(&sums[..values]).max(peak);
    }
    peak
}

fn loudest(samples: &[f32]) -> f32 {
    let (low, high) = extremes(samples);
    high.max(-low)
}

/// A sinc function under a Hann window of 49 points, of which the last is zero.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers; samples are 32-bit")]
fn filters() -> [[f32; TAPS]; FACTOR] {
    let mut filters = [[0.0; TAPS]; FACTOR];
    let length = (TAPS * FACTOR) as f64;
    for n in 0..TAPS * FACTOR {
        let window = 0.5 * (1.0 - (2.0 * PI * n as f64 / length).cos());
        let x = (n as f64 - length / 2.0) * PI / FACTOR as f64;
        let sinc = if n == TAPS * FACTOR / 2 { 1.0 } else { x.sin() / x };
        filters[n % FACTOR][n / FACTOR] = (window * sinc) as f32;
    }
    filters
}
