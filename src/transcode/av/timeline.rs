//! Makes one timeline from timestamps that restart. MPEG program and transport streams are often cut and joined with
//! their timestamps unchanged (camcorders, recorded broadcasts, `cat a.ts b.ts`).

/// DTS never decreases within a stream. A smaller step back is due to rounding or to the interleaving of joined
/// streams.
const BACK_US: i64 = 100_000;
/// A larger gap means another clock, as for the `ffmpeg` program (`dts_delta_threshold`).
const AHEAD_US: i64 = 10_000_000;
/// Joined streams end within this time of each other.
const JOINT_TOLERANCE_US: i64 = 1_000_000;

/// The offsets that are added to each stream's timestamps, so that they continue where they were.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    tracks: Vec<Track>,
    /// The offset of the clock that began last.
    newest_us: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Track {
    offset_us: i64,
    /// The time at which the next packet is expected.
    next_us: Option<i64>,
}

impl Timeline {
    /// The offset for a packet's timestamps, given its stream, DTS and duration.
    pub(super) fn place(&mut self, stream: usize, dts_us: i64, duration_us: i64) -> i64 {
        if self.tracks.len() <= stream {
            self.tracks.resize(stream + 1, Track::default());
        }
        let track = &mut self.tracks[stream];
        if let Some(next_us) = track.next_us {
            let leap = |offset_us: i64| dts_us.saturating_add(offset_us).saturating_sub(next_us);
            if !(-BACK_US..=AHEAD_US).contains(&leap(track.offset_us)) {
                // The first stream that jumps sets the offset of the new clock, and the others keep their distance to
                // it. A stream that is already on the newest clock has reached another one.
                if track.offset_us == self.newest_us || leap(self.newest_us).abs() > JOINT_TOLERANCE_US {
                    self.newest_us = next_us.saturating_sub(dts_us);
                }
                track.offset_us = self.newest_us;
            }
        }
        let end_us = dts_us.saturating_add(track.offset_us).saturating_add(duration_us.max(0));
        track.next_us = Some(track.next_us.map_or(end_us, |next_us| next_us.max(end_us)));
        track.offset_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    /// Packets of one second each with DTS from `from` on; returns when they are shown.
    fn shown(timeline: &mut Timeline, stream: usize, from: i64, count: i64) -> Vec<i64> {
        (from..from + count).map(|n| n + timeline.place(stream, n * S, S) / S).collect()
    }

    #[test]
    fn a_clock_that_continues_is_not_changed() {
        let mut timeline = Timeline::default();
        assert_eq!(shown(&mut timeline, 0, 5, 4), [5, 6, 7, 8]);
        // A slide show with five seconds for each slide.
        assert_eq!(shown(&mut timeline, 0, 14, 2), [14, 15]);
    }

    #[test]
    fn a_clock_that_restarts_continues_where_the_last_one_was() {
        for again in [0, 1, 500, 95_444] {
            let mut timeline = Timeline::default();
            shown(&mut timeline, 0, 100, 5);
            assert_eq!(shown(&mut timeline, 0, again, 3), [105, 106, 107], "{again}");
        }
    }

    #[test]
    fn clips_shorter_than_a_second_follow_one_another() {
        let mut timeline = Timeline::default();
        let tenth = S / 10;
        let mut times = Vec::new();
        for _ in 0..5 {
            for n in 0..8 {
                times.push((n * tenth + timeline.place(0, n * tenth, tenth)) / tenth);
                // Sound is slightly ahead, and its packets are shorter.
                timeline.place(1, n * tenth, tenth * 9 / 10);
            }
        }
        assert_eq!(times, (0..40).collect::<Vec<i64>>());
    }

    #[test]
    fn sound_keeps_its_distance_from_the_picture() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.place(0, 10 * S, S), 0);
        assert_eq!(timeline.place(1, 10 * S, S * 9 / 10), 0);
        // Both clocks restart at 1 s; the sound was a tenth of a second shorter.
        assert_eq!(timeline.place(0, S, S), 10 * S);
        // A late packet of the old clock.
        assert_eq!(timeline.place(1, 10 * S + S * 9 / 10, S / 20), 0);
        assert_eq!(timeline.place(1, S, S), 10 * S);
    }
}
