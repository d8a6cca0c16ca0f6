//! Jobs at the same time: a slot is taken before a message is.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config;

/// How many jobs at the same time, and how many of them may be bulk.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    count: u16,
    bulk_count: u16,
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// As configured: 0 slots are one for each CPU. Where there is but one slot, both lanes share it.
    #[must_use]
    pub fn new(config: &config::Worker) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if config.slots == 0 { cpus } else { config.slots };
        // The prefetch of AMQP is 16 bits wide.
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let audio_only = u16::try_from(config.audio_slots).unwrap_or(u16::MAX).min(count.saturating_sub(1));
        let bulk_count = count - audio_only;
        Self {
            all: Arc::new(Semaphore::new(count.into())),
            bulk: Arc::new(Semaphore::new(bulk_count.into())),
            count,
            bulk_count,
        }
    }

    /// All of them; also the audio lane's prefetch.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Those that bulk may use; also its prefetch.
    #[must_use]
    pub const fn bulk_count(&self) -> u16 {
        self.bulk_count
    }

    /// Waits for a free slot.
    pub(super) async fn free(&self) -> Slot {
        Slot { _permit: Arc::clone(&self.all).acquire_owned().await.ok() }
    }

    /// Waits until one more bulk job may run.
    pub(super) async fn free_for_bulk(&self) -> Slot {
        Slot { _permit: Arc::clone(&self.bulk).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(slots: usize, audio_slots: usize) -> (u16, u16) {
        let mut config = config::load(None, [], &[]).expect("defaults").worker;
        (config.slots, config.audio_slots) = (slots, audio_slots);
        let slots = Slots::new(&config);
        (slots.count(), slots.bulk_count())
    }

    #[test]
    fn bulk_always_has_a_slot_and_audio_has_its_own_where_there_are_two() {
        assert_eq!(slots(4, 1), (4, 3));
        assert_eq!(slots(4, 0), (4, 4));
        assert_eq!(slots(1, 1), (1, 1));
        assert_eq!(slots(2, 9), (2, 1));
        assert!(slots(0, 1).0 >= 1);
    }
}
