//! Runs a role: connects, consumes while the role can handle messages, reconnects when the connection is lost, and
//! drains on shutdown.
//!
//! One task does all of this step by step; messages are handled in tasks of their own ([`jobs`](super::jobs)). Three
//! facts determine the design.
//!
//! A connection may be lost at any time. RabbitMQ then gives all unacknowledged messages to other consumers while this
//! process still works on them. So the result of work must not depend on which process does it.
//!
//! A process that cannot handle anything (a wrong key, a full disk) fails faster than others succeed, and would take
//! most of the messages. It takes none until a check has passed.
//!
//! A process that is told to stop first ends its consumers, so that no new messages arrive, then gives running work a
//! grace period, and then returns the remaining messages for other processes.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::consume::Batches;
use super::health::Health;
use super::jobs::{Jobs, PUT_BACK_TIMEOUT, Runner};
use super::metrics::Metrics;
use super::pull::{End, Taker, hand_over};
use super::role::{Intake, Role};
use super::settle::Settler;
use super::tenants::Tenants;
use crate::broker::{Backoff, BrokerError, Mover, Publisher, Subscription, Topology};
use crate::config;

/// The longest time that a stopping role spends on moving messages of second queues back.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);
/// The part of the broker's time limit for acknowledgements that the work on a message may use.
const WORK_TIME_PART: f64 = 0.9;

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
    /// A role that has not connected yet. `publisher` has the topology of the role's queues. Work that runs at shutdown
    /// has `grace` to end.
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

    /// The metrics, for what serves the role beside its queues.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.runner.settler.metrics
    }

    /// Runs until `shutdown`, then lets running work end within the grace period and returns the remaining messages.
    ///
    /// # Errors
    /// If the broker refuses this process before it has consumed for the first time: an operator is needed. Later
    /// errors are waited out.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        // Polled in the same task as the loop, so that the heartbeat stops if the loop hangs.
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

    /// Waits until the role can handle a message. With a wrong key or a full disk it would otherwise take messages from
    /// healthy processes, faster than those do, and each message would lose a try.
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

    /// Consumes over one connection until it is lost, or until told to stop. While the role cannot handle anything it
    /// takes no messages but keeps the connection, so that running work can still be acknowledged.
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
            hand_over(&mut subscription, &mut mover, self.grace.min(HAND_OVER_TIMEOUT)).await;
            // No longer than running work may take: the broker requeues by itself what is not acknowledged.
            let stopped = timeout(self.grace + PUT_BACK_TIMEOUT, subscription.stop()).await;
            tracing::info!(jobs = jobs.tasks.len(), heard = stopped.is_ok(), "no longer consuming");
        };
        // Both at the same time: a broker that does not respond must not shorten the grace period.
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

/// How long after its receipt a message may be worked on, so that it is acknowledged within the broker's time limit.
#[must_use]
pub fn work_time(config: &config::Broker) -> Duration {
    Duration::from_secs(config.ack_timeout_s).mul_f64(WORK_TIME_PART)
}
