//! Runs a role: connects, takes messages while it can handle any, connects again when the connection is lost, and
//! drains on shutdown.
//!
//! One task does all of this, one step after the other; the work on messages runs in tasks of its own
//! ([`jobs`](super::jobs)). Three facts decide how it works. A connection may be lost at any time: RabbitMQ then gives
//! all messages that were not acknowledged to other consumers, while the work on them goes on here; that is why the
//! outcome of work must not depend on who does it. A process that can handle nothing (a wrong key, a full disk) fails
//! faster than others succeed, and would take most of the messages: it takes none until a check has passed. And a
//! process that is told to stop first ends its consumers, so that nothing new comes, then gives running work a grace
//! period, and then puts the rest back for others.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::consume::Batches;
use super::health::Health;
use super::jobs::{Jobs, LAST_WORDS, Runner};
use super::metrics::Metrics;
use super::pull::{End, Taker, hand_over};
use super::role::{Intake, Role};
use super::settle::Settler;
use super::tenants::Tenants;
use crate::broker::{Backoff, BrokerError, Mover, Publisher, Subscription, Topology};
use crate::config;

/// Longest time that a role that stops spends on what waits in second queues.
const HAND_OVER: Duration = Duration::from_secs(10);
/// How much of the broker's patience with an acknowledgement the work on a message may use up.
const WORK_PART: f64 = 0.9;

/// A role that runs until told to stop.
#[derive(Debug)]
pub struct Service<R: Role> {
    config: config::Broker,
    grace: Duration,
    intake: Intake,
    runner: Arc<Runner<R>>,
    health: Health,
}

impl<R: Role> Service<R> {
    /// A role that has not connected yet. `publisher` has the topology of the role's queues; what runs at shutdown has `grace`
    /// to end.
    ///
    /// # Errors
    /// [`BrokerError::Config`]
    pub fn new(
        config: &config::Broker,
        grace: Duration,
        role: R,
        publisher: Publisher,
        metrics: Metrics,
    ) -> Result<Self, BrokerError> {
        let topology = Topology::new(config, role.queues())?;
        let runner = Arc::new(Runner {
            tenants: Tenants::new(topology.specs().len()),
            delivery_limit: topology.delivery_limit(),
            work_time: work_time(config),
            role,
            settler: Settler { publisher, topology, metrics },
        });
        let health = Health::new(&runner);
        Ok(Self { config: config.clone(), grace, intake: runner.role.intake(), runner, health })
    }

    /// Health and metrics.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Works until `shutdown`, then finishes what it has within the grace period and puts back the rest.
    ///
    /// # Errors
    /// Where the broker refuses this process before it ever consumed: an operator is needed. Everything later is waited
    /// out.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        // In the same task, so that there is no beat where the loop hangs.
        select! {
            ended = self.connect_and_consume(shutdown) => ended,
            () = self.health.beat() => Ok(()),
        }
    }

    async fn connect_and_consume(&self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        let jobs = Jobs::default();
        let mut backoff = Backoff::new(&self.config);
        let mut consumed_before = false;
        while !shutdown.is_cancelled() {
            if shutdown.run_until_cancelled(self.until_able()).await.is_none() {
                break;
            }
            let open = Subscription::open(&self.config, &self.runner.settler.topology);
            let error = match shutdown.run_until_cancelled(open).await {
                None => break,
                Some(Ok(subscription)) => {
                    consumed_before = true;
                    backoff.reset();
                    match Box::pin(self.consume(subscription, &jobs, &shutdown)).await {
                        Ok(()) => return Ok(()),
                        Err(error) => {
                            self.runner.settler.metrics.disconnected();
                            error
                        }
                    }
                }
                Some(Err(error)) => error,
            };
            self.health.consumes(None);
            let hopeless = matches!(error, BrokerError::Refused { .. } | BrokerError::Config(_));
            if hopeless && !consumed_before {
                return Err(error);
            }
            tracing::warn!(%error, "connecting to the broker again");
            select! {
                () = shutdown.cancelled() => {}
                () = backoff.pause() => {}
            }
        }
        self.health.stops();
        jobs.finish(self.grace).await;
        Ok(())
    }

    /// Waits until the role could handle a message. With a wrong key or a full disk it would otherwise take the messages of
    /// processes that are well, faster than they do, and each message would lose a try.
    async fn until_able(&self) {
        let mut backoff = Backoff::new(&self.config);
        loop {
            let Err(fault) = Box::pin(self.runner.role.check()).await else { break };
            tracing::warn!(reason = fault.message(), "taking no messages until this has passed");
            self.health.waits_for(Some(fault.message()));
            backoff.pause().await;
        }
        self.health.waits_for(None);
    }

    /// Takes messages over one connection until it is lost, or until told to stop. While the role can handle nothing it takes
    /// none and keeps the connection: what runs can still be acknowledged.
    async fn consume(
        &self,
        mut subscription: Subscription,
        jobs: &Jobs,
        shutdown: &CancellationToken,
    ) -> Result<(), BrokerError> {
        loop {
            self.health.consumes(Some(subscription.depths()));
            if self.take(&mut subscription, jobs, shutdown).await? == End::Shutdown {
                break;
            }
            self.health.consumes(None);
            let able_again = async {
                subscription.stop().await;
                self.until_able().await;
            };
            if shutdown.run_until_cancelled(able_again).await.is_none() {
                break;
            }
        }
        self.health.stops();
        let stop = async {
            let mut mover = Mover::new(&self.config, &self.runner.settler.topology);
            hand_over(&mut subscription, &mut mover, self.grace.min(HAND_OVER)).await;
            // No longer than what runs may take: the broker puts back by itself what is not acknowledged.
            let stopped = timeout(self.grace + LAST_WORDS, subscription.stop()).await;
            tracing::info!(jobs = jobs.tasks.len(), heard = stopped.is_ok(), "no longer consuming");
        };
        // At the same time: a broker that has fallen silent takes nothing off the grace period.
        tokio::join!(stop, jobs.finish(self.grace));
        subscription.close().await;
        Ok(())
    }
    async fn take(
        &self,
        subscription: &mut Subscription,
        jobs: &Jobs,
        shutdown: &CancellationToken,
    ) -> Result<End, BrokerError> {
        match &self.intake {
            Intake::Pull(slots) => {
                tracing::info!(role = R::NAME, slots = slots.count(), "consuming");
                let mover = Mover::new(&self.config, &self.runner.settler.topology);
                Taker::new(&self.runner, slots, jobs, subscription, mover).run(shutdown).await
            }
            Intake::Consume { prefetch, batch } => {
                let (prefetch, batch) = (*prefetch, *batch);
                tracing::info!(role = R::NAME, prefetch, batch, "consuming");
                let batches = Batches { runner: &self.runner, jobs, config: &self.config, prefetch, batch };
                batches.run(subscription, shutdown).await
            }
        }
    }
}

/// How long after its receipt a message may be worked on, so that the broker is still patient when it is acknowledged.
#[must_use]
pub fn work_time(config: &config::Broker) -> Duration {
    Duration::from_secs(config.ack_timeout_s).mul_f64(WORK_PART)
}
