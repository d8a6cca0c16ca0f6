//! Decoded sound between decoding and encoding: its loudness is known only at its end.
//!
//! Samples stay in memory. A sound that is longer than memory allows is not kept at all and is decoded again when its samples
//! are wanted: it costs a second decode, and neither memory nor scratch space depends on the length of a sound. Silence of
//! four hours is a file of 2 MB and would be 5 GB of samples.

/// Most samples that are kept, over all channels: 64 MiB, which is 11 minutes of one channel at 24 kHz, or 3 of two at 48 kHz.
const MOST_SAMPLES: usize = 16 << 20;

/// Interleaved samples, or only their number once there were too many.
#[derive(Debug)]
pub(in crate::transcode) struct Spool {
    kept: Option<Vec<f32>>,
    most: usize,
    len: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self::with_room_for(MOST_SAMPLES)
    }
}

impl Spool {
    /// Keeps at most so many samples.
    fn with_room_for(most: usize) -> Self {
        Self { kept: Some(Vec::new()), most, len: 0 }
    }

    /// Adds samples at the end, and lets go of all where they are too many.
    pub(in crate::transcode) fn push(&mut self, samples: &[f32]) {
        self.len += samples.len() as u64;
        let Some(kept) = &mut self.kept else { return };
        if self.len > self.most as u64 {
            self.kept = None;
            return;
        }
        // All of the address space at once: what is not touched costs nothing, growing would copy it again and again.
        kept.reserve_exact(self.most - kept.len());
        kept.extend_from_slice(samples);
    }

    /// Number of samples that were added, over all channels.
    pub(in crate::transcode) fn len(&self) -> u64 {
        self.len
    }

    /// All samples in order; none where they were too many.
    pub(in crate::transcode) fn samples(&self) -> Option<&[f32]> {
        self.kept.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_kept_up_to_the_limit_and_counted_beyond_it() {
        let mut spool = Spool::with_room_for(4);
        spool.push(&[0.1, 0.2]);
        spool.push(&[0.3, 0.4]);
        assert_eq!(spool.samples(), Some(&[0.1, 0.2, 0.3, 0.4][..]));
        spool.push(&[0.5]);
        spool.push(&[0.6, 0.7]);
        assert_eq!((spool.samples(), spool.len()), (None, 7));
    }
}
