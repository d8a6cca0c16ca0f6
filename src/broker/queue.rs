//! Queues as a role specifies them: bindings, retry delays, dead letters.

use rand::Rng;

/// The end of the name of a second queue.
pub(super) const LATER: &str = ".later";
/// How many delay queues a step has when the ladder has jitter.
const QUEUES_PER_STEP: u64 = 4;

/// A queue that a role consumes, with its bindings, retry queues and dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The part of the queue's name behind the exchange's name and a dot: `audio` for `mediamill.audio`. It also names
    /// the queue in headers, logs and metrics, and dead letters store it as the queue to return to.
    pub name: String,
    /// Routing keys of the topic exchange that are bound to the queue.
    pub keys: Vec<String>,
    /// The delays after which a failed message is tried again.
    pub ladder: Ladder,
    /// As `name`, for the dead-letter queue: `dead` for `mediamill.dead`. Several queues may share one.
    pub dead_letters: String,
    /// Whether there is a second queue `<name>.later` without bindings. It holds messages of tenants that already use
    /// more than their share of the slots.
    pub has_later: bool,
    /// After this many seconds in the queue RabbitMQ drops a message: for messages that may not be kept longer. Such a
    /// queue has no dead letters, and `dead_letters` is empty.
    pub lifetime_s: Option<u64>,
}

impl QueueSpec {
    /// A queue with its own dead-letter queue `<name>.dead`, and without a second queue.
    #[must_use]
    pub fn new(name: impl Into<String>, keys: &[&str], ladder: Ladder) -> Self {
        let name = name.into();
        let dead_letters = format!("{name}.dead");
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Self { name, keys, ladder, dead_letters, has_later: false, lifetime_s: None }
    }

    /// A queue without bindings, whose messages are dropped after `lifetime_s` seconds.
    #[must_use]
    pub fn passing(name: impl Into<String>, ladder: Ladder, lifetime_s: u64) -> Self {
        Self { dead_letters: String::new(), lifetime_s: Some(lifetime_s), ..Self::new(name, &[], ladder) }
    }
}

/// The delays after which a message is tried again, one step for each failed try. A step has one or more queues without
/// consumers: their messages expire, and RabbitMQ moves them back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Delays in seconds, one for each step. If empty, nothing is tried again.
    pub delays_s: Vec<u64>,
    /// By how many percent a delay may be longer. With more than 0, each step has several queues with different delays,
    /// and each message goes to a random one of them. Single messages cannot have delays of their own, because a quorum
    /// queue expires messages at its front only.
    pub jitter_percent: u8,
}

impl Ladder {
    /// The delays in seconds of a step's queues; empty if there is no such step.
    pub(super) fn delays_of(&self, step: usize) -> Vec<u64> {
        let Some(&delay_s) = self.delays_s.get(step) else { return Vec::new() };
        if self.jitter_percent == 0 {
            return vec![delay_s];
        }
        let longest_s = delay_s.saturating_mul(self.jitter_percent.into()) / 100;
        let mut delays: Vec<_> = (0..QUEUES_PER_STEP)
            .map(|n| delay_s.saturating_add(longest_s.saturating_mul(n) / (QUEUES_PER_STEP - 1)))
            .collect();
        delays.dedup();
        delays
    }

    /// One delay of a step in seconds, chosen at random.
    pub(super) fn draw(&self, step: usize) -> Option<u64> {
        let delays = self.delays_of(step);
        if delays.len() < 2 {
            return delays.first().copied();
        }
        delays.get(rand::rng().random_range(0..delays.len())).copied()
    }
}

/// A queue that a role consumes: the first or the second one of a [`QueueSpec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkQueue {
    /// Index of the [`QueueSpec`] among those of the role.
    pub index: usize,
    /// Whether this is the second queue, `<name>.later`.
    pub later: bool,
}

impl WorkQueue {
    /// The first queue, which events and retries go to.
    #[must_use]
    pub const fn plain(index: usize) -> Self {
        Self { index, later: false }
    }

    /// The second queue.
    #[must_use]
    pub const fn later(index: usize) -> Self {
        Self { index, later: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_makes_delays_longer_and_never_shorter() {
        let ladder = |jitter_percent| Ladder { delays_s: vec![1, 60], jitter_percent };
        assert_eq!(ladder(0).delays_of(1), [60]);
        assert_eq!(ladder(50).delays_of(1), [60, 70, 80, 90]);
        assert_eq!(ladder(20).delays_of(0), [1], "jitter of less than a second is left out");
        assert_eq!((ladder(20).delays_of(2), ladder(20).draw(2)), (Vec::new(), None));
        let drawn: std::collections::BTreeSet<_> = (0..200).filter_map(|_| ladder(50).draw(1)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [60, 70, 80, 90]);
    }
}
