//! Takes messages in batches ([`Intake::Consume`](super::Intake::Consume)).
//!
//! Each queue has a consumer of its own with a prefetch. A batch holds the messages that have arrived when a handler
//! becomes free: the first message does not wait for others, and the next batch fills while earlier ones are handled.
//! Deliveries that were not begun are returned to the queue when the role pauses it, stops, or cannot handle anything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::jobs::{Jobs, Runner};
use super::pull::End;
use super::role::Role;
use super::settle::give_back;
use crate::broker::{BrokerError, Delivery, Inlet, Mover, Subscription};
use crate::config;

/// How often a queue without messages checks whether the role has paused it.
const PAUSE_POLL: Duration = Duration::from_millis(500);
/// How long operations with the broker may take to end after the role is told to stop.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

/// Consumes all queues of a role in batches.
pub(super) struct Batches<'a, R: Role> {
    pub(super) runner: &'a Arc<Runner<R>>,
    pub(super) jobs: &'a Jobs,
    pub(super) config: &'a config::Broker,
    pub(super) prefetch: u16,
    pub(super) batch: u16,
}

impl<R: Role> Batches<'_, R> {
    /// Consumes until told to stop, or until the role cannot handle anything.
    pub(super) async fn run(
        &self,
        subscription: &mut Subscription,
        shutdown: &CancellationToken,
    ) -> Result<End, BrokerError> {
        if subscription.inlets().is_empty() {
            return without_queues(subscription, shutdown).await;
        }
        // When one queue ends, all end.
        let stop = shutdown.child_token();
        let queues = subscription.inlets().iter_mut().map(|inlet| self.queue(inlet, &stop));
        let give_up = async {
            stop.cancelled().await;
            sleep(BROKER_TIMEOUT).await;
        };
        select! {
            ended = try_join_all(queues) => drop(ended?),
            // A broker that does not respond must not shorten the grace period of running jobs.
            () = give_up => return given_up(shutdown),
        }
        Ok(if shutdown.is_cancelled() { End::Shutdown } else { End::Unable })
    }

    async fn queue(&self, inlet: &mut Inlet, stop: &CancellationToken) -> Result<(), BrokerError> {
        let most = usize::from(self.batch.max(1));
        let prefetch = self.prefetch.max(self.batch).max(1);
        let running = Arc::new(Semaphore::new((usize::from(prefetch) / most).max(1)));
        let mut mover = Mover::new(self.config, &self.runner.settler.topology);
        while !stop.is_cancelled() {
            if self.is_unable() {
                stop.cancel();
                break;
            }
            if let Some(until) = self.paused_until(inlet.queue().index) {
                select! {
                    () = stop.cancelled() => break,
                    () = sleep_until(until) => continue,
                }
            }
            for delivery in self.while_open(inlet, prefetch, &running, stop).await? {
                give_back(&mut mover, &delivery, self.runner.delivery_limit).await;
            }
        }
        Ok(())
    }

    /// Starts batches until the queue is paused or `stop` is cancelled. Returns the deliveries that were not begun.
    async fn while_open(
        &self,
        inlet: &mut Inlet,
        prefetch: u16,
        running: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let queue = inlet.queue().index;
        let mut window = inlet.look(prefetch).await?;
        loop {
            let permit = select! {
                () = stop.cancelled() => break,
                permit = permit(running) => permit,
                error = window.fill() => return Err(error),
            };
            // Checked after the wait for a permit: the batches before this one may have shown that the role cannot work
            // now.
            let (Some(permit), false) = (permit, self.is_unable() || self.paused_until(queue).is_some()) else { break };
            let gather = window.gather(usize::from(self.batch.max(1)), PAUSE_POLL);
            let Some(batch) = stop.run_until_cancelled(gather).await else { break };
            let batch = batch?;
            if !batch.is_empty() {
                self.jobs.start_batch(self.runner, batch, permit);
            }
        }
        window.close().await
    }

    fn is_unable(&self) -> bool {
        self.runner.role.is_unable() || self.runner.role.able().is_err()
    }

    fn paused_until(&self, queue: usize) -> Option<Instant> {
        self.runner.role.paused_until(queue).filter(|until| *until > Instant::now())
    }
}

/// How consuming ends when deliveries could not be returned in time. At a shutdown the connection is closed anyway.
/// Otherwise it has to be replaced, because the broker would keep those deliveries reserved for it as long as it is
/// open.
fn given_up(shutdown: &CancellationToken) -> Result<End, BrokerError> {
    if shutdown.is_cancelled() {
        return Ok(End::Shutdown);
    }
    Err(BrokerError::Timeout { action: "giving deliveries back" })
}

/// A role without queues only publishes. Its connection stays open because the health check uses it.
async fn without_queues(subscription: &Subscription, shutdown: &CancellationToken) -> Result<End, BrokerError> {
    while shutdown.run_until_cancelled(sleep(PAUSE_POLL)).await.is_some() {
        if !subscription.is_open() {
            let detail = "the connection is closed".to_owned();
            return Err(BrokerError::Unavailable { action: "checking the connection", detail });
        }
    }
    Ok(End::Shutdown)
}

/// The permit to handle one more batch; `None` if the semaphore is closed, which does not happen.
async fn permit(running: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(running).acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_with_deliveries_that_were_not_given_back_is_replaced_unless_the_process_stops() {
        let shutdown = CancellationToken::new();
        assert!(matches!(given_up(&shutdown), Err(BrokerError::Timeout { .. })));
        shutdown.cancel();
        assert_eq!(given_up(&shutdown), Ok(End::Shutdown));
    }
}
