//! Which tenants have messages that are being handled, for each queue of a role.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shares::Shares;
use crate::broker::WorkQueue;

/// The shares of each queue of a role. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tenants(Arc<Vec<Mutex<Shares>>>);

impl Tenants {
    /// For so many queues.
    pub(super) fn new(queues: usize) -> Self {
        Self(Arc::new((0..queues).map(|_| Mutex::default()).collect()))
    }

    /// The tenants of a queue.
    pub(super) fn shares(&self, queue: usize) -> MutexGuard<'_, Shares> {
        self.0[queue].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message in its tenant's account until this is dropped, except while it waits without a slot.
#[derive(Debug)]
pub(super) struct Account {
    tenants: Tenants,
    queue: WorkQueue,
    tenant: String,
    is_parked: AtomicBool,
}

impl Account {
    /// The work on a message of this tenant from this queue begins.
    pub(super) fn open(tenants: &Tenants, queue: WorkQueue, tenant: &str) -> Self {
        tenants.shares(queue.index).started(tenant, queue.later);
        Self { tenants: tenants.clone(), queue, tenant: tenant.to_owned(), is_parked: AtomicBool::new(false) }
    }

    /// It gives its slot back.
    pub(super) fn park(&self) {
        if !self.is_parked.swap(true, Ordering::Relaxed) {
            self.tenants.shares(self.queue.index).ended(&self.tenant, self.queue.later);
        }
    }

    /// It has a slot again.
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
