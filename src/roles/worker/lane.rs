//! The worker's lanes: what its provider soon forgets, audio, and everything else.

use crate::broker::{Delivery, Ladder, QueueSpec};
use crate::config;
use crate::events::URGENT_KEY;
use crate::runtime::Slots;

/// Fetches that may be parked for each slot, where the configuration sets no number.
const FETCHES_PER_SLOT: usize = 4;

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
    pub(super) const fn index(self) -> usize {
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

/// The slots of a worker, as configured: 0 are one for each CPU. Some of them are for audio alone, but never all.
#[must_use]
pub fn slots(config: &config::Worker) -> Slots {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let count = if config.slots == 0 { cpus } else { config.slots };
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let audio_only = u16::try_from(config.audio_slots).unwrap_or(u16::MAX).min(count.saturating_sub(1));
    Slots::new(count, &[count, count, count - audio_only], fetches(config, count))
}

/// Jobs that may wait for their origins without a slot.
fn fetches(config: &config::Worker, count: u16) -> usize {
    if config.fetches == 0 { FETCHES_PER_SLOT * usize::from(count) } else { config.fetches }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(slots: usize, audio_slots: usize) -> config::Worker {
        let mut config = config::load(None, [], &[]).expect("defaults").worker;
        config.slots = slots;
        config.audio_slots = audio_slots;
        config
    }

    fn counts(count: usize, audio_slots: usize) -> (u16, u16) {
        let slots = slots(&config(count, audio_slots));
        (slots.count(), slots.count_of(Lane::Bulk.index()))
    }

    #[test]
    fn bulk_always_has_a_slot_and_audio_has_its_own_where_there_are_two() {
        assert_eq!(counts(4, 1), (4, 3));
        assert_eq!(counts(4, 0), (4, 4));
        assert_eq!(counts(1, 1), (1, 1));
        assert_eq!(counts(2, 9), (2, 1));
        assert!(counts(0, 1).0 >= 1);
    }

    #[test]
    fn four_jobs_a_slot_may_wait_for_their_origins() {
        assert_eq!(fetches(&config(8, 0), 8), 32);
        assert_eq!(fetches(&config::Worker { fetches: 5, ..config(8, 0) }, 8), 5);
    }

    #[test]
    fn the_lanes_are_the_queues_in_their_order() {
        let config = config::load(None, [], &[]).expect("defaults").broker;
        let names: Vec<_> = queues(&config).into_iter().map(|spec| spec.name).collect();
        assert_eq!(names, Lane::ALL.map(Lane::as_str));
        assert_eq!(Lane::ALL.map(Lane::index), [0, 1, 2]);
    }
}
