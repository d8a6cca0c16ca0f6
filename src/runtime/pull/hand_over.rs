//! Moves what waits in the second queues back to the first ones when a role stops.
//!
//! The processes that go on may be of an older version, which reads the first ones only. Those of this version put such
//! messages off again where that is fair.

use std::time::Duration;

use tokio::time::timeout;

use crate::broker::{BrokerError, Mover, Subscription, WorkQueue};

/// Most messages that are moved at a time.
const BATCH: usize = 64;

/// Moves the messages of all second queues that wait there now to their lanes, for at most `patience`. What is not moved in
/// time stays where it is.
pub(in crate::runtime) async fn hand_over(subscription: &mut Subscription, mover: &mut Mover, patience: Duration) {
    match timeout(patience, empty(subscription, mover)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(messages)) => tracing::info!(messages, "messages of the second queues are back in their lanes"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "messages of the second queues wait for the next process of this version")
        }
        Err(_elapsed) => tracing::warn!("not all messages of the second queues are back in their lanes"),
    }
}

async fn empty(subscription: &mut Subscription, mover: &mut Mover) -> Result<usize, BrokerError> {
    let mut all = 0;
    for inlet in subscription.inlets().iter_mut().filter(|inlet| inlet.queue().later) {
        let plain = WorkQueue::plain(inlet.queue().index);
        // Other workers may put more there meanwhile: those are theirs.
        let mut left = usize::try_from(inlet.count().await?).unwrap_or(usize::MAX);
        while left > 0 {
            let mut batch = Vec::new();
            while batch.len() < BATCH.min(left) {
                let Some((delivery, _behind)) = inlet.get().await? else { break };
                batch.push(delivery);
            }
            if batch.is_empty() {
                break;
            }
            mover.move_all(plain, &batch).await?;
            (all, left) = (all + batch.len(), left - batch.len());
        }
    }
    Ok(all)
}
