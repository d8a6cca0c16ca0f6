//! Limits how many messages are handled at the same time. A worker takes a slot before it takes a message, and gives
//! the slot back while the work on that message only waits.
//!
//! A slot is for work that needs a CPU. Work that waits, for an origin or for an earlier job of the same file, *parks*:
//! it gives its slot back and takes one again when it can continue ([`Lease`](super::Lease)). The number of parked
//! messages is limited, in all and for each tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The slots: how many messages may be handled at the same time, and how many of them from each queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    all: Arc<Semaphore>,
    /// One semaphore for each queue; none for the first queue if it may use all slots.
    of_queue: Arc<Vec<Option<Arc<Semaphore>>>>,
    count: u16,
    counts: Arc<Vec<u16>>,
    /// Notified when a slot is given back.
    freed: Arc<Notify>,
    parked: Parked,
}

/// Counts parked messages, which wait without a slot. Cheap to clone.
#[derive(Debug, Clone)]
struct Parked {
    by_tenant: Arc<Mutex<HashMap<String, usize>>>,
    limit: usize,
    /// Most parked messages of one tenant. The rest is left for the next tenant whose origin is slow.
    limit_of_tenant: usize,
}

/// One parked message, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    parked: Parked,
    tenant: String,
}

/// A slot that is taken until this is dropped.
#[derive(Debug)]
pub struct Slot {
    _all: OwnedSemaphorePermit,
    _of_queue: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// Creates `count` slots, at least one. `counts` says for each queue of the role, the most urgent one first, how
    /// many of them it may use, at least one. At most `parked` messages wait without a slot, at most half of those of
    /// one tenant.
    #[must_use]
    pub fn new(count: u16, counts: &[u16], parked: usize) -> Self {
        let count = count.max(1);
        let counts: Vec<u16> = counts.iter().map(|most| (*most).clamp(1, count)).collect();
        // Queues behind the first one always have a semaphore, because it shows whether any of their messages is
        // handled.
        let semaphore = |(queue, most): (usize, &u16)| {
            (queue > 0 || *most < count).then(|| Arc::new(Semaphore::new((*most).into())))
        };
        Self {
            all: Arc::new(Semaphore::new(count.into())),
            of_queue: Arc::new(counts.iter().enumerate().map(semaphore).collect()),
            count,
            counts: Arc::new(counts),
            freed: Arc::default(),
            parked: Parked { by_tenant: Arc::default(), limit: parked, limit_of_tenant: parked.div_ceil(2) },
        }
    }

    /// How many slots there are.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// How many slots a queue may use, by its index among the role's queues.
    #[must_use]
    pub fn count_of(&self, queue: usize) -> u16 {
        self.counts.get(queue).copied().unwrap_or(self.count)
    }

    /// A slot for a message of this queue, if one is free. Parked messages that wait for a slot come first.
    pub(super) fn take(&self, queue: usize) -> Option<Slot> {
        let of_queue = match self.semaphore(queue) {
            Some(semaphore) => Some(Arc::clone(semaphore).try_acquire_owned().ok()?),
            None => None,
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Slot { _all: all, _of_queue: of_queue })
    }

    /// As [`Slots::take`] for a parked message, which comes before all new messages: waits until a slot is free.
    pub(super) async fn take_back(&self, queue: usize) -> Option<Slot> {
        let of_queue = match self.semaphore(queue) {
            Some(semaphore) => Some(Arc::clone(semaphore).acquire_owned().await.ok()?),
            None => None,
        };
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Slot { _all: all, _of_queue: of_queue })
    }

    /// How many more messages of this queue could start now.
    pub(super) fn room(&self, queue: usize) -> usize {
        let all = self.all.available_permits();
        self.semaphore(queue).map_or(all, |semaphore| all.min(semaphore.available_permits()))
    }

    /// The order in which the queues are tried for a free slot, after a message of the queue `last`. The first queue is
    /// the most urgent and comes first, but each other queue with no running message comes before it, so that urgent
    /// messages cannot keep it waiting for ever. With only one slot the queues take turns.
    pub(super) fn order(&self, last: Option<usize>) -> Vec<usize> {
        let comes_first = |queue: usize| {
            let most = usize::from(self.count_of(queue));
            let is_idle = self.semaphore(queue).is_some_and(|semaphore| semaphore.available_permits() == most);
            queue > 0 && is_idle && (self.count > 1 || last != Some(queue))
        };
        let mut order: Vec<usize> = (0..self.counts.len()).collect();
        // The sort is stable: within both groups the queues keep their order.
        order.sort_by_key(|queue| !comes_first(*queue));
        order
    }

    /// Waits until a message has given back its slot, or has done so since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Makes [`Slots::freed`] return.
    pub(super) fn is_freed(&self) {
        self.freed.notify_one();
    }

    /// Whether this tenant has as many parked messages as it may have. Then no more of its messages are taken.
    pub(super) fn has_max_parked(&self, tenant: &str) -> bool {
        self.parked.of(tenant) >= self.parked.limit_of_tenant
    }

    /// Counts one more parked message of this tenant; `None` if the limits do not allow it.
    pub(super) fn park(&self, tenant: &str) -> Option<Place> {
        self.parked.enter(tenant)
    }

    #[cfg(test)]
    pub(super) fn parked_of(&self, tenant: &str) -> usize {
        self.parked.of(tenant)
    }

    fn semaphore(&self, queue: usize) -> Option<&Arc<Semaphore>> {
        self.of_queue.get(queue)?.as_ref()
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
