//! What a job has of the broker and of the slots.

use std::sync::Arc;

use tokio::time::Instant;

use super::slots::Lease;

/// What a job has that a worker took from the broker.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// When its message was delivered: its deadline counts from then.
    pub(super) received_at: Instant,
    /// Its slot, which it gives back while its origin keeps it waiting.
    pub(super) lease: Arc<Lease>,
}

/// Waits for a fetch, without a slot where that takes long.
pub(super) async fn lend<T>(receipt: Option<&Receipt>, fetch: impl Future<Output = T>) -> T {
    match receipt {
        Some(receipt) => receipt.lease.lend(fetch).await,
        None => fetch.await,
    }
}
