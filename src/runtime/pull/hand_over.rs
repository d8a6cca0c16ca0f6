//! Moves the messages of second queues back to the first ones when a role stops.
//!
//! Processes that keep running may be of an older version, which consumes only the first queues. Processes of this
//! version postpone such messages again if the shares of tenants require it.

use std::time::Duration;

use tokio::time::timeout;

use crate::broker::{BrokerError, Mover, Subscription, WorkQueue};

/// Most messages that are moved together.
const BATCH: usize = 64;

/// Moves the messages that wait now in all second queues to the first queues, for at most `patience`. Messages that are
/// not moved in time stay where they are.
pub(in crate::runtime) async fn hand_over(subscription: &mut Subscription, mover: &mut Mover, patience: Duration) {
    match timeout(patience, empty(subscription, mover)).await {
        Ok(Ok(0)) => {}
        Ok(Ok(messages)) => {
            tracing::info!(messages, "messages were moved from the second queues (.later) back to the first queues")
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "messages stay in the second queues (.later) for the next process of this version")
        }
        Err(_elapsed) => {
            tracing::warn!("messages are left in the second queues (.later): the time for moving them is over")
        }
    }
}

async fn empty(subscription: &mut Subscription, mover: &mut Mover) -> Result<usize, BrokerError> {
    let mut all = 0;
    for inlet in subscription.inlets().iter_mut().filter(|inlet| inlet.queue().later) {
        let plain = WorkQueue::plain(inlet.queue().index);
        // Other workers may add messages meanwhile; those are not moved.
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
