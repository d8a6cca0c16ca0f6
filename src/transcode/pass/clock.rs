//! Decides when decoded samples are heard: by their timestamps where these are plausible.

use crate::plan::Container;

/// A jump in timestamps that is corrected with silence or a cut, because lips and words would not match any more. The
/// jitter of recorders is smaller.
const GAP_NS: i64 = 20_000_000;
/// In a sound without a picture, a jump in timestamps that is a pause and neither jitter nor two lost packets.
const PAUSE_NS: i64 = 40_000_000;
/// If a timestamp goes back by more than this, it belongs to another clock.
const RESTART_NS: i64 = 1_000_000_000;

/// What decides when samples are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Clock {
    /// Only their number: the container has no timestamps of its own.
    Samples,
    /// The timestamps, counted from the first one. What was not sent during a pause, or not recorded, becomes silence.
    First,
    /// The timestamps, counted from this time of the file in ms: samples stay in step with a picture.
    File(i64),
}

impl Clock {
    /// The clock of a sound without a picture. Only containers with real timestamps are named here; for others libav
    /// counts them, or packets hold parts of frames.
    pub(in crate::transcode) fn of_sound(container: Container) -> Self {
        let has_times = container.is_iso()
            || matches!(
                container,
                Container::Matroska | Container::WebM | Container::Ogg | Container::Flv | Container::MpegTs
            );
        if has_times { Self::First } else { Self::Samples }
    }
}

/// The positions of frames on the output's timeline, derived from their timestamps.
pub(in crate::transcode) struct Timeline {
    clock: Clock,
    /// Timestamp of sample 0, in ns.
    origin_ns: Option<i64>,
    /// Time of the next sample in ns. In µs, rounding would make an hour of AAC frames drift by 150 ms.
    next_ns: i64,
    /// End of the frame before, by its own timestamp.
    end_ns: i64,
}

impl Timeline {
    /// `None` if only the number of samples counts.
    pub(in crate::transcode) fn new(clock: Clock) -> Option<Self> {
        let origin_ns = match clock {
            Clock::Samples => return None,
            Clock::First => None,
            Clock::File(ms) => Some(ms * 1_000_000),
        };
        Some(Self { clock, origin_ns, next_ns: 0, end_ns: i64::MAX })
    }

    /// Where a frame begins. Returns how much silence to insert before it, and how much of its start to cut off, in ns.
    /// `room_ns` is how much silence the length limit still allows; a timestamp beyond it is not plausible.
    pub(in crate::transcode) fn place(&mut self, stamp_ns: Option<i64>, length_ns: i64, room_ns: i64) -> (i64, i64) {
        let (silence_ns, skip_ns) = match (self.clock, stamp_ns) {
            (Clock::Samples, _) | (_, None) => (0, 0),
            (Clock::First, Some(stamp_ns)) => (self.pause(stamp_ns, length_ns, room_ns), 0),
            (Clock::File(_), Some(stamp_ns)) => {
                let gap_ns = stamp_ns.saturating_sub(self.origin_ns.unwrap_or(0)).saturating_sub(self.next_ns);
                // The start is placed exactly. Later only audible jumps are corrected, because jitter is not one.
                let is_jitter = gap_ns.saturating_abs() <= GAP_NS && self.next_ns != 0;
                let gap_ns = if is_jitter { 0 } else { gap_ns };
                (gap_ns.max(0), gap_ns.saturating_neg().clamp(0, length_ns))
            }
        };
        self.next_ns = self.next_ns.saturating_add(silence_ns).saturating_add(length_ns - skip_ns);
        (silence_ns, skip_ns)
    }

    /// A packet of this length could not be decoded and was replaced by silence.
    pub(in crate::transcode) fn conceal(&mut self, ns: i64) {
        self.next_ns = self.next_ns.saturating_add(ns);
        self.end_ns = self.end_ns.saturating_add(ns);
    }

    /// The silence before a frame of a sound without a picture: for pauses in the recording, not for a clock that
    /// drifts.
    fn pause(&mut self, stamp_ns: i64, length_ns: i64, room_ns: i64) -> i64 {
        let since_end_ns = stamp_ns.saturating_sub(self.end_ns);
        self.end_ns = stamp_ns.saturating_add(length_ns);
        let origin_ns = *self.origin_ns.get_or_insert(stamp_ns.saturating_sub(self.next_ns));
        let gap_ns = stamp_ns.saturating_sub(origin_ns).saturating_sub(self.next_ns);
        if gap_ns < -RESTART_NS || gap_ns > room_ns {
            self.origin_ns = Some(stamp_ns.saturating_sub(self.next_ns));
            return 0;
        }
        if since_end_ns > PAUSE_NS && gap_ns > PAUSE_NS { gap_ns } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const HOUR: i64 = 3_600_000 * MS;

    /// The silence before each frame of 20 ms, for timestamps in ms.
    fn silences(stamps: &[i64]) -> Vec<i64> {
        let mut timeline = Timeline::new(Clock::First).expect("a timeline");
        stamps.iter().map(|ms| timeline.place(Some(ms * MS), 20 * MS, HOUR).0 / MS).collect()
    }

    #[test]
    fn a_pause_is_silence_and_jitter_is_not() {
        assert_eq!(silences(&[500, 520, 540]), [0, 0, 0], "the first timestamp is the start");
        assert_eq!(silences(&[0, 20, 440, 460, 860]), [0, 0, 400, 0, 380]);
        assert_eq!(silences(&[0, 21, 39, 61, 80]), [0; 5]);
        // Packets with delayed arrival times: silence once, not for each of them.
        assert_eq!(silences(&[0, 20, 100, 60, 80, 160, 120]), [0, 0, 60, 0, 0, 0, 0]);
    }

    #[test]
    fn a_clock_that_drifts_puts_no_silence_into_speech() {
        let drifting: Vec<i64> = (0..3000).map(|n| n * 20 + n / 20).collect();
        assert!(silences(&drifting).iter().all(|ms| *ms == 0));
    }

    #[test]
    fn an_implausible_timestamp_and_another_clock_are_no_pause() {
        assert_eq!(silences(&[0, 20, 90_000_000, 90_000_020]), [0; 4]);
        assert_eq!(silences(&[100_000, 100_020, 0, 20, 400]), [0, 0, 0, 0, 360]);
        let mut timeline = Timeline::new(Clock::First).expect("a timeline");
        for stamp in [i64::MIN, i64::MAX, 0, i64::MAX / 2, i64::MIN] {
            assert_eq!(timeline.place(Some(stamp), 20 * MS, HOUR).1, 0);
        }
    }
}
