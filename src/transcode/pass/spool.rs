//! Stores decoded sound between decoding and encoding, because its loudness is only known at its end.
//!
//! Samples stay in memory. A sound that is too long for that is not stored at all, and is decoded again when its
//! samples are needed. That costs a second decoding, but memory and scratch space do not depend on the length of a
//! sound: four hours of silence are a file of 2 MB and 5 GB of samples.

/// Most samples that are stored, counted over all channels: 64 MiB, which is 11 minutes of one channel at 24 kHz, or 3
/// minutes of two at 48 kHz.
const MOST_SAMPLES: usize = 16 << 20;

/// Interleaved samples, or only their number once they are too many.
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
    /// A spool for at most this many samples.
    fn with_room_for(most: usize) -> Self {
        Self { kept: Some(Vec::new()), most, len: 0 }
    }

    /// Appends samples. If they are too many, all are dropped and only counted from then on.
    pub(in crate::transcode) fn push(&mut self, samples: &[f32]) {
        self.len += samples.len() as u64;
        let Some(kept) = &mut self.kept else { return };
        if self.len > self.most as u64 {
            self.kept = None;
            return;
        }
        // All at once: unused address space costs nothing, but growing would copy the samples again and again.
        kept.reserve_exact(self.most - kept.len());
        kept.extend_from_slice(samples);
    }

    /// The number of samples that were added, counted over all channels.
    pub(in crate::transcode) fn len(&self) -> u64 {
        self.len
    }

    /// All samples in order; `None` if they were too many.
    pub(in crate::transcode) fn samples(&self) -> Option<&[f32]> {
        self.kept.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_stored_up_to_the_limit_and_counted_beyond_it() {
        let mut spool = Spool::with_room_for(4);
        spool.push(&[0.1, 0.2]);
        spool.push(&[0.3, 0.4]);
        assert_eq!(spool.samples(), Some(&[0.1, 0.2, 0.3, 0.4][..]));
        spool.push(&[0.5]);
        spool.push(&[0.6, 0.7]);
        assert_eq!((spool.samples(), spool.len()), (None, 7));
    }
}
