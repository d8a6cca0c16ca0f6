//! Jobs at the same time: a slot is taken before a message is, and lent to others while a job only waits.
//!
//! A slot is for decoding. A job that waits for its origin, or for the same file's job before it, *parks*: it gives its
//! slot back and takes one again when it can go on. Parked jobs are counted, in all and for each tenant.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::desk::Account;
use super::metrics::{Busy, Metrics};
use crate::broker::Lane;
use crate::config;

/// A fetch that takes no longer than this keeps its slot: changing slots would cost more than it gains.
const BRIEF: Duration = Duration::from_millis(500);
/// A job that has its file waits no longer than this for a slot: another worker may have one.
const RESUME: Duration = Duration::from_secs(60);
/// Fetches that may be parked for each slot, where the configuration does not say.
const FETCHES_PER_SLOT: usize = 4;

/// How many jobs at the same time, and how many of them may be bulk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    bulk: Arc<Semaphore>,
    count: u16,
    bulk_count: u16,
    /// A slot became free.
    freed: Arc<Notify>,
    parked: Parked,
}

/// Jobs that wait without a slot. Cheap to clone.
#[derive(Debug, Clone)]
struct Parked {
    by_tenant: Arc<Mutex<HashMap<String, usize>>>,
    limit: usize,
    /// No tenant may have more of them: the others are there for the next one whose origin is slow.
    limit_of_tenant: usize,
}

/// A place among the parked until this is dropped.
#[derive(Debug)]
struct Place {
    parked: Parked,
    tenant: String,
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _all: OwnedSemaphorePermit,
    _bulk: Option<OwnedSemaphorePermit>,
}

/// A job's right to a slot: with one at first, and then with or without.
#[derive(Debug)]
pub(super) struct Lease {
    slots: Slots,
    lane: Lane,
    tenant: String,
    metrics: Metrics,
    brief: Duration,
    patience: Duration,
    taken: Mutex<Option<(Slot, Busy)>>,
    place: Mutex<Option<Place>>,
    /// Dropped before the slot is: whoever fills that goes by the accounts.
    account: Mutex<Option<Account>>,
    late: AtomicBool,
}

impl Slots {
    /// As configured: 0 slots are one for each CPU. Where there is but one slot, both lanes share it.
    #[must_use]
    pub fn new(config: &config::Worker) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if config.slots == 0 { cpus } else { config.slots };
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let audio_only = u16::try_from(config.audio_slots).unwrap_or(u16::MAX).min(count.saturating_sub(1));
        let bulk_count = count - audio_only;
        let limit = if config.fetches == 0 { FETCHES_PER_SLOT * usize::from(count) } else { config.fetches };
        let limit_of_tenant = limit.div_ceil(2);
        Self {
            all: Arc::new(Semaphore::new(count.into())),
            bulk: Arc::new(Semaphore::new(bulk_count.into())),
            count,
            bulk_count,
            freed: Arc::default(),
            parked: Parked { by_tenant: Arc::default(), limit, limit_of_tenant },
        }
    }

    /// All of them.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Those that bulk may use.
    #[must_use]
    pub const fn bulk_count(&self) -> u16 {
        self.bulk_count
    }

    /// A slot for a job of this lane, where one is free. Parked jobs that want theirs back come first.
    pub(super) fn take(&self, lane: Lane) -> Option<Slot> {
        let bulk = match lane {
            Lane::Audio => None,
            Lane::Bulk => Some(Arc::clone(&self.bulk).try_acquire_owned().ok()?),
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Slot { _all: all, _bulk: bulk })
    }

    /// How many more jobs of this lane could start now.
    pub(super) fn room(&self, lane: Lane) -> usize {
        let all = self.all.available_permits();
        match lane {
            Lane::Audio => all,
            Lane::Bulk => all.min(self.bulk.available_permits()),
        }
    }

    /// Which lane a free slot looks into first, after a job of the lane `last`. Bulk where none of it is at work, so that no
    /// number of voice notes keeps it waiting; where there is but one slot, the lanes take turns. Else audio.
    pub(super) fn order(&self, last: Option<Lane>) -> [Lane; 2] {
        let is_idle = self.bulk.available_permits() == usize::from(self.bulk_count);
        let is_its_turn = self.count > 1 || last != Some(Lane::Bulk);
        if is_idle && is_its_turn { [Lane::Bulk, Lane::Audio] } else { [Lane::Audio, Lane::Bulk] }
    }

    /// Waits until a job has given back its slot, or one has done so since this was last asked.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Whether this tenant has as many jobs waiting for slow origins as it may have: no more of its messages are taken.
    pub(super) fn waits_enough(&self, tenant: &str) -> bool {
        self.parked.of(tenant) >= self.parked.limit_of_tenant
    }

    async fn again(&self, lane: Lane) -> Option<Slot> {
        let bulk = match lane {
            Lane::Audio => None,
            Lane::Bulk => Some(Arc::clone(&self.bulk).acquire_owned().await.ok()?),
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Slot { _all: all, _bulk: bulk })
    }
}

impl Parked {
    fn map(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: &str) -> usize {
        self.map().get(tenant).copied().unwrap_or(0)
    }

    fn enter(&self, tenant: &str) -> Option<Place> {
        let mut map = self.map();
        let (all, own) = (map.values().sum::<usize>(), map.get(tenant).copied().unwrap_or(0));
        if all >= self.limit || own >= self.limit_of_tenant {
            return None;
        }
        map.insert(tenant.to_owned(), own + 1);
        drop(map);
        Some(Place { parked: self.clone(), tenant: tenant.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut map = self.parked.map();
        if let Some(count) = map.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.tenant);
            }
        }
    }
}

impl Lease {
    /// The right of a job of this lane and tenant, with the slot that it starts in.
    pub(super) fn new(slots: &Slots, slot: Slot, lane: Lane, tenant: &str, metrics: &Metrics) -> Self {
        let busy = metrics.busy(lane);
        Self {
            slots: slots.clone(),
            lane,
            tenant: tenant.to_owned(),
            metrics: metrics.clone(),
            brief: BRIEF,
            patience: RESUME,
            taken: Mutex::new(Some((slot, busy))),
            place: Mutex::new(None),
            account: Mutex::new(None),
            late: AtomicBool::new(false),
        }
    }

    /// The same, with the account that the job is in while it has a slot.
    pub(super) fn with(self, account: Account) -> Self {
        *self.account() = Some(account);
        self
    }

    /// Whether the job waited for a slot until it was too late.
    pub(super) fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// Gives the slot back, where one more job may wait without; says whether it did.
    pub(super) fn park(&self) -> bool {
        let Some(place) = self.slots.parked.enter(&self.tenant) else { return false };
        *self.place() = Some(place);
        if let Some(account) = &*self.account() {
            account.park();
        }
        drop(self.taken().take());
        self.slots.freed.notify_one();
        true
    }

    /// Waits for a slot, where this has none, for a minute and not beyond `deadline`; says whether it has one. New messages
    /// get no slot meanwhile: the permits are given in the order in which they are asked for.
    pub(super) async fn resume(&self, deadline: Instant) -> bool {
        if self.taken().is_some() {
            return true;
        }
        let until = deadline.min(Instant::now() + self.patience);
        let Ok(Some(slot)) = timeout_at(until, self.slots.again(self.lane)).await else {
            self.late.store(true, Ordering::Relaxed);
            return false;
        };
        if let Some(account) = &*self.account() {
            account.resume();
        }
        let busy = self.metrics.busy(self.lane);
        *self.taken() = Some((slot, busy));
        *self.place() = None;
        // Whoever is not taken from while it has too many jobs waiting has one less.
        self.slots.freed.notify_one();
        true
    }

    /// Waits for a fetch, without a slot where that takes long. [`Lease::resume`] before any work that takes CPU.
    pub(super) async fn lend<T>(&self, fetch: impl Future<Output = T>) -> T {
        let mut fetch = Box::pin(fetch);
        tokio::select! {
            fetched = &mut fetch => return fetched,
            () = sleep(self.brief) => {}
        }
        self.park();
        fetch.await
    }

    fn taken(&self) -> MutexGuard<'_, Option<(Slot, Busy)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> MutexGuard<'_, Option<Account>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.account().take());
        drop(self.taken().take());
        drop(self.place().take());
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn slots(slots: usize, audio_slots: usize) -> Slots {
        let mut config = config::load(None, [], &[]).expect("defaults").worker;
        config.slots = slots;
        config.audio_slots = audio_slots;
        Slots::new(&config)
    }

    fn counts(count: usize, audio_slots: usize) -> (u16, u16) {
        let slots = slots(count, audio_slots);
        (slots.count(), slots.bulk_count())
    }

    fn lease(slots: &Slots, lane: Lane, tenant: &str) -> Lease {
        let slot = slots.take(lane).expect("a free slot");
        Lease::new(slots, slot, lane, tenant, &Metrics::default())
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
    fn bulk_leaves_the_reserved_slots_alone() {
        let slots = slots(2, 1);
        assert_eq!((slots.room(Lane::Audio), slots.room(Lane::Bulk)), (2, 1));
        let film = slots.take(Lane::Bulk).expect("a slot");
        assert!(slots.take(Lane::Bulk).is_none());
        assert_eq!((slots.room(Lane::Audio), slots.room(Lane::Bulk)), (1, 0));
        let note = slots.take(Lane::Audio).expect("the reserved one");
        assert!(slots.take(Lane::Audio).is_none());
        drop(film);
        assert_eq!((slots.room(Lane::Audio), slots.room(Lane::Bulk)), (1, 1));
        drop(note);
    }

    #[tokio::test]
    async fn a_fetch_that_lasts_holds_no_slot_and_a_brief_one_keeps_it() {
        let slots = slots(1, 0);
        let mut job = lease(&slots, Lane::Bulk, "acme");
        let room = || slots.room(Lane::Bulk);
        job.lend(async { assert_eq!(room(), 0, "it is brief so far") }).await;
        job.brief = Duration::ZERO;
        // Ends when the slot is free.
        job.lend(slots.freed()).await;
        assert_eq!(room(), 1, "it waits without a slot");
        let other = lease(&slots, Lane::Audio, "acme");
        let resume = job.resume(Instant::now() + SOON);
        tokio::pin!(resume);
        assert!(resume.as_mut().now_or_never().is_none(), "another job has the slot");
        drop(other);
        assert!(slots.take(Lane::Audio).is_none(), "whoever waits for its slot comes before a new message");
        assert!(resume.await && !job.is_late());
        assert_eq!(room(), 0);
    }

    #[tokio::test]
    async fn a_job_that_gets_no_slot_in_time_is_late_and_takes_none() {
        let slots = slots(1, 0);
        let brief = Duration::from_millis(20);
        for (patience, deadline) in [(brief, SOON), (SOON, brief)] {
            let mut job = lease(&slots, Lane::Bulk, "acme");
            job.patience = patience;
            assert!(job.park());
            let other = lease(&slots, Lane::Bulk, "other");
            assert!(!job.resume(Instant::now() + deadline).await && job.is_late());
            drop(other);
            assert_eq!(slots.room(Lane::Bulk), 1, "it no longer waits");
            drop(job);
            assert_eq!(slots.parked.of("acme"), 0);
        }
    }

    #[test]
    fn bulk_is_looked_at_first_while_none_is_at_work() {
        let [one, two] = [slots(1, 0), slots(2, 1)];
        let first = |slots: &Slots, last| slots.order(Some(last))[0];
        assert_eq!([Lane::Audio, Lane::Bulk].map(|last| first(&two, last)), [Lane::Bulk; 2]);
        let film = two.take(Lane::Bulk).expect("a slot");
        assert_eq!(first(&two, Lane::Audio), Lane::Audio);
        drop(film);
        // Where there is but one slot, they take turns.
        assert_eq!([Lane::Audio, Lane::Bulk].map(|last| first(&one, last)), [Lane::Bulk, Lane::Audio]);
    }

    #[test]
    fn no_tenant_has_all_the_places_of_those_who_wait() {
        let slots = slots(8, 0);
        assert_eq!(slots.parked.limit, 32);
        let acme: Vec<_> = (0..16)
            .map(|_| {
                let job = lease(&slots, Lane::Bulk, "acme");
                assert!(!slots.waits_enough("acme") && job.park());
                job
            })
            .collect();
        let more = lease(&slots, Lane::Bulk, "acme");
        assert!(slots.waits_enough("acme") && !more.park(), "it keeps its slot");
        assert!(lease(&slots, Lane::Bulk, "other").park());
        drop(acme);
        assert!(!slots.waits_enough("acme") && more.park());
    }
}
