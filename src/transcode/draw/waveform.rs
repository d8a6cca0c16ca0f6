//! The waveform of a sound: peaks as numbers for players that draw it themselves, and as a picture for others.

use ffmpeg_next as ff;

use crate::error::Fault;
use crate::profile::WaveformProfile;
use crate::transcode::av;
use crate::transcode::extremes::extremes;
use crate::vocabulary::Peaks;

/// Collects the minimum and the maximum of each interval of samples.
pub(in crate::transcode) struct PeakMeter {
    channels: usize,
    sample_rate_hz: u32,
    samples_per_pixel: usize,
    filled: usize,
    low: f32,
    high: f32,
    pairs: Vec<(f32, f32)>,
}

impl PeakMeter {
    /// A meter for a sound of known length: `frames` samples in each channel.
    pub(in crate::transcode) fn new(
        channels: u32,
        sample_rate_hz: u32,
        frames: u64,
        profile: &WaveformProfile,
    ) -> Self {
        let by_rate = u64::from((sample_rate_hz / profile.peaks_per_second).max(1));
        let by_count = frames.div_ceil(u64::from(profile.max_peaks)).max(1);
        Self {
            channels: channels as usize,
            sample_rate_hz,
            samples_per_pixel: usize::try_from(by_rate.max(by_count)).unwrap_or(usize::MAX),
            filled: 0,
            low: 0.0,
            high: 0.0,
            pairs: Vec::new(),
        }
    }

    /// Adds interleaved samples, multiplied by `gain`.
    pub(in crate::transcode) fn push(&mut self, interleaved: &[f32], gain: f32) {
        let mut rest = interleaved;
        while !rest.is_empty() {
            let missing = (self.samples_per_pixel - self.filled).saturating_mul(self.channels);
            let (part, behind) = rest.split_at(missing.min(rest.len()));
            let (low, high) = extremes(part);
            self.low = self.low.min(low * gain);
            self.high = self.high.max(high * gain);
            self.filled += part.len() / self.channels;
            if self.filled == self.samples_per_pixel {
                self.close();
            }
            rest = behind;
        }
    }

    fn close(&mut self) {
        self.pairs.push((self.low, self.high));
        (self.filled, self.low, self.high) = (0, 0.0, 0.0);
    }

    /// The peaks in the format of audiowaveform.
    pub(in crate::transcode) fn finish(mut self) -> Peaks {
        if self.filled > 0 || self.pairs.is_empty() {
            self.close();
        }
        Peaks {
            version: 2,
            channels: 1,
            sample_rate: self.sample_rate_hz,
            samples_per_pixel: u32::try_from(self.samples_per_pixel).unwrap_or(u32::MAX),
            bits: 8,
            length: u32::try_from(self.pairs.len()).unwrap_or(u32::MAX),
            data: self.pairs.iter().flat_map(|(low, high)| [to_i8(*low), to_i8(*high)]).collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
fn to_i8(sample: f32) -> i8 {
    (sample * 128.0).round().clamp(-128.0, 127.0) as i8
}

const BAR: u32 = 3;
const GAP: u32 = 2;
const COLOR: [u8; 4] = [0x3b, 0x82, 0xf6, 0xff];

/// Draws the peaks as bars on a transparent background. The loudest bar has the full height, so that quiet speech is
/// visible.
///
/// # Errors
/// If the PNG encoder is missing.
pub(in crate::transcode) fn draw(peaks: &Peaks, profile: &WaveformProfile) -> Result<Vec<u8>, Fault> {
    let (width, height) = (profile.width, profile.height);
    let mut frame = ff::frame::Video::new(ff::format::Pixel::RGBA, width, height);
    frame.data_mut(0).fill(0);
    let bars = (width / (BAR + GAP)).max(1) as usize;
    let heights = bar_heights(peaks, bars);
    let loudest = heights.iter().copied().max().unwrap_or(0).max(1);
    for (n, level) in (0_u32..).zip(heights) {
        // At least a dot, so that silence is visible as a line.
        let tall = (u32::from(level) * (height - 4) / u32::from(loudest)).max(2);
        fill(&mut frame, n * (BAR + GAP), (height - tall) / 2, tall);
    }
    av::encode_still("png", &frame, None).map_err(av::writing("drawing the waveform"))
}

fn bar_heights(peaks: &Peaks, bars: usize) -> Vec<u8> {
    let pairs: Vec<u8> =
        peaks.data.chunks_exact(2).map(|pair| pair[0].unsigned_abs().max(pair[1].unsigned_abs())).collect();
    (0..bars)
        .map(|n| {
            let from = n * pairs.len() / bars;
            let to = ((n + 1) * pairs.len() / bars).max(from + 1).min(pairs.len());
            pairs.get(from..to).and_then(|stretch| stretch.iter().copied().max()).unwrap_or(0)
        })
        .collect()
}

fn fill(frame: &mut ff::frame::Video, x: u32, y: u32, tall: u32) {
    let stride = frame.stride(0);
    let width = frame.width();
    let data = frame.data_mut(0);
    for row in y..y + tall {
        for column in x..(x + BAR).min(width) {
            let at = row as usize * stride + column as usize * 4;
            data[at..at + 4].copy_from_slice(&COLOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> WaveformProfile {
        WaveformProfile {
            is_inline: true,
            has_picture: false,
            width: 800,
            height: 120,
            peaks_per_second: 10,
            max_peaks: 100,
        }
    }

    #[test]
    fn peaks_follow_the_format_and_the_gain() {
        let profile = profile();
        let mut meter = PeakMeter::new(1, 100, 25, &profile);
        meter.push(&[0.25; 10], 2.0);
        meter.push(&[-0.5; 15], 1.0);
        let peaks = meter.finish();
        assert_eq!((peaks.samples_per_pixel, peaks.length), (10, 3));
        assert_eq!(peaks.data, [0, 64, -64, 0, -64, 0]);
    }

    #[test]
    fn long_sounds_get_coarser_not_longer() {
        let profile = profile();
        let meter = PeakMeter::new(2, 48_000, 48_000 * 3600, &profile);
        assert_eq!(meter.samples_per_pixel, 48_000 * 36);
    }
}
