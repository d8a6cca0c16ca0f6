//! The smallest and the largest of many samples.

/// As many samples as are compared at once.
const LANES: usize = 8;

/// The smallest and the largest sample, and zero if that is smaller or larger. NaN is passed over.
///
/// Each lane is compared by itself: a single chain of comparisons would make the processor wait for each result, and
/// compilers may not reorder comparisons of floating-point numbers.
pub(super) fn extremes(samples: &[f32]) -> (f32, f32) {
    let (mut lows, mut highs) = ([0.0; LANES], [0.0; LANES]);
    let (whole, rest) = samples.as_chunks::<LANES>();
    for chunk in whole {
        for ((sample, low), high) in chunk.iter().zip(&mut lows).zip(&mut highs) {
            *low = if *sample < *low { *sample } else { *low };
            *high = if *sample > *high { *sample } else { *high };
        }
    }
    let low = rest.iter().chain(&lows).copied().fold(0.0, f32::min);
    let high = rest.iter().chain(&highs).copied().fold(0.0, f32::max);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::extremes;

    #[test]
    fn extremes_are_found_at_any_place() {
        for length in 0..40 {
            for place in 0..length {
                let mut samples = vec![0.25; length];
                samples[place] = -0.5;
                let high = if length == 1 { 0.0 } else { 0.25 };
                assert_eq!(extremes(&samples), (-0.5, high));
                samples[place] = 0.75;
                assert_eq!(extremes(&samples), (0.0, 0.75));
                samples[place] = f32::NAN;
                assert_eq!(extremes(&samples), (0.0, high));
            }
        }
        assert_eq!(extremes(&[]), (0.0, 0.0));
    }
}
