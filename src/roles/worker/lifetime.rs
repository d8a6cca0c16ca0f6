//! How long the provider of a channel keeps a file yet, and when to try again within that time. Everything here is pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::events::Received;

/// What a last try must have left, so that the file is still there when it comes to it.
const MARGIN: Duration = Duration::from_secs(30);

/// What is left of a file's life with its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Its whole life.
    whole: Duration,
    /// What is left of it; nothing where it is over.
    left: Duration,
}

impl Life {
    /// The life of what a request names, `whole` being how long the provider keeps it. It begins when the message was sent, or
    /// else at the time of the event; without both nothing is known of it.
    pub(super) fn of(
        received: &Received,
        asked_at: Option<Timestamp>,
        whole: Duration,
        now: Timestamp,
    ) -> Option<Self> {
        let sent_at = received.message.as_ref().and_then(|message| message.sent_at.as_deref());
        let since = sent_at.and_then(|text| text.parse::<Timestamp>().ok()).or(asked_at)?;
        let age = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
        Some(Self { whole, left: whole.saturating_sub(age) })
    }

    pub(super) const fn is_over(self) -> bool {
        self.left.is_zero()
    }

    /// Whether the last fifth of it has begun.
    pub(super) fn is_urgent(self) -> bool {
        self.left < self.whole / 5
    }

    /// The longest wait of these, in seconds, after which there is time for a try; nothing where it is too late for another one.
    pub(super) fn longest_wait(self, delays_s: &[u64]) -> Option<Duration> {
        let fits = |delay: &Duration| *delay + MARGIN <= self.left;
        delays_s.iter().map(|seconds| Duration::from_secs(*seconds)).filter(fits).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LADDER: &[u64] = &[10, 60, 600];

    fn life(age_s: i64, whole_s: u64) -> Life {
        let received = serde_json::json!({
            "tenant": "acme", "media_id": "m", "origin": { "kind": "channel", "account": "a", "media": "1" },
        });
        let received = serde_json::from_value(received).expect("valid");
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        let sent = Timestamp::from_second(1_790_000_000 - age_s).expect("a time");
        Life::of(&received, Some(sent), Duration::from_secs(whole_s), now).expect("a life")
    }

    #[test]
    fn the_last_try_comes_before_the_end() {
        let waits: Vec<_> = [0, 2_969, 2_971, 3_509, 3_511, 3_559, 3_561, 3_600, 9_000]
            .map(|age_s| life(age_s, 3_600).longest_wait(LADDER).map(|wait| wait.as_secs()))
            .to_vec();
        let expected = [Some(600), Some(600), Some(60), Some(60), Some(10), Some(10), None, None, None];
        assert_eq!(waits, expected);
        assert_eq!(life(0, 3_600).longest_wait(&[]), None);
    }

    #[test]
    fn the_last_fifth_is_urgent_and_the_future_is_young() {
        assert!(!life(2_880, 3_600).is_urgent() && life(2_881, 3_600).is_urgent());
        assert!(life(3_600, 3_600).is_over() && life(9_000, 3_600).is_over() && !life(3_599, 3_600).is_over());
        assert!(!life(-100, 3_600).is_urgent(), "a clock that is ahead");
    }

    #[test]
    fn without_a_time_nothing_is_known() {
        let received = serde_json::json!({
            "tenant": "acme", "media_id": "m", "origin": { "kind": "channel", "account": "a", "media": "1" },
        });
        let received: Received = serde_json::from_value(received).expect("valid");
        assert_eq!(Life::of(&received, None, Duration::from_secs(1), Timestamp::now()), None);
    }
}
