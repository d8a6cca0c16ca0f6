//! The loop: a slot, a delivery, a task; a lost connection, another one; SIGTERM, an end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::select;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::health::Health;
use super::inflight::InFlight;
use super::job::{Job, Pipeline};
use super::outcome::{Failure, Outcome};
use super::settle::{Reading, Request, Settler, put_back, worn_out};
use super::slots::{Slot, Slots};
use super::spans;
use crate::broker::{Backoff, BrokerError, Delivery, Lane, Publisher, Subscription, Topology};
use crate::config::{self, Config};
use crate::error::{Code, Fault};
use crate::events::Stage;

/// How much nicer bulk work is than voice: nine parts of a busy CPU to a voice note, one to a thread of a video.
const BULK_NICE: i32 = 10;
/// For what is still to be said to the broker when the grace period is over.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often, and how many times, a worker that can do no job looks whether it can again before it lets go of its lanes.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const LOOKS: usize = 10;

/// Consumes both lanes until told to stop.
#[derive(Debug)]
pub struct Worker {
    config: config::Broker,
    grace: Duration,
    slots: Slots,
    desk: Arc<Desk>,
    health: Health,
}

/// What every delivery is handled with.
#[derive(Debug)]
struct Desk {
    pipeline: Pipeline,
    settler: Settler,
    inflight: InFlight,
    delivery_limit: u32,
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
        let desk = Desk { pipeline, settler, inflight: InFlight::default(), delivery_limit };
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
            let error = match self.subscribe(&shutdown).await {
                None => break,
                Some(Ok(mut subscription)) => {
                    tracing::info!(slots = self.slots.count(), "consuming");
                    consumed_before = true;
                    backoff.reset();
                    self.health.consumes(Some(subscription.lookout()));
                    match self.consume(&mut subscription, &jobs, &shutdown).await {
                        Ok(End::Unable) => {
                            self.health.consumes(None);
                            subscription.stop().await;
                            if shutdown.run_until_cancelled(jobs.idle()).await.is_none() {
                                self.health.stops();
                                jobs.finish(self.grace).await;
                            }
                            // What was sent here and not begun goes to somebody else.
                            subscription.close().await;
                            continue;
                        }
                        Ok(End::Shutdown) => {
                            self.health.stops();
                            let stop = async {
                                subscription.stop().await;
                                tracing::info!(jobs = jobs.tasks.len(), "no longer consuming");
                            };
                            // At the same time: a broker that has fallen silent takes nothing off the grace period.
                            tokio::join!(stop, jobs.finish(self.grace));
                            subscription.close().await;
                            return Ok(());
                        }
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
            let stored = Box::pin(self.desk.pipeline.store().check()).await.map_err(Fault::from);
            let Err(fault) = stored.and_then(|()| self.desk.pipeline.able()) else { return };
            tracing::warn!(reason = fault.message(), "taking no messages until this has passed");
            backoff.pause().await;
        }
    }

    async fn subscribe(&self, shutdown: &CancellationToken) -> Option<Result<Subscription, BrokerError>> {
        let topology = &self.desk.settler.topology;
        let open = Subscription::open(&self.config, topology, self.slots.count(), self.slots.bulk_count());
        shutdown.run_until_cancelled(open).await
    }

    /// Whether this worker could do a job, after a while in which a fork server may start again or a job make room.
    async fn is_able(&self) -> bool {
        for _ in 0..LOOKS {
            if self.desk.pipeline.able().is_ok() {
                return true;
            }
            sleep(LOOK_AGAIN).await;
        }
        false
    }

    /// Takes deliveries until told to stop.
    async fn consume(
        &self,
        subscription: &mut Subscription,
        jobs: &Jobs,
        shutdown: &CancellationToken,
    ) -> Result<End, BrokerError> {
        let Subscription { audio, bulk, .. } = subscription;
        loop {
            let Some(slot) = shutdown.run_until_cancelled(self.slots.free()).await else {
                return Ok(End::Shutdown);
            };
            match shutdown.run_until_cancelled(self.is_able()).await {
                Some(true) => {}
                Some(false) => return Ok(End::Unable),
                None => return Ok(End::Shutdown),
            }
            let next_bulk = async {
                let slot = self.slots.free_for_bulk().await;
                (slot, bulk.next().await)
            };
            let (delivery, bulk_slot) = select! {
                () = shutdown.cancelled() => return Ok(End::Shutdown),
                delivery = audio.next() => (delivery?, None),
                (slot, delivery) = next_bulk => (delivery?, Some(slot)),
            };
            jobs.start(Arc::clone(&self.desk), delivery, [Some(slot), bulk_slot]);
        }
    }
}

/// Why no more deliveries are taken.
enum End {
    /// For good.
    Shutdown,
    /// For now: this worker cannot do what they ask for.
    Unable,
}

/// Running deliveries.
#[derive(Debug, Default)]
struct Jobs {
    tasks: TaskTracker,
    abandon: CancellationToken,
}

impl Jobs {
    fn start(&self, desk: Arc<Desk>, delivery: Delivery, slots: [Option<Slot>; 2]) {
        let abandon = self.abandon.clone();
        let busy = desk.settler.metrics.busy(delivery.lane());
        self.tasks.spawn(async move {
            if abandon.run_until_cancelled(desk.handle(&delivery)).await.is_none() {
                put_back(&delivery).await;
            }
            drop((slots, busy));
        });
    }

    /// Waits for what runs, however long that takes.
    async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Waits for what runs, and puts back what does not end in time: that attempt does not count.
    async fn finish(&self, grace: Duration) {
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(jobs = self.tasks.len(), "the grace period is over: putting back what still runs");
        self.abandon.cancel();
        if timeout(LAST_WORDS, self.tasks.wait()).await.is_err() {
            tracing::warn!("the broker did not hear of it and puts it back by itself");
        }
    }
}

impl Desk {
    /// From a delivery to its acknowledgement.
    async fn handle(&self, delivery: &Delivery) {
        let reading = Reading::of(delivery);
        let span = spans::process(delivery, &self.settler.topology.lane(delivery.lane()), &reading);
        let named = spans::named(&reading, &span);
        Box::pin(self.answer(delivery, reading)).instrument(span).instrument(named).await;
    }

    async fn answer(&self, delivery: &Delivery, reading: Reading) {
        match reading {
            Reading::Unreadable(error) => self.settler.bury_unreadable(delivery, error).await,
            Reading::Invalid(request, fault) => {
                let failure = Failure { stage: Stage::Parse, fault };
                self.settler.settle(delivery, &request, "", Err(failure)).await;
            }
            Reading::Request(request) => {
                if delivery.tries().attempts == 0 && delivery.delivered_before() == 0 {
                    self.settler.metrics.taken(delivery.lane(), request.asked_at);
                }
                let _turn = self.inflight.turn(&request.received.tenant, &request.received.media_id).await;
                // Before the work: the profiles may be others when it ends.
                let version = self.pipeline.profile_version(&request.received);
                let job = self.job(delivery, &request);
                let result = match worn_out(delivery, self.delivery_limit) {
                    Some(failure) => self.pipeline.done(&job).await.ok_or(failure),
                    None => self.work(&job).await,
                };
                self.settler.settle(delivery, &request, &version, result).await;
            }
        }
    }

    fn job(&self, delivery: &Delivery, request: &Request) -> Job {
        let nice = match delivery.lane() {
            Lane::Audio => 0,
            Lane::Bulk => BULK_NICE,
        };
        let job = Job::new(request.cause.clone(), request.asked_at, request.received.clone(), nice);
        let tries = delivery.tries();
        let suspect_ends = tries.suspicions > 0 || self.settler.delays_s.is_empty();
        Job { lane: Some(delivery.lane()), tries, suspect_ends, ..job }
    }

    /// Runs the job. A panic in it is a bug, but a message must have an end all the same.
    async fn work(&self, job: &Job) -> Result<Outcome, Failure> {
        let run = AssertUnwindSafe(self.pipeline.run(job, |_fraction| {})).catch_unwind();
        run.await.unwrap_or_else(|_panic| {
            let fault = Fault::broken(Code::WorkerBroken, "the worker panicked over this job");
            Err(Failure { stage: Stage::Parse, fault })
        })
    }
}
