//! The minimum rate of a transfer. A read timeout does not stop a server that sends single bytes with pauses in
//! between.

use std::time::Duration;

use tokio::time::Instant;

/// The minimum rate of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    bytes_per_s: u64,
    window: Duration,
}

/// Measures the rate of a transfer.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    began: Instant,
    bytes: u64,
}

/// The transfer is slower than the minimum rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fewer than {bytes_per_s} bytes a second arrived for {window_s} s")]
pub struct TooSlow {
    bytes_per_s: u64,
    window_s: u64,
}

impl Pace {
    /// At least this many bytes a second, on average over each window.
    #[must_use]
    pub const fn new(bytes_per_s: u64, window: Duration) -> Self {
        Self { bytes_per_s, window }
    }

    /// No minimum rate.
    #[must_use]
    pub const fn any() -> Self {
        Self { bytes_per_s: 0, window: Duration::MAX }
    }

    /// Starts measuring.
    #[must_use]
    pub const fn begin(self, now: Instant) -> Pacer {
        Pacer { pace: self, began: now, bytes: 0 }
    }
}

impl Pacer {
    /// Adds bytes that have arrived. A window is judged when it ends, so a pause within it does no harm.
    ///
    /// # Errors
    /// [`TooSlow`] if the window that has ended had too few bytes.
    pub fn took(&mut self, bytes: u64, now: Instant) -> Result<(), TooSlow> {
        self.bytes += bytes;
        let passed = now.saturating_duration_since(self.began);
        if passed < self.pace.window {
            return Ok(());
        }
        if u128::from(self.bytes) * 1000 < u128::from(self.pace.bytes_per_s) * passed.as_millis() {
            let Pace { bytes_per_s, window } = self.pace;
            return Err(TooSlow { bytes_per_s, window_s: window.as_secs() });
        }
        (self.began, self.bytes) = (now, 0);
        Ok(())
    }

    /// Leaves out time that the caller spent on something else, such as writing to a disk.
    pub fn excuse(&mut self, time: Duration) {
        self.began += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { bytes_per_s: 100, window: Duration::from_secs(10) };

    #[test]
    fn a_transfer_below_the_minimum_rate_is_given_up_after_a_window() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        for second in 1..10 {
            assert!(pacer.took(99, start + Duration::from_secs(second)).is_ok(), "{second}");
        }
        assert!(matches!(pacer.took(99, start + Duration::from_secs(10)), Err(TooSlow { .. })));
        assert!(Pace::any().begin(start).took(1, start + Duration::from_secs(100_000)).is_ok());
    }

    #[test]
    fn a_pause_does_no_harm_if_the_window_has_enough_bytes() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        assert!(pacer.took(1000, start + Duration::from_secs(10)).is_ok());
        assert!(pacer.took(0, start + Duration::from_secs(19)).is_ok());
        assert!(pacer.took(1000, start + Duration::from_secs(20)).is_ok());
        // Bytes of one window do not count for the next.
        assert!(pacer.took(5, start + Duration::from_secs(30)).is_err());
    }

    #[test]
    fn time_spent_on_writing_to_the_disk_does_not_count() {
        let start = Instant::now();
        let mut pacer = PACE.begin(start);
        pacer.excuse(Duration::from_secs(9));
        assert!(pacer.took(500, start + Duration::from_secs(14)).is_ok());
    }
}
