//! K-weighting (ITU-R BS.1770-4, annex 1): a shelf that stands for the head, and a high-pass filter.

use std::f64::consts::PI;

/// Below this nothing is heard. Smaller states would end as subnormal numbers, which processors are slow at.
const SILENT: f64 = 1e-30;

/// Both filters of one channel as a single one of the fourth order, in direct form II.
pub(super) struct Weighting {
    b: [f64; 5],
    a: [f64; 5],
    /// Results of the recursive part, the latest first.
    state: [f64; 4],
}

impl Weighting {
    /// The recommendation has coefficients for 48 kHz only. Those for other rates follow from the same analogue filters
    /// by the bilinear transform.
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        let rate = f64::from(sample_rate_hz);
        let (shelf_b, shelf_a) = shelf(rate);
        Self { b: product(shelf_b, [1.0, -2.0, 1.0]), a: product(shelf_a, high_pass(rate)), state: [0.0; 4] }
    }

    /// The sum of the squares of the weighted samples.
    pub(super) fn energy(&mut self, samples: &[f32]) -> f64 {
        let ([b0, b1, b2, b3, b4], [_, a1, a2, a3, a4]) = (self.b, self.a);
        let [mut s1, mut s2, mut s3, mut s4] = self.state;
        let mut energy = 0.0;
        for sample in samples {
            // What needs the latest result comes last: the rest is computed while the processor waits for that one.
            let s0 = (f64::from(*sample) - a2 * s2 - a3 * s3 - a4 * s4) - a1 * s1;
            let weighted = (b1 * s1 + b2 * s2 + b3 * s3 + b4 * s4) + b0 * s0;
            energy += weighted * weighted;
            (s1, s2, s3, s4) = (s0, s1, s2, s3);
        }
        self.state = [s1, s2, s3, s4].map(|state| if state.abs() < SILENT { 0.0 } else { state });
        energy
    }
}

/// Numerator and denominator of the first filter.
fn shelf(rate: f64) -> ([f64; 3], [f64; 3]) {
    let (k, q) = ((PI * 1_681.974_450_955_533 / rate).tan(), 0.707_175_236_955_419_6);
    let high = 10_f64.powf(3.999_843_853_973_347 / 20.0);
    let band = high.powf(0.499_666_774_154_541_6);
    let a0 = 1.0 + k / q + k * k;
    let b = [high + band * k / q + k * k, 2.0 * (k * k - high), high - band * k / q + k * k];
    (b.map(|b| b / a0), [1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0])
}

/// Denominator of the second filter. Its numerator is 1, -2, 1.
fn high_pass(rate: f64) -> [f64; 3] {
    let (k, q) = ((PI * 38.135_470_876_024_44 / rate).tan(), 0.500_327_037_323_877_3);
    let a0 = 1.0 + k / q + k * k;
    [1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0]
}

/// The coefficients of two filters in a row.
fn product(one: [f64; 3], other: [f64; 3]) -> [f64; 5] {
    let mut both = [0.0; 5];
    for (n, x) in one.iter().enumerate() {
        for (m, y) in other.iter().enumerate() {
            both[n + m] += x * y;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_for_48_khz_are_those_of_the_recommendation() {
        // BS.1770-4, annex 1, tables 1 and 2.
        let (b, a) = shelf(48_000.0);
        let tables = [
            (b, [1.535_124_859_586_97, -2.691_696_189_406_38, 1.198_392_810_852_85]),
            (a, [1.0, -1.690_659_293_182_41, 0.732_480_774_215_85]),
            (high_pass(48_000.0), [1.0, -1.990_047_454_833_98, 0.990_072_250_366_21]),
        ];
        for (ours, theirs) in tables {
            for (our, their) in ours.iter().zip(theirs) {
                assert!((our - their).abs() < 1e-8, "{ours:?}, the table has {theirs:?}");
            }
        }
    }

    #[test]
    fn silence_after_sound_leaves_no_small_numbers() {
        let mut weighting = Weighting::new(24_000);
        assert!(weighting.energy(&[0.5; 480]) > 0.0);
        for _ in 0..200 {
            weighting.energy(&[0.0; 480]);
        }
        assert_eq!(weighting.state, [0.0; 4]);
    }
}
