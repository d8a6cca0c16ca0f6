//! Measures loudness by EBU R 128 (ITU-R BS.1770-4, EBU Tech 3341 and 3342), and computes the gain for a profile's target.
//!
//! Everything is measured in one pass over blocks that stay in the processor's cache, and each sample is weighted and
//! squared once: windows that overlap add up the sums of what they have in common.

mod true_peak;
mod weighting;

use true_peak::{TAPS, TruePeak};
use weighting::Weighting;

use crate::profile::LoudnessTarget;
use crate::vocabulary::Loudness;

/// Largest gain: a quieter sound is noise.
const MAX_GAIN_DB: f64 = 20.0;
/// Samples of one channel that are looked at together.
const BLOCK: usize = 256;
/// Steps of 100 ms in a gating block (BS.1770) and in a short-term window (Tech 3341), and from one such window to the
/// next.
const GATING: usize = 4;
const SHORT_TERM: usize = 30;
const SHORT_TERM_EVERY: usize = 10;
/// What is quieter does not count.
const ABSOLUTE_GATE_LUFS: f64 = -70.0;
/// What is quieter than the rest by so much does not count for the integrated loudness, and for the range.
const GATE_LU: f64 = -10.0;
const RANGE_GATE_LU: f64 = -20.0;

/// Measures one or two channels while they pass.
pub(in crate::transcode) struct Meter {
    channels: Vec<Channel>,
    peak: TruePeak,
    /// Samples of a channel in 100 ms.
    step: usize,
    /// Those of the step that has begun, and their energy.
    filled: usize,
    energy: f64,
    /// The energy of each whole step.
    steps: Vec<f64>,
}

struct Channel {
    weighting: Weighting,
    /// A block behind the samples before it, which the filter for the true peak needs.
    recent: Vec<f32>,
}

impl Meter {
    pub(in crate::transcode) fn new(channels: u32, sample_rate_hz: u32) -> Self {
        let channel = || Channel { weighting: Weighting::new(sample_rate_hz), recent: vec![0.0; TAPS - 1] };
        Self {
            channels: (0..channels.max(1)).map(|_| channel()).collect(),
            peak: TruePeak::new(),
            step: usize::try_from((sample_rate_hz + 5) / 10).unwrap_or(usize::MAX).max(1),
            filled: 0,
            energy: 0.0,
            steps: Vec::new(),
        }
    }

    /// Measures interleaved samples.
    pub(in crate::transcode) fn push(&mut self, interleaved: &[f32]) {
        let channels = self.channels.len();
        let mut rest = interleaved;
        while rest.len() >= channels {
            let count = (rest.len() / channels).min(BLOCK).min(self.step - self.filled);
            let (block, behind) = rest.split_at(count * channels);
            for (n, channel) in self.channels.iter_mut().enumerate() {
                let old = channel.recent.len() + 1 - TAPS;
                channel.recent.drain(..old);
                if channels == 1 {
                    channel.recent.extend_from_slice(block);
                } else {
                    channel.recent.extend(block.iter().skip(n).step_by(channels));
                }
                self.peak.push(&channel.recent);
                self.energy += channel.weighting.energy(&channel.recent[TAPS - 1..]);
            }
            self.filled += count;
            if self.filled == self.step {
                self.steps.push(std::mem::take(&mut self.energy));
                self.filled = 0;
            }
            rest = behind;
        }
    }

    /// The measured values, and the gain towards the target.
    pub(in crate::transcode) fn finish(&self, target: Option<LoudnessTarget>) -> Loudness {
        let integrated = self.integrated_lufs();
        let peak = f64::from(self.peak.peak);
        let peak = (peak > 0.0).then(|| 20.0 * peak.log10());
        Loudness {
            integrated_lufs: integrated.map(round),
            true_peak_dbtp: peak.map(round),
            range_lu: self.range_lu().map(round),
            gain_db: round(gain(integrated, peak, target)),
        }
    }

    /// BS.1770-4, annex 1: the mean of all gating blocks above both gates.
    fn integrated_lufs(&self) -> Option<f64> {
        let blocks = self.windows(GATING, 1);
        let gate = mean(&blocks)? * energy_ratio(GATE_LU);
        let loud: Vec<f64> = blocks.into_iter().filter(|energy| *energy >= gate).collect();
        mean(&loud).map(lufs)
    }

    /// Tech 3342: from the 10th to the 95th percentile of the short-term loudness.
    fn range_lu(&self) -> Option<f64> {
        let mut windows = self.windows(SHORT_TERM, SHORT_TERM_EVERY);
        let gate = mean(&windows)? * energy_ratio(RANGE_GATE_LU);
        windows.retain(|energy| *energy >= gate);
        windows.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index within the list"
        )]
        let percentile = |share: f64| windows[((windows.len() - 1) as f64 * share).round() as usize];
        Some(lufs(percentile(0.95)) - lufs(percentile(0.1))).filter(|range| *range > 0.0)
    }

    /// The mean energy of windows of `length` steps, each of which begins `every` steps behind the one before, as far
    /// as they are above the absolute gate.
    fn windows(&self, length: usize, every: usize) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "samples of seconds")]
        let samples = (length * self.step) as f64;
        let gate = 10_f64.powf((ABSOLUTE_GATE_LUFS - OFFSET_LU) / 10.0);
        let windows = self.steps.windows(length).step_by(every);
        windows.map(|steps| steps.iter().sum::<f64>() / samples).filter(|energy| *energy >= gate).collect()
    }
}

/// What BS.1770 adds so that a sine of 997 Hz at full scale reads -3.01.
const OFFSET_LU: f64 = -0.691;

fn lufs(energy: f64) -> f64 {
    OFFSET_LU + 10.0 * energy.log10()
}

fn energy_ratio(lu: f64) -> f64 {
    10_f64.powf(lu / 10.0)
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn gain(integrated: Option<f64>, peak: Option<f64>, target: Option<LoudnessTarget>) -> f64 {
    let (Some(integrated), Some(peak), Some(target)) = (integrated, peak, target) else { return 0.0 };
    (target.target_lufs - integrated).min(target.true_peak_dbtp - peak).min(MAX_GAIN_DB)
}

/// A gain in dB as a factor.
#[expect(clippy::cast_possible_truncation, reason = "samples are 32-bit")]
pub(in crate::transcode) fn factor(gain_db: f64) -> f32 {
    10_f64.powf(gain_db / 20.0) as f32
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: LoudnessTarget = LoudnessTarget { target_lufs: -16.0, true_peak_dbtp: -1.5 };

    #[test]
    fn gain_stops_at_the_ceiling_and_never_lifts_silence() {
        assert!((gain(Some(-20.0), Some(-10.0), Some(TARGET)) - 4.0).abs() < 1e-9);
        assert!((gain(Some(-20.0), Some(-3.0), Some(TARGET)) - 1.5).abs() < 1e-9);
        assert!((gain(Some(-70.0), Some(-60.0), Some(TARGET)) - MAX_GAIN_DB).abs() < 1e-9);
        assert_eq!(gain(None, None, Some(TARGET)), 0.0);
        assert_eq!(gain(Some(-20.0), Some(-3.0), None), 0.0);
    }

    #[test]
    fn a_full_scale_sine_reads_minus_three_lufs() {
        // EBU Tech 3341, test case 1: -23 dBFS in stereo measures -23 LUFS; one channel at 0 dBFS measures -3.01.
        let mut meter = Meter::new(1, 48_000);
        let sine: Vec<f32> =
            (0_u16..48_000).map(|n| (f32::from(n) * 997.0 * std::f32::consts::TAU / 48_000.0).sin()).collect();
        for _ in 0..3 {
            meter.push(&sine);
        }
        let loudness = meter.finish(None).integrated_lufs.expect("loudness");
        assert!((loudness + 3.01).abs() < 0.1, "{loudness}");
    }

    /// Noise that gets louder and quieter, with silence and single loud samples.
    fn recording(channels: usize, rate: usize, seconds: usize, seed: u32) -> Vec<f32> {
        let mut random = seed;
        let mut noise = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(random >> 16).expect("16 bits")) / 32_768.0 - 1.0
        };
        let mut slow = vec![0.0_f32; channels];
        (0..channels * rate * seconds)
            .map(|n| {
                let second = n / channels / rate;
                let level = [0.01, 0.3, 0.0, 0.1, 0.002][(second + seed as usize) % 5];
                let slow = &mut slow[n % channels];
                *slow += 0.2 * (noise() - *slow);
                if n % 7_919 == 0 { noise() } else { *slow * level }
            })
            .collect()
    }

    #[test]
    fn an_independent_meter_reads_the_same() {
        use ebur128::{EbuR128, Mode};
        for (seed, channels, rate, seconds) in [
            (1, 1, 24_000, 21),
            (2, 2, 44_100, 7),
            (3, 1, 8000, 3),
            (4, 2, 48_000, 1),
            (5, 1, 22_050, 40),
            (6, 1, 16_000, 0),
        ] {
            let samples = recording(channels as usize, rate as usize, seconds, seed);
            let mut ours = Meter::new(channels, rate);
            let mut theirs = EbuR128::new(channels, rate, Mode::I | Mode::LRA | Mode::TRUE_PEAK).expect("a meter");
            // Pieces of many lengths, as decoders give them.
            let mut rest = &samples[..];
            for length in (1..).map(|n| n * 97 % 1009 * channels as usize) {
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                ours.push(piece);
                theirs.add_frames_f32(piece).expect("samples");
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let peak = (0..channels).map(|n| theirs.true_peak(n).expect("a peak")).fold(0.0, f64::max);
            let expected = Loudness {
                integrated_lufs: theirs.loudness_global().ok().filter(|lufs| lufs.is_finite()).map(round),
                true_peak_dbtp: (peak > 0.0).then(|| round(20.0 * peak.log10())),
                range_lu: theirs.loudness_range().ok().filter(|range| *range > 0.0).map(round),
                gain_db: 0.0,
            };
            assert_eq!(ours.finish(None), expected, "{channels} channels at {rate} Hz");
        }
    }
}
