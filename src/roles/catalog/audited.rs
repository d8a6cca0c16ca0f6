//! Keeps the index of the audit log up to date, from which `mediamill subject` learns where a person is named.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::index::Index;
use crate::privacy::audit;
use crate::store::Store;

/// How often entries are added to the index: those of this time at most are read one after the other by whoever asks.
const EVERY: Duration = Duration::from_secs(600);

/// Adds the entries of all processes to the index, at once and then every 10 minutes, until `shutdown`. What fails is tried again
/// the next time; meanwhile nobody misses an entry, since those behind the index are read from the store.
pub async fn index_audit_log(index: Arc<dyn Index>, store: Store, shutdown: CancellationToken) {
    let mut past_gaps = true;
    let keeping = async {
        loop {
            match audit::extend(&store, &*index, past_gaps).await {
                Ok(entries) => tracing::debug!(entries, "the index of the audit log is up to date"),
                Err(error) => {
                    tracing::error!(%error, "the index of the audit log cannot be extended: it is tried again in 10 minutes")
                }
            }
            // To look for gaps lists the whole log: once a process.
            past_gaps = false;
            tokio::time::sleep(EVERY).await;
        }
    };
    shutdown.run_until_cancelled(keeping).await;
}
