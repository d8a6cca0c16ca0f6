//! What this process has taken by webhook, and whether it may have missed some: what a run of `reconcile` can leave out.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::channels::Outgoing;

/// Most messages that are remembered as taken between two runs.
const MAX_KNOWN: usize = 100_000;

/// What this process has taken by webhook, and whether it may have missed some.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Ids of messages: since the last run, and of the time before it.
    known: Mutex<[HashSet<String>; 2]>,
    is_missing: Mutex<bool>,
    back: Notify,
}

impl Taken {
    /// A webhook's events are confirmed.
    pub(super) fn took(&self, events: &[Outgoing]) {
        let ids = events.iter().filter_map(|outgoing| outgoing.event.data.message()?.message_id.as_deref());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids.map(str::to_owned) {
            if known[0].len() < MAX_KNOWN {
                known[0].insert(id);
            }
        }
        drop(known);
        if std::mem::take(&mut *self.is_missing.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.back.notify_one();
        }
    }

    /// A webhook was not taken, for want of the broker or of room.
    pub(super) fn missed(&self) {
        *self.is_missing.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Whether this message was taken since the run before the last one.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|ids| ids.contains(id))
    }

    /// A run has ended.
    pub(super) fn next_run(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known[1] = std::mem::take(&mut known[0]);
    }

    /// Waits until a webhook is taken after others were not.
    pub(super) async fn is_back(&self) {
        self.back.notified().await;
    }
}
