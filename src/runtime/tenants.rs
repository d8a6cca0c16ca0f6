//! Which tenants have messages that are handled now, for each queue of a role.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shares::Shares;
use crate::broker::WorkQueue;

/// The [`Shares`] of each queue of a role. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tenants(Arc<Vec<Mutex<Shares>>>);

impl Tenants {
    /// Creates the shares for this many queues.
    pub(super) fn new(queues: usize) -> Self {
        Self(Arc::new((0..queues).map(|_| Mutex::default()).collect()))
    }

    /// The shares of a queue.
    pub(super) fn shares(&self, queue: usize) -> MutexGuard<'_, Shares> {
        self.0[queue].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a message for its tenant until this is dropped, except while it waits without a slot.
#[derive(Debug)]
pub(super) struct Account {
    tenants: Tenants,
    queue: WorkQueue,
    tenant: String,
    is_parked: AtomicBool,
}

impl Account {
    /// Counts a message of this tenant from this queue, whose handling begins.
    pub(super) fn open(tenants: &Tenants, queue: WorkQueue, tenant: &str) -> Self {
        tenants.shares(queue.index).started(tenant, queue.later);
        Self { tenants: tenants.clone(), queue, tenant: tenant.to_owned(), is_parked: AtomicBool::new(false) }
    }

    /// The message has given its slot back.
    pub(super) fn park(&self) {
        if !self.is_parked.swap(true, Ordering::Relaxed) {
            self.tenants.shares(self.queue.index).ended(&self.tenant, self.queue.later);
        }
    }

    /// The message has a slot again.
    pub(super) fn resume(&self) {
        if self.is_parked.swap(false, Ordering::Relaxed) {
            self.tenants.shares(self.queue.index).resumed(&self.tenant, self.queue.later);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.park();
    }
}
