//! One delivery from its start to its acknowledgement, and all that run at the same time.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::ability::Ability;
use super::inflight::{InFlight, Turn};
use super::job::{Job, MAX_ID_BYTES};
use super::metrics::PutOff;
use super::outcome::{Failure, Outcome};
use super::pipeline::Pipeline;
use super::receipt::Receipt;
use super::settle::{Reading, Request, Settler, put_back, worn_out};
use super::shares::Shares;
use super::slots::{Lease, Slot, Slots};
use super::spans;
use crate::broker::{Delivery, Lane};
use crate::error::{Code, Fault};
use crate::events::Stage;

/// How much nicer bulk work is than voice: nine parts of a busy CPU to a voice note, one to a thread of a video.
const BULK_NICE: i32 = 10;
/// How long a message without room for its file keeps its slot where there is no ladder: it would come again at once.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// How long a message that waits for the same file's job keeps its slot where it can neither wait without nor climb a ladder.
const WITHOUT_LADDER: Duration = Duration::from_millis(250);
/// For what the broker is still to be told when the grace period is over.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// What every delivery is handled with.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) pipeline: Pipeline,
    pub(super) settler: Settler,
    pub(super) ability: Ability,
    pub(super) inflight: InFlight,
    pub(super) delivery_limit: u32,
    /// How long after its receipt a message may go on waiting for the same file's job.
    pub(super) turn_patience: Duration,
    /// Of each lane.
    pub(super) shares: [Mutex<Shares>; 2],
}

/// A delivery, and what it says.
pub(super) struct Taken {
    pub(super) delivery: Delivery,
    pub(super) reading: Reading,
}

impl Taken {
    /// Reads a delivery.
    pub(super) fn read(delivery: Delivery) -> Self {
        let reading = Reading::of(&delivery);
        Self { delivery, reading }
    }

    /// Who asks; empty where the message does not say, or says more than a tenant may have: such a message is rejected.
    pub(super) fn tenant(&self) -> &str {
        let tenant = self.reading.request().map_or("", |request| request.received.tenant.as_str());
        if tenant.len() <= MAX_ID_BYTES { tenant } else { "" }
    }
}

/// A job in its tenant's account until this is dropped, except while it waits without a slot.
#[derive(Debug)]
pub(super) struct Account {
    desk: Arc<Desk>,
    lane: Lane,
    later: bool,
    tenant: String,
    is_parked: AtomicBool,
}

impl Account {
    fn open(desk: Arc<Desk>, incoming: &Taken) -> Self {
        let (queue, tenant) = (incoming.delivery.queue(), incoming.tenant().to_owned());
        desk.shares(queue.lane).started(&tenant, queue.later);
        Self { desk, lane: queue.lane, later: queue.later, tenant, is_parked: AtomicBool::new(false) }
    }

    /// The job gives its slot back.
    pub(super) fn park(&self) {
        if !self.is_parked.swap(true, Ordering::Relaxed) {
            self.desk.shares(self.lane).ended(&self.tenant, self.later);
        }
    }

    /// The job has a slot again.
    pub(super) fn resume(&self) {
        if self.is_parked.swap(false, Ordering::Relaxed) {
            self.desk.shares(self.lane).resumed(&self.tenant, self.later);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.park();
    }
}

/// Running deliveries.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) tasks: TaskTracker,
    abandon: CancellationToken,
}

impl Jobs {
    /// Handles a delivery in a slot.
    pub(super) fn start(&self, desk: Arc<Desk>, incoming: Taken, slot: Slot, slots: &Slots) {
        let abandon = self.abandon.clone();
        let account = Account::open(Arc::clone(&desk), &incoming);
        let lease = Lease::new(slots, slot, account.lane, &account.tenant, &desk.settler.metrics);
        let lease = Arc::new(lease.with(account));
        self.tasks.spawn(async move {
            let Taken { delivery, reading } = incoming;
            if abandon.run_until_cancelled(desk.handle(&delivery, reading, &lease)).await.is_none() {
                put_back(&delivery).await;
            }
            drop(lease);
        });
    }

    /// Waits for what runs, and puts back what does not end in time: that attempt does not count.
    pub(super) async fn finish(&self, grace: Duration) {
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
    /// The tenants of a lane.
    pub(super) fn shares(&self, lane: Lane) -> MutexGuard<'_, Shares> {
        let [audio, bulk] = &self.shares;
        let shares = match lane {
            Lane::Audio => audio,
            Lane::Bulk => bulk,
        };
        shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From a delivery to its acknowledgement.
    async fn handle(&self, delivery: &Delivery, reading: Reading, lease: &Arc<Lease>) {
        let span = spans::process(delivery, &self.settler.topology.work_queue(delivery.queue()), &reading);
        let named = spans::named(&reading, &span);
        Box::pin(self.answer(delivery, reading, lease)).instrument(span).instrument(named).await;
    }

    async fn answer(&self, delivery: &Delivery, reading: Reading, lease: &Arc<Lease>) {
        match reading {
            Reading::Unreadable(error) => self.settler.bury_unreadable(delivery, error).await,
            Reading::Invalid(request, fault) => {
                let failure = Failure { stage: Stage::Parse, fault };
                self.settler.settle(delivery, &request, "", Err(failure)).await;
            }
            Reading::Request(request) => {
                if delivery.tries().attempts == 0 {
                    self.settler.metrics.taken(delivery.lane(), request.asked_at);
                }
                let Some(_turn) = self.turn(delivery, &request, lease).await else {
                    let why = if lease.is_late() { PutOff::Slot } else { PutOff::Duplicate };
                    return self.settler.put_off(delivery, why).await;
                };
                // Before the work: the profiles may be others when it ends.
                let version = self.pipeline.profile_version(&request.received);
                let job = self.job(delivery, &request, lease);
                let result = match worn_out(delivery, self.delivery_limit) {
                    Some(failure) => self.pipeline.done(&job).await.ok_or(failure),
                    None => match self.work(&job).await {
                        Err(Failure { fault: Fault::NoRoom { message }, .. }) => {
                            return self.put_off_without_room(delivery, &message).await;
                        }
                        Err(_) if lease.is_late() => return self.settler.put_off(delivery, PutOff::Slot).await,
                        Err(failure) if self.ability.explains(&failure.fault).await => {
                            return self.settler.put_off(delivery, PutOff::Unable).await;
                        }
                        result => result,
                    },
                };
                self.settler.settle(delivery, &request, &version, result).await;
            }
        }
    }

    /// Running jobs leave too little scratch space: no attempt of the message, which comes again later.
    async fn put_off_without_room(&self, delivery: &Delivery, reason: &str) {
        tracing::info!(reason, "too little scratch space is left for this job: the attempt does not count");
        if self.settler.delays_s.is_empty() {
            sleep(NO_ROOM_PAUSE).await;
        }
        self.settler.put_off(delivery, PutOff::Scratch).await;
    }

    /// The turn of this message at its file. While another job is at it, this one waits without a slot. Nothing where too
    /// many wait, or where that or the wait for a slot takes too long: then it comes again later.
    async fn turn(&self, delivery: &Delivery, request: &Request, lease: &Lease) -> Option<Turn> {
        let (tenant, media_id) = (&request.received.tenant, &request.received.media_id);
        if let Some(turn) = self.inflight.free_turn(tenant, media_id) {
            return Some(turn);
        }
        if !lease.park() {
            if self.settler.delays_s.is_empty() {
                // It comes again at once where its lane is empty.
                sleep(WITHOUT_LADDER).await;
            }
            return None;
        }
        let until = delivery.received_at() + self.turn_patience;
        let turn = timeout_at(until, self.inflight.turn(tenant, media_id)).await.ok()?;
        lease.resume(until).await.then_some(turn)
    }

    fn job(&self, delivery: &Delivery, request: &Request, lease: &Arc<Lease>) -> Job {
        let nice = match delivery.lane() {
            Lane::Audio => 0,
            Lane::Bulk => BULK_NICE,
        };
        let job = Job::new(request.cause.clone(), request.asked_at, request.received.clone(), nice);
        let receipt = Receipt { received_at: delivery.received_at(), lease: Arc::clone(lease) };
        let tries = delivery.tries();
        let suspect_ends = tries.suspicions > 0 || self.settler.delays_s.is_empty();
        Job { lane: Some(delivery.lane()), receipt: Some(receipt), tries, suspect_ends, ..job }
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
