//! At most one job for each media runs in this process at the same time.
//!
//! After a lost connection the broker delivers again what is still being worked on, and senders repeat themselves. The
//! second message waits for the first one's manifest instead of doing the work beside it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Key = (String, String);

/// The media files that are being worked on.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>>);

/// The right to work on one media file.
#[derive(Debug)]
pub(super) struct Turn {
    all: InFlight,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl InFlight {
    /// The turn, where no other job works on this file.
    pub(super) fn free_turn(&self, tenant: &str, media_id: &str) -> Option<Turn> {
        let key = (tenant.to_owned(), media_id.to_owned());
        let lock = Arc::clone(self.map().entry(key.clone()).or_default());
        let held = Some(lock.try_lock_owned().ok()?);
        Some(Turn { all: self.clone(), key, held })
    }

    /// Waits until no other job works on this file.
    pub(super) async fn turn(&self, tenant: &str, media_id: &str) -> Turn {
        let key = (tenant.to_owned(), media_id.to_owned());
        let lock = Arc::clone(self.map().entry(key.clone()).or_default());
        // Made before waiting, so that dropping this future removes the entry, too.
        let mut turn = Turn { all: self.clone(), key, held: None };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut map = self.all.map();
        self.held = None;
        // Only the map refers to the lock: no job has it or waits for it.
        if map.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_same_file_waits_and_another_does_not() {
        let inflight = InFlight::default();
        let first = inflight.turn("acme", "1").await;
        drop(inflight.turn("acme", "2").await);
        assert!(inflight.free_turn("acme", "1").is_none());
        drop(inflight.free_turn("acme", "2").expect("another file"));
        assert!(timeout(Duration::from_millis(20), inflight.turn("acme", "1")).await.is_err());
        drop(first);
        drop(inflight.turn("acme", "1").await);
        assert!(inflight.map().is_empty());
    }
}
