//! The slowest that a transfer may be. An origin that sends a byte now and then is never silent, and never done.

use std::time::Duration;

use tokio::time::Instant;

use super::SourceError;
use crate::config::Source;

/// The slowest that a transfer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    bytes_per_s: u64,
    window: Duration,
}

/// How a transfer does.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    began: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(config: &Source) -> Self {
        Self { bytes_per_s: config.min_bytes_per_s, window: Duration::from_secs(config.min_rate_window_s) }
    }

    /// Any rate will do.
    pub(super) const fn any() -> Self {
        Self { bytes_per_s: 0, window: Duration::MAX }
    }

    /// A transfer begins.
    pub(super) const fn begin(self, now: Instant) -> Pacer {
        Pacer { pace: self, began: now, bytes: 0 }
    }
}

impl Pacer {
    /// So many bytes have arrived now. Each window is judged when it is over, so that a pause within one is forgiven.
    pub(super) fn took(&mut self, bytes: u64, now: Instant) -> Result<(), SourceError> {
        self.bytes += bytes;
        let passed = now.saturating_duration_since(self.began);
        if passed < self.pace.window {
            return Ok(());
        }
        if u128::from(self.bytes) * 1000 < u128::from(self.pace.bytes_per_s) * passed.as_millis() {
            let Pace { bytes_per_s, window } = self.pace;
            let text = format!("fewer than {bytes_per_s} bytes a second arrived for {} s", window.as_secs());
            return Err(SourceError::Timeout(text));
        }
        (self.began, self.bytes) = (now, 0);
        Ok(())
    }

    /// So long the disk was waited for: none of the origin's doing.
    pub(super) fn excuse(&mut self, time: Duration) {
        self.began += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { bytes_per_s: 100, window: Duration::from_secs(10) };

    #[test]
    fn a_transfer_that_trickles_is_given_up_after_a_window() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        for second in 1..10 {
            assert!(pacer.took(99, start + Duration::from_secs(second)).is_ok(), "{second}");
        }
        assert!(matches!(pacer.took(99, start + Duration::from_secs(10)), Err(SourceError::Timeout(_))));
        assert!(Pace::any().begin(start).took(1, start + Duration::from_secs(100_000)).is_ok());
    }

    #[test]
    fn a_pause_is_forgiven_where_the_window_has_its_bytes() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        assert!(pacer.took(1000, start + Duration::from_secs(10)).is_ok());
        assert!(pacer.took(0, start + Duration::from_secs(19)).is_ok());
        assert!(pacer.took(1000, start + Duration::from_secs(20)).is_ok());
        // What was sent in one window does not count for the next.
        assert!(pacer.took(5, start + Duration::from_secs(30)).is_err());
    }

    #[test]
    fn the_time_that_the_disk_takes_is_not_the_origins() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        pacer.excuse(Duration::from_secs(9));
        assert!(pacer.took(500, start + Duration::from_secs(14)).is_ok());
    }
}
