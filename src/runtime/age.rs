//! The age of an event, computed from the time that its sender wrote into it.

use std::time::Duration;

use jiff::Timestamp;

/// If an event's time is further in the past than this, the time is wrong: no message waits that long.
pub const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far the clocks of senders may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The age of an event by its own time; `None` if that time is not plausible, because one sender with a wrong clock
/// would distort the histogram.
#[must_use]
pub fn age(of: Timestamp) -> Option<Duration> {
    age_at(of, Timestamp::now())
}

fn age_at(of: Timestamp, now: Timestamp) -> Option<Duration> {
    let ahead: Duration = of.duration_since(now).try_into().unwrap_or_default();
    // Clocks differ between machines, so a time slightly in the future counts as now.
    let age: Duration = now.duration_since(of).try_into().unwrap_or_default();
    (age <= MAX_AGE && ahead <= CLOCK_SKEW).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_times_are_not_measured() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let now = at("2026-06-10T12:00:00Z");
        assert_eq!(age_at(at("2026-06-10T11:59:30Z"), now), Some(Duration::from_secs(30)));
        assert_eq!(age_at(at("2026-06-03T12:00:00Z"), now), Some(MAX_AGE));
        assert_eq!(age_at(at("2026-06-03T11:59:59Z"), now), None);
        assert_eq!(age_at(at("1970-01-01T00:00:00Z"), now), None);
        assert_eq!(age_at(at("2026-06-10T12:00:20Z"), now), Some(Duration::ZERO));
        assert_eq!(age_at(at("2026-06-10T12:02:00Z"), now), None);
    }
}
