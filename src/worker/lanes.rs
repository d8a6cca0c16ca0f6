//! The loop around the slots: a lost connection, another one; no ability, a wait for it; SIGTERM, an end.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ability::Ability;
use super::desk::{Desk, Jobs, LAST_WORDS};
use super::hand_over::hand_over;
use super::health::Health;
use super::inflight::InFlight;
use super::pipeline::Pipeline;
use super::settle::Settler;
use super::slots::Slots;
use super::take::{End, Taker};
use crate::broker::{Backoff, BrokerError, Mover, Publisher, Subscription, Topology};
use crate::config::{self, Config};

/// Longest time that a worker that stops spends on what waits in the second queues.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Consumes both lanes until told to stop.
#[derive(Debug)]
pub struct Worker {
    config: config::Broker,
    grace: Duration,
    slots: Slots,
    desk: Arc<Desk>,
    health: Health,
}

impl Worker {
    /// A worker that talks to nobody yet.
    ///
    /// # Errors
    /// [`BrokerError::Config`]
    pub fn new(config: &Config, slots: Slots, pipeline: Pipeline) -> Result<Self, BrokerError> {
        let topology = Topology::new(&config.broker)?;
        let settler = Settler {
            publisher: Publisher::new(&config.broker, topology.clone()),
            delays_s: config.broker.retry_delays_s.clone(),
            event_source: config.worker.event_source.clone(),
            metrics: pipeline.metrics().clone(),
            topology,
        };
        let delivery_limit = config.broker.delivery_limit;
        let reserved = slots.count() - slots.bulk_count();
        let sandbox = pipeline.sandbox();
        let libav = &sandbox.libav().versions;
        pipeline.metrics().describe([reserved, slots.bulk_count()], &sandbox.status(), libav);
        let health = Health::new(pipeline.clone(), settler.publisher.clone());
        let desk = Desk {
            ability: Ability::new(pipeline.clone()),
            pipeline,
            settler,
            inflight: InFlight::default(),
            delivery_limit,
            turn_patience: Duration::from_secs(config.broker.ack_timeout_s) / 4,
            shares: Default::default(),
        };
        Ok(Self {
            config: config.broker.clone(),
            grace: Duration::from_secs(config.worker.grace_s),
            slots,
            desk: Arc::new(desk),
            health,
        })
    }

    /// For those who ask how it is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Works until `shutdown`, then finishes what it has within the grace period and puts back the rest.
    ///
    /// # Errors
    /// Where the broker refuses this worker before it ever consumed: an operator is needed. Everything later is waited
    /// out.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        // In the same task, so that there is no beat where the loop hangs.
        select! {
            ended = self.turn(shutdown) => ended,
            () = self.health.beat() => Ok(()),
        }
    }

    async fn turn(&self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        let jobs = Jobs::default();
        let mut backoff = Backoff::new(&self.config);
        let mut consumed_before = false;
        while !shutdown.is_cancelled() {
            if shutdown.run_until_cancelled(self.until_able()).await.is_none() {
                break;
            }
            let open = Subscription::open(&self.config, &self.desk.settler.topology);
            let error = match shutdown.run_until_cancelled(open).await {
                None => break,
                Some(Ok(subscription)) => {
                    consumed_before = true;
                    backoff.reset();
                    match Box::pin(self.consume(subscription, &jobs, &shutdown)).await {
                        Ok(()) => return Ok(()),
                        Err(error) => {
                            self.desk.settler.metrics.disconnected();
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

    /// Waits until this worker could do a job. With a wrong key, a full disk or no fork server it would else take the
    /// messages of those that are well, faster than they do, and each would lose a try.
    async fn until_able(&self) {
        let mut backoff = Backoff::new(&self.config);
        loop {
            // Boxed, as everything that has the store's futures in it.
            let Err(fault) = Box::pin(self.desk.ability.check()).await else { break };
            tracing::warn!(reason = fault.message(), "taking no messages until this has passed");
            self.health.waits_for(Some(fault.message()));
            backoff.pause().await;
        }
        self.health.waits_for(None);
    }

    /// Takes messages over one connection until it is lost, or until told to stop. While this worker can do no job it takes
    /// none and keeps the connection: what runs can still be acknowledged, and what it waits for does not wait for that.
    async fn consume(
        &self,
        mut subscription: Subscription,
        jobs: &Jobs,
        shutdown: &CancellationToken,
    ) -> Result<(), BrokerError> {
        loop {
            tracing::info!(slots = self.slots.count(), "consuming");
            self.health.consumes(Some(subscription.lookout()));
            let mover = Mover::new(&self.config, &self.desk.settler.topology);
            let taker = Taker::new(&self.desk, &self.slots, jobs, &mut subscription, mover);
            if taker.run(shutdown).await? == End::Shutdown {
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
            let mut mover = Mover::new(&self.config, &self.desk.settler.topology);
            hand_over(&mut subscription, &mut mover, self.grace.min(HAND_OVER)).await;
            // As long as the jobs may take, and no longer: the broker puts back by itself what it hears nothing of.
            let stopped = timeout(self.grace + LAST_WORDS, subscription.stop()).await;
            tracing::info!(jobs = jobs.tasks.len(), heard = stopped.is_ok(), "no longer consuming");
        };
        // At the same time: a broker that has fallen silent takes nothing off the grace period.
        tokio::join!(stop, jobs.finish(self.grace));
        subscription.close().await;
        Ok(())
    }
}
