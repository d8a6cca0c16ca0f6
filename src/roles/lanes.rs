//! The worker's lanes: what its provider soon forgets, audio, and everything else. They stand outside the worker, since a program
//! without it, too, replays and erases what waits among their dead letters.

use crate::broker::{Delivery, Ladder, QueueSpec};
use crate::config;
use crate::events::URGENT_KEY;

/// One of the worker's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Files whose provider keeps them for a short time only.
    Urgent,
    /// Short sounds.
    Audio,
    /// Everything else, and requests that do not say what kind of file it is.
    Bulk,
}

impl Lane {
    /// All of them, the more urgent one first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Audio, Self::Bulk];

    /// The word used in queue names, headers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Audio => "audio",
            Self::Bulk => "bulk",
        }
    }

    /// The lane that a message came through.
    #[must_use]
    pub const fn of(delivery: &Delivery) -> Self {
        match delivery.queue().index {
            0 => Self::Urgent,
            1 => Self::Audio,
            _ => Self::Bulk,
        }
    }

    /// Its place in [`Lane::ALL`], and so among the queues of the role.
    pub(in crate::roles) const fn index(self) -> usize {
        match self {
            Self::Urgent => 0,
            Self::Audio => 1,
            Self::Bulk => 2,
        }
    }

    /// Routing keys that lead here.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Urgent => &[URGENT_KEY],
            Self::Audio => &["media.received.audio"],
            Self::Bulk => {
                &["media.received", "media.received.video", "media.received.image", "media.received.document"]
            }
        }
    }
}

/// The queues of a worker: its lanes, with second queues, and dead letters that they share.
#[must_use]
pub fn queues(config: &config::Broker) -> Vec<QueueSpec> {
    let spec = |lane: Lane| QueueSpec {
        dead_letters: "dead".to_owned(),
        has_later: true,
        ..QueueSpec::new(
            lane.as_str(),
            lane.keys(),
            Ladder { delays_s: config.retry_delays_s.clone(), jitter_percent: 0 },
        )
    };
    Lane::ALL.map(spec).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_are_the_queues_in_their_order() {
        let config = config::load(None, [], &[]).expect("defaults").broker;
        let names: Vec<_> = queues(&config).into_iter().map(|spec| spec.name).collect();
        assert_eq!(names, Lane::ALL.map(Lane::as_str));
        assert_eq!(Lane::ALL.map(Lane::index), [0, 1, 2]);
    }
}
