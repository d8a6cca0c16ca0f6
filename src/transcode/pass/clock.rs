//! When decoded samples are heard: by their timestamps, where these can be believed.

use crate::plan::Container;

/// A jump in the timestamps that is seen, since lips and words come apart: filled with silence, or cut. Recorders'
/// jitter stays below.
const GAP_NS: i64 = 20_000_000;
/// A jump in the timestamps of a sound without a picture that is a pause, and not jitter or two lost packets.
const PAUSE_NS: i64 = 40_000_000;
/// A timestamp that goes back by more than this belongs to another clock.
const RESTART_NS: i64 = 1_000_000_000;

/// What says when samples are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transcode) enum Clock {
    /// Their number alone: the container has no timestamps of its own.
    Samples,
    /// The timestamps, from the first one on: what was not sent while nobody spoke, or not recorded, is silence.
    First,
    /// The timestamps, from this time of the file in ms on: samples stay in step with a picture.
    File(i64),
}

impl Clock {
    /// For a sound without a picture. The timestamps of other containers are counted by libav, or those of packets that
    /// hold parts of frames.
    pub(in crate::transcode) fn of_sound(container: Container) -> Self {
        let has_times = container.is_iso()
            || matches!(
                container,
                Container::Matroska | Container::WebM | Container::Ogg | Container::Flv | Container::MpegTs
            );
        if has_times { Self::First } else { Self::Samples }
    }
}

/// Where frames begin by their timestamps.
pub(in crate::transcode) struct Timeline {
    clock: Clock,
    /// Timestamp of sample 0, in ns.
    origin_ns: Option<i64>,
    /// Time of the next sample, in ns: in µs, an hour of AAC frames would drift by 150 ms.
    next_ns: i64,
    /// Where the frame before ended, by its own timestamp.
    end_ns: i64,
}

impl Timeline {
    /// None where nothing but the number of samples counts.
    pub(in crate::transcode) fn new(clock: Clock) -> Option<Self> {
        let origin_ns = match clock {
            Clock::Samples => return None,
            Clock::First => None,
            Clock::File(ms) => Some(ms * 1_000_000),
        };
        Some(Self { clock, origin_ns, next_ns: 0, end_ns: i64::MAX })
    }

    /// Where a frame begins: how much silence goes in front, and how much of it is left out, in ns. `room_ns` is how much
    /// silence the limit leaves: a timestamp beyond it is no time.
    pub(in crate::transcode) fn place(&mut self, stamp_ns: Option<i64>, length_ns: i64, room_ns: i64) -> (i64, i64) {
        let (silence_ns, skip_ns) = match (self.clock, stamp_ns) {
            (Clock::Samples, _) | (_, None) => (0, 0),
            (Clock::First, Some(stamp_ns)) => (self.pause(stamp_ns, length_ns, room_ns), 0),
            (Clock::File(_), Some(stamp_ns)) => {
                let gap_ns = stamp_ns.saturating_sub(self.origin_ns.unwrap_or(0)).saturating_sub(self.next_ns);
                // The start is laid exactly; later on only what is heard is mended, or jitter would be.
                let is_jitter = gap_ns.saturating_abs() <= GAP_NS && self.next_ns != 0;
                let gap_ns = if is_jitter { 0 } else { gap_ns };
                (gap_ns.max(0), gap_ns.saturating_neg().clamp(0, length_ns))
            }
        };
        self.next_ns = self.next_ns.saturating_add(silence_ns).saturating_add(length_ns - skip_ns);
        (silence_ns, skip_ns)
    }

    /// A packet of this length gave no sound, and silence took its place.
    pub(in crate::transcode) fn conceal(&mut self, ns: i64) {
        self.next_ns = self.next_ns.saturating_add(ns);
        self.end_ns = self.end_ns.saturating_add(ns);
    }

    /// Silence in front of a frame of a sound that has no picture to stay in step with: where nothing was recorded, and
    /// not where a clock drifts.
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

    /// Silence in front of each frame of 20 ms, by timestamps in ms.
    fn silences(stamps: &[i64]) -> Vec<i64> {
        let mut timeline = Timeline::new(Clock::First).expect("a timeline");
        stamps.iter().map(|ms| timeline.place(Some(ms * MS), 20 * MS, HOUR).0 / MS).collect()
    }

    #[test]
    fn a_pause_is_silence_and_jitter_is_not() {
        assert_eq!(silences(&[500, 520, 540]), [0, 0, 0], "the first one says where it begins");
        assert_eq!(silences(&[0, 20, 440, 460, 860]), [0, 0, 400, 0, 380]);
        assert_eq!(silences(&[0, 21, 39, 61, 80]), [0; 5]);
        // Arrival times of packets that waited: silence once, not for each of them.
        assert_eq!(silences(&[0, 20, 100, 60, 80, 160, 120]), [0, 0, 60, 0, 0, 0, 0]);
    }

    #[test]
    fn a_clock_that_drifts_puts_no_silence_into_speech() {
        let drifting: Vec<i64> = (0..3000).map(|n| n * 20 + n / 20).collect();
        assert!(silences(&drifting).iter().all(|ms| *ms == 0));
    }

    #[test]
    fn a_false_timestamp_and_another_clock_are_no_pause() {
        assert_eq!(silences(&[0, 20, 90_000_000, 90_000_020]), [0; 4]);
        assert_eq!(silences(&[100_000, 100_020, 0, 20, 400]), [0, 0, 0, 0, 360]);
        let mut timeline = Timeline::new(Clock::First).expect("a timeline");
        for stamp in [i64::MIN, i64::MAX, 0, i64::MAX / 2, i64::MIN] {
            assert_eq!(timeline.place(Some(stamp), 20 * MS, HOUR).1, 0);
        }
    }
}
