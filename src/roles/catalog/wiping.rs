//! Has the database write out what it keeps of erased rows, soon after they were erased and once for many of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::index::Index;

/// Erasures seldom come alone: one wipe is for all of this time.
const GATHER: Duration = Duration::from_secs(1);
/// A wipe takes at most one part in so many of the time: one of a large database takes seconds.
const SHARE: u32 = 20;
/// Before a wipe that failed is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Wipes in a task of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Wiping(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: Arc<dyn Index>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether rows were erased since the last wipe began. At the start nobody knows.
    is_due: bool,
    is_running: bool,
}

impl Wiping {
    pub(super) fn new(index: Arc<dyn Index>) -> Self {
        Self(Arc::new(Inner { index, state: Mutex::new(State { is_due: true, is_running: false }) }))
    }

    /// Begins where a wipe is due, and none is under way. `erased`: whether rows were erased just now.
    pub(super) fn after(&self, erased: bool) {
        let mut state = self.0.state();
        state.is_due |= erased;
        if state.is_due && !state.is_running {
            state.is_running = true;
            tokio::spawn(wipe(Arc::clone(&self.0)));
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the task goes on.
    fn goes_on(&self) -> bool {
        let mut state = self.state();
        state.is_running = state.is_due;
        std::mem::take(&mut state.is_due)
    }
}

async fn wipe(inner: Arc<Inner>) {
    while inner.goes_on() {
        tokio::time::sleep(GATHER).await;
        let started = Instant::now();
        if let Err(error) = inner.index.wipe_residues().await {
            tracing::warn!(%error, "the database still keeps what was erased in its log or its pages: it is tried again");
            inner.state().is_due = true;
            tokio::time::sleep(AGAIN).await;
        }
        tokio::time::sleep(started.elapsed() * SHARE).await;
    }
}
