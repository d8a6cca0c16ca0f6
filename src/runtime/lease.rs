//! A message's claim to a slot. The message gives the slot back while its job only waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::metrics::{Busy, Metrics};
use super::slots::{Place, Slot, Slots};
use super::tenants::Account;

/// A wait shorter than this keeps the slot: giving it up and taking one again would cost more than it gains.
const SHORT_WAIT: Duration = Duration::from_millis(500);
/// How long work that could continue waits for a slot. After that another process may have a free one.
const RESUME_TIMEOUT: Duration = Duration::from_secs(60);

/// A message's claim to a slot: with a slot at first, later with or without.
#[derive(Debug)]
pub struct Lease {
    slots: Slots,
    queue: usize,
    label: String,
    tenant: String,
    metrics: Metrics,
    brief: Duration,
    patience: Duration,
    taken: Mutex<Option<(Slot, Busy)>>,
    place: Mutex<Option<Place>>,
    /// Dropped before the slot: the next message for the slot is chosen by the accounts of the tenants.
    account: Mutex<Option<Account>>,
    late: AtomicBool,
}

impl Lease {
    /// The claim of a message from this queue and tenant, with the slot in which its work starts. The label names the
    /// queue in metrics.
    pub(super) fn new(
        slots: &Slots,
        slot: Slot,
        (queue, label): (usize, &str),
        tenant: &str,
        metrics: &Metrics,
    ) -> Self {
        let busy = metrics.busy(label);
        Self {
            slots: slots.clone(),
            queue,
            label: label.to_owned(),
            tenant: tenant.to_owned(),
            metrics: metrics.clone(),
            brief: SHORT_WAIT,
            patience: RESUME_TIMEOUT,
            taken: Mutex::new(Some((slot, busy))),
            place: Mutex::new(None),
            account: Mutex::new(None),
            late: AtomicBool::new(false),
        }
    }

    /// Adds the tenant's account, in which the message is counted while it has a slot.
    pub(super) fn with(self, account: Account) -> Self {
        *self.account() = Some(account);
        self
    }

    /// Whether the message got no slot again within the time limit.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// Gives the slot back if the number of waiting messages allows it. Returns whether it did.
    pub fn park(&self) -> bool {
        let Some(place) = self.slots.park(&self.tenant) else { return false };
        *self.place() = Some(place);
        if let Some(account) = &*self.account() {
            account.park();
        }
        drop(self.taken().take());
        self.slots.is_freed();
        true
    }

    /// Waits until the message has a slot, up to a minute and not beyond `deadline`. Returns whether it has one. New
    /// messages cannot overtake it: the semaphore gives permits in the order in which they are requested.
    pub async fn resume(&self, deadline: Instant) -> bool {
        if self.taken().is_some() {
            return true;
        }
        let until = deadline.min(Instant::now() + self.patience);
        let Ok(Some(slot)) = timeout_at(until, self.slots.take_back(self.queue)).await else {
            self.late.store(true, Ordering::Relaxed);
            return false;
        };
        if let Some(account) = &*self.account() {
            account.resume();
        }
        let busy = self.metrics.busy(&self.label);
        *self.taken() = Some((slot, busy));
        *self.place() = None;
        // The tenant has one parked message less, so the loop may take its messages again.
        self.slots.is_freed();
        true
    }

    /// Waits for `fetch` and gives the slot back meanwhile if that takes long. Call [`Lease::resume`] before work that
    /// needs a CPU.
    pub async fn lend<T>(&self, fetch: impl Future<Output = T>) -> T {
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
        self.slots.is_freed();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const AUDIO: usize = 0;
    const BULK: usize = 1;

    /// Two queues: the first may use all slots, the second must leave `audio_only` of them free.
    fn slots(count: u16, audio_only: u16) -> Slots {
        Slots::new(count, &[count, count - audio_only], 4 * usize::from(count))
    }

    fn lease(slots: &Slots, queue: usize, tenant: &str) -> Lease {
        let slot = slots.take(queue).expect("a free slot");
        Lease::new(slots, slot, (queue, "queue"), tenant, &Metrics::default())
    }

    #[test]
    fn bulk_leaves_the_reserved_slots_alone() {
        let slots = slots(2, 1);
        assert_eq!((slots.room(AUDIO), slots.room(BULK)), (2, 1));
        let film = slots.take(BULK).expect("a slot");
        assert!(slots.take(BULK).is_none());
        assert_eq!((slots.room(AUDIO), slots.room(BULK)), (1, 0));
        let note = slots.take(AUDIO).expect("the reserved one");
        assert!(slots.take(AUDIO).is_none());
        drop(film);
        assert_eq!((slots.room(AUDIO), slots.room(BULK)), (1, 1));
        drop(note);
    }

    #[tokio::test]
    async fn a_fetch_that_lasts_holds_no_slot_and_a_brief_one_keeps_it() {
        let slots = slots(1, 0);
        let mut job = lease(&slots, BULK, "acme");
        let room = || slots.room(BULK);
        job.lend(async { assert_eq!(room(), 0, "it has not waited long yet") }).await;
        job.brief = Duration::ZERO;
        // Ends when the slot is given back.
        job.lend(slots.freed()).await;
        assert_eq!(room(), 1, "it waits without a slot");
        let other = lease(&slots, AUDIO, "acme");
        let resume = job.resume(Instant::now() + SOON);
        tokio::pin!(resume);
        assert!(resume.as_mut().now_or_never().is_none(), "another job has the slot");
        drop(other);
        assert!(slots.take(AUDIO).is_none(), "whoever waits for its slot comes before a new message");
        assert!(resume.await && !job.is_late());
        assert_eq!(room(), 0);
    }

    #[tokio::test]
    async fn a_job_that_gets_no_slot_in_time_is_late_and_stops_waiting() {
        let slots = slots(1, 0);
        let brief = Duration::from_millis(20);
        for (patience, deadline) in [(brief, SOON), (SOON, brief)] {
            let mut job = lease(&slots, BULK, "acme");
            job.patience = patience;
            assert!(job.park());
            let other = lease(&slots, BULK, "other");
            assert!(!job.resume(Instant::now() + deadline).await && job.is_late());
            drop(other);
            assert_eq!(slots.room(BULK), 1, "it no longer waits");
            drop(job);
            assert_eq!(slots.parked_of("acme"), 0);
        }
    }

    #[test]
    fn bulk_comes_first_while_no_bulk_job_runs() {
        let [one, two] = [slots(1, 0), slots(2, 1)];
        let first = |slots: &Slots, last| slots.order(Some(last))[0];
        assert_eq!([AUDIO, BULK].map(|last| first(&two, last)), [BULK; 2]);
        let film = two.take(BULK).expect("a slot");
        assert_eq!(first(&two, AUDIO), AUDIO);
        drop(film);
        // With only one slot the queues take turns.
        assert_eq!([AUDIO, BULK].map(|last| first(&one, last)), [BULK, AUDIO]);
    }

    #[test]
    fn no_tenant_has_all_places_of_parked_messages() {
        let slots = slots(8, 0);
        let acme: Vec<_> = (0..16)
            .map(|_| {
                let job = lease(&slots, BULK, "acme");
                assert!(!slots.has_max_parked("acme") && job.park());
                job
            })
            .collect();
        let more = lease(&slots, BULK, "acme");
        assert!(slots.has_max_parked("acme") && !more.park(), "it keeps its slot");
        assert!(lease(&slots, BULK, "other").park());
        drop(acme);
        assert!(!slots.has_max_parked("acme") && more.park());
    }
}
