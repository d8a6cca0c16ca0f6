//! Slots of a worker, and how many fetches wait beside them.

use crate::config;
use crate::runtime::Slots;

/// Fetches that may be parked for each slot, where the configuration sets no number.
const FETCHES_PER_SLOT: usize = 4;

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
    use crate::roles::lanes::Lane;

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
}
