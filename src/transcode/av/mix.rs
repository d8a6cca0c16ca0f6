//! How channels are mixed if libswresample has no rule for their layout, and whether two channels cancel each other.

/// Which channels of the source are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Mix {
    /// All of them.
    All,
    /// Only the one with this index.
    Only(usize),
}

/// The source's description of its channels. Frames with the same layout and number of channels are mixed in the same
/// way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Positions of loudspeakers.
    Native,
    /// Ambisonics in ACN order: W, Y, Z, X, …
    Ambisonic,
    /// Only a number of channels, or an order without a known rule.
    Unknown,
}

/// The share of the omnidirectional channel in each output; the rest comes from the directional ones.
const OMNI: f64 = 0.6;

/// The weight of each input channel in each output channel, one row for each output. `None` if libswresample's own
/// rules can be used; for the other layouts it would leave out channels or refuse them.
pub(super) fn matrix(mix: Mix, layout: Layout, inputs: usize, outputs: usize) -> Option<Vec<f64>> {
    match (mix, layout) {
        (Mix::Only(channel), _) if inputs > 1 => {
            let row = (0..inputs).map(|n| if n == channel { 1.0 } else { 0.0 });
            Some(row.collect::<Vec<f64>>().repeat(outputs))
        }
        // One channel goes to the middle and two to left and right, whatever positions they declare.
        _ if inputs <= 2 => None,
        (_, Layout::Ambisonic) => Some(ambisonic(inputs, outputs)),
        (_, Layout::Native) => None,
        _ => Some(plain(inputs, outputs)),
    }
}

/// A mix in which every channel is heard: the first two on their sides, all others in the middle and 3 dB lower. Never
/// above full scale.
pub(super) fn plain(inputs: usize, outputs: usize) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a few channels")]
    let count = |channels: usize| channels as f64;
    match (inputs, outputs) {
        (_, 1) => vec![1.0 / count(inputs.max(1)); inputs],
        (1, _) => vec![1.0; outputs],
        _ => {
            let middle = std::f64::consts::FRAC_1_SQRT_2;
            let scale = 1.0 / (1.0 + middle * count(inputs - 2));
            let weight = |output: usize, input: usize| match input {
                0 | 1 if input == output => scale,
                0 | 1 => 0.0,
                _ => middle * scale,
            };
            (0..outputs).flat_map(|output| (0..inputs).map(move |input| weight(output, input))).collect()
        }
    }
}

/// Two virtual microphones that point to the left and to the right.
fn ambisonic(inputs: usize, outputs: usize) -> Vec<f64> {
    let row = |side: f64| {
        (0..inputs).map(move |input| match input {
            0 if side == 0.0 => 1.0,
            0 => OMNI,
            1 => side * (1.0 - OMNI),
            _ => 0.0,
        })
    };
    if outputs == 1 { row(0.0).collect() } else { row(1.0).chain(row(-1.0)).collect() }
}

/// Finds out whether the two channels of a sound have opposite polarity. Then their mean, which a mono profile needs,
/// would be silence or only what differs between them.
#[derive(Debug, Clone)]
pub(in crate::transcode) struct Polarity {
    window: usize,
    filled: usize,
    /// Energy of left, right and mean within the window.
    energy: [f64; 3],
    /// Energy of each channel over all windows.
    channels: [f64; 2],
    /// Energy of the louder channel: over all windows, and over those in which the mean cancels it.
    total: f64,
    opposed: f64,
}

/// A window is cancelled if the mean keeps less than this share of its energy (10 dB).
const LOST: f64 = 0.1;
/// The share of the sound's energy that must be in cancelled windows.
const OPPOSED: f64 = 0.25;

impl Polarity {
    /// `window` is the number of samples in a window; half a second is about the length of a word.
    pub(super) const fn new(window: usize) -> Self {
        Self { window, filled: 0, energy: [0.0; 3], channels: [0.0; 2], total: 0.0, opposed: 0.0 }
    }

    pub(super) fn push(&mut self, left: f64, right: f64) {
        let mean = f64::midpoint(left, right);
        for (energy, sample) in self.energy.iter_mut().zip([left, right, mean]) {
            *energy += sample * sample;
        }
        self.filled += 1;
        if self.filled >= self.window {
            self.close();
        }
    }

    fn close(&mut self) {
        let [left, right, mean] = std::mem::take(&mut self.energy);
        self.filled = 0;
        let louder = left.max(right);
        // A window with NaN or infinite values is not counted.
        if !louder.is_finite() {
            return;
        }
        self.channels[0] += left;
        self.channels[1] += right;
        self.total += louder;
        if mean < louder * LOST {
            self.opposed += louder;
        }
    }

    /// The index of the louder channel, if the mean of both would cancel the sound.
    pub(in crate::transcode) fn opposed(mut self) -> Option<usize> {
        self.close();
        (self.total > 0.0 && self.opposed >= self.total * OPPOSED)
            .then_some(usize::from(self.channels[1] > self.channels[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_of_an_unknown_layout_is_heard_in_each_ear_or_on_its_side() {
        for inputs in 3..=24 {
            for outputs in [1, 2] {
                let matrix = matrix(Mix::All, Layout::Unknown, inputs, outputs).expect("a matrix");
                assert_eq!(matrix.len(), inputs * outputs);
                for input in 0..inputs {
                    let heard: f64 = (0..outputs).map(|output| matrix[output * inputs + input]).sum();
                    assert!(heard > 0.0, "channel {input} of {inputs}");
                }
                for row in matrix.chunks(inputs) {
                    assert!(row.iter().sum::<f64>() <= 1.0 + 1e-9, "{row:?}");
                }
            }
        }
    }

    #[test]
    fn usual_layouts_and_pairs_are_left_to_libswresample() {
        for inputs in 1..=2 {
            for layout in [Layout::Native, Layout::Unknown] {
                assert_eq!(matrix(Mix::All, layout, inputs, 2), None);
            }
        }
        assert_eq!(matrix(Mix::All, Layout::Native, 6, 2), None);
        assert_eq!(matrix(Mix::Only(1), Layout::Native, 2, 1), Some(vec![0.0, 1.0]));
        assert_eq!(matrix(Mix::Only(0), Layout::Native, 1, 1), None);
    }

    fn opposed(left: impl Fn(f64) -> f64, right: impl Fn(f64) -> f64) -> Option<usize> {
        let mut polarity = Polarity::new(100);
        for n in 0..1000 {
            polarity.push(left(f64::from(n)), right(f64::from(n)));
        }
        polarity.opposed()
    }

    #[test]
    fn opposite_polarity_is_distinguished_from_stereo() {
        let voice = |n: f64| (n * 0.1).sin();
        assert_eq!(opposed(voice, |n| -voice(n)), Some(0));
        assert_eq!(opposed(|n| 0.9 * voice(n), |n| -voice(n)), Some(1));
        assert_eq!(opposed(voice, voice), None);
        assert_eq!(opposed(voice, |n| (n * 0.13).sin()), None);
        assert_eq!(opposed(voice, |_| 0.0), None);
        assert_eq!(opposed(|_| 0.0, |_| 0.0), None);
        assert_eq!(opposed(voice, |n| if n < 500.0 { -voice(n) } else { voice(n) }), Some(0));
    }
}
