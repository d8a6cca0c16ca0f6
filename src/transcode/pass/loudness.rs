//! Measures loudness by EBU R 128 (ITU-R BS.1770-4), and computes the gain for a profile's target.

use ebur128::{EbuR128, Mode};

use crate::error::{Code, Fault};
use crate::profile::LoudnessTarget;
use crate::vocabulary::Loudness;

/// Largest gain: a quieter sound is noise.
const MAX_GAIN_DB: f64 = 20.0;

/// Measures samples while they pass.
pub(in crate::transcode) struct Meter(EbuR128);

impl Meter {
    /// # Errors
    /// If the meter does not support the format.
    pub(in crate::transcode) fn new(channels: u32, sample_rate_hz: u32) -> Result<Self, Fault> {
        EbuR128::new(channels, sample_rate_hz, Mode::I | Mode::LRA | Mode::TRUE_PEAK).map(Self).map_err(broken)
    }

    /// # Errors
    /// If the number of samples is not a multiple of the channels.
    pub(in crate::transcode) fn push(&mut self, interleaved: &[f32]) -> Result<(), Fault> {
        self.0.add_frames_f32(interleaved).map_err(broken)
    }

    /// The measured values, and the gain towards the target.
    pub(in crate::transcode) fn finish(&self, target: Option<LoudnessTarget>) -> Loudness {
        let integrated = self.0.loudness_global().ok().filter(|l| l.is_finite());
        let peak = (0..self.0.channels()).filter_map(|channel| self.0.true_peak(channel).ok()).fold(0.0, f64::max);
        let peak = (peak > 0.0).then(|| 20.0 * peak.log10());
        let range = self.0.loudness_range().ok().filter(|range| range.is_finite() && *range > 0.0);
        Loudness {
            integrated_lufs: integrated.map(round),
            true_peak_dbtp: peak.map(round),
            range_lu: range.map(round),
            gain_db: round(gain(integrated, peak, target)),
        }
    }
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

fn broken(error: ebur128::Error) -> Fault {
    Fault::broken(Code::WorkerBroken, format!("measuring loudness: {error}"))
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
        let mut meter = Meter::new(1, 48_000).expect("a meter");
        let sine: Vec<f32> =
            (0_u16..48_000).map(|n| (f32::from(n) * 997.0 * std::f32::consts::TAU / 48_000.0).sin()).collect();
        for _ in 0..3 {
            meter.push(&sine).expect("samples");
        }
        let loudness = meter.finish(None).integrated_lufs.expect("loudness");
        assert!((loudness + 3.01).abs() < 0.1, "{loudness}");
    }
}
