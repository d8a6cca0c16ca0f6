//! Whether a destination takes events now, and how many: shared by its deliveries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config;
use crate::egress::{Breaker, Budget, OpenReason};

/// How often a destination that is stopped has one message looked at, so that those that are too old are dead-lettered.
const SWEEP: Duration = Duration::from_secs(3600);
/// The longest pause that a destination is believed.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// The state of one destination in this process.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    breaker: Breaker,
    places: Arc<Semaphore>,
    /// What is worked on: records of the destination, and media.
    busy: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    paused_until: Option<Instant>,
    /// Events in a row for which the map was wrong.
    mapping_errors: u32,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(config: &config::Destination) -> Self {
        let budget = Budget {
            max_errors: config.max_errors,
            window: Duration::from_secs(config.error_window_s),
            pause: Duration::from_secs(config.error_pause_s),
        };
        Self {
            state: Mutex::default(),
            breaker: Breaker::new(budget),
            places: Arc::new(Semaphore::new(config.concurrency.into())),
            busy: Mutex::default(),
        }
    }

    /// The breaker of its account.
    #[must_use]
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// No event is taken for so long: the destination has asked for it, or its quota is nearly used up.
    pub fn pause_for(&self, wait: Duration) {
        self.pause_from(Instant::now(), wait);
    }

    fn pause_from(&self, now: Instant, wait: Duration) {
        let until = now + wait.min(MAX_PAUSE);
        let mut state = self.lock();
        if state.paused_until.is_none_or(|other| other < until) {
            state.paused_until = Some(until);
        }
    }

    /// Whether an operator is needed before anything is sent again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Stops it, or lets it go on. While it is stopped one message an hour is taken, to see whether it is too old.
    pub fn set_stopped(&self, is_stopped: bool) {
        self.set_stopped_at(is_stopped, Instant::now());
    }

    fn set_stopped_at(&self, is_stopped: bool, now: Instant) {
        let mut state = self.lock();
        if state.is_stopped == is_stopped {
            return;
        }
        state.is_stopped = is_stopped;
        state.paused_until = is_stopped.then(|| now + SWEEP);
        state.mapping_errors = 0;
    }

    /// A message of a stopped destination was looked at: `was_old` where it was dead-lettered, so that the next one is looked at
    /// too.
    pub(super) fn looked(&self, was_old: bool) {
        let mut state = self.lock();
        if state.is_stopped {
            state.paused_until = Some(Instant::now() + if was_old { Duration::ZERO } else { SWEEP });
        }
    }

    /// Until when no event is taken.
    #[must_use]
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_at(Instant::now())
    }

    fn paused_at(&self, now: Instant) -> Option<Instant> {
        let paused = self.lock().paused_until.filter(|until| *until > now);
        let open = self.breaker.state().open.filter(|(why, _)| *why != OpenReason::Slowed);
        paused.max(open.map(|(_, wait)| now + wait))
    }

    /// The map was wrong for an event. How many in a row that are.
    pub(super) fn mapping_failed(&self) -> u32 {
        let mut state = self.lock();
        state.mapping_errors = state.mapping_errors.saturating_add(1);
        state.mapping_errors
    }

    /// An event was delivered.
    pub(super) fn succeeded(&self) {
        self.lock().mapping_errors = 0;
    }

    /// A place for one delivery; nothing only where the semaphore is closed, which does not happen.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// The only one to work on this, once the others are done.
    pub(super) async fn alone_with(&self, what: &str) -> OwnedMutexGuard<()> {
        self.entry(what).lock_owned().await
    }

    /// The only one to work on this, unless somebody is.
    pub(super) fn try_alone_with(&self, what: &str) -> Option<OwnedMutexGuard<()>> {
        self.entry(what).try_lock_owned().ok()
    }

    fn entry(&self, what: &str) -> Arc<AsyncMutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|_, entry| entry.strong_count() > 0);
        if let Some(entry) = busy.get(what).and_then(Weak::upgrade) {
            return entry;
        }
        let entry = Arc::new(AsyncMutex::new(()));
        busy.insert(what.to_owned(), Arc::downgrade(&entry));
        entry
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn gate() -> Gate {
        let flag = ("deliver.crm.kind".to_owned(), "hubspot".to_owned());
        let config = load(None, [], &[flag]).expect("a configuration");
        Gate::new(&config.deliver["crm"])
    }

    #[test]
    fn a_pause_ends_and_the_longer_of_two_counts() {
        let (gate, now) = (gate(), Instant::now());
        gate.pause_from(now, Duration::from_secs(20));
        gate.pause_from(now, Duration::from_secs(5));
        assert_eq!(gate.paused_at(now), Some(now + Duration::from_secs(20)));
        assert_eq!(gate.paused_at(now + Duration::from_secs(21)), None);
    }

    #[test]
    fn a_stopped_destination_is_looked_at_each_hour_and_goes_on_at_once() {
        let (gate, now) = (gate(), Instant::now());
        gate.set_stopped_at(true, now);
        assert_eq!(gate.paused_at(now), Some(now + SWEEP));
        let later = now + SWEEP + Duration::from_secs(1);
        assert!(gate.is_stopped() && gate.paused_at(later).is_none());
        gate.looked(true);
        assert!(gate.paused_until().is_none(), "the next one may be too old as well");
        gate.looked(false);
        assert!(gate.paused_until().is_some());
        gate.set_stopped(false);
        assert!(gate.paused_until().is_none());
    }

    #[tokio::test]
    async fn one_delivery_works_on_a_record() {
        let gate = gate();
        let first = gate.try_alone_with("a").expect("free");
        assert!(gate.try_alone_with("a").is_none() && gate.try_alone_with("b").is_some());
        drop(first);
        drop(gate.alone_with("a").await);
        assert_eq!((gate.mapping_failed(), gate.mapping_failed()), (1, 2));
        gate.succeeded();
        assert_eq!(gate.mapping_failed(), 1);
    }
}
