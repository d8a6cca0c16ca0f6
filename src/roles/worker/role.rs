//! The worker as a role: from a delivery to its verdict.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::ability::Ability;
use super::intake::{Reading, Request};
use super::job::Job;
use super::lifetime::Life;
use super::one_job_per_media::{InFlight, Turn};
use super::outcome::{Outcome, Subject};
use super::pipeline::Pipeline;
use super::publish_outcome::Outcomes;
use super::put_off;
use super::unfetched::Unfetched;
use crate::broker::{BrokerError, Delivery, Note, Publisher, QueueSpec, Topology};
use crate::config::{self, Config};
use crate::error::{Code, Fault};
use crate::events::{Origin, Stage};
use crate::roles::lanes::{Lane, queues};
use crate::runtime::{
    Ending, Failure, Incoming, Intake, Lease, MessageInfo, Part, Role, Service, Settled, Slots, Verdict, spans,
};

/// nice(2) increment of bulk jobs: with it a voice note gets about nine times the CPU time of one thread of a video.
const BULK_NICE: i32 = 10;
/// How long a message without room for its file keeps its slot where there is no ladder: it would come again at once.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// How long a message that waits for the same file's job keeps its slot where it can neither wait without nor go to a retry
/// queue.
const WITHOUT_LADDER: Duration = Duration::from_millis(250);
/// How long the store may take to answer when readiness is asked for.
const ANSWER: Duration = Duration::from_secs(3);

/// Makes media small and playable: takes requests, publishes outcomes.
#[derive(Debug)]
pub struct Worker {
    pipeline: Pipeline,
    outcomes: Outcomes,
    ability: Ability,
    inflight: InFlight,
    slots: Slots,
    broker: config::Broker,
    /// How long after its receipt a message may go on waiting for the same file's job.
    turn_patience: Duration,
    unfetched: Unfetched,
}

/// A worker that has not connected yet.
///
/// # Errors
/// [`BrokerError::Config`]
pub fn service(config: &Config, slots: Slots, pipeline: Pipeline) -> Result<Service<Worker>, BrokerError> {
    let publisher = Publisher::new(&config.broker, topology(&config.broker)?);
    let metrics = pipeline.metrics().clone();
    let bulk = slots.count_of(Lane::Bulk.index());
    let sandbox = pipeline.sandbox();
    metrics.describe([slots.count() - bulk, bulk], &sandbox.status(), &sandbox.libav().versions);
    let runtime = metrics.runtime.clone();
    let worker = Worker {
        ability: Ability::new(pipeline.clone()),
        outcomes: Outcomes { publisher: publisher.clone(), event_source: config.worker.event_source.clone(), metrics },
        pipeline,
        inflight: InFlight::default(),
        slots,
        broker: config.broker.clone(),
        turn_patience: Duration::from_secs(config.broker.ack_timeout_s) / 4,
        unfetched: Unfetched::default(),
    };
    Service::new(&config.broker, Duration::from_secs(config.worker.grace_s), worker, publisher, runtime)
}

/// What a worker declares at the broker.
///
/// # Errors
/// [`BrokerError::Config`] where names or delays are impossible.
pub fn topology(config: &config::Broker) -> Result<Topology, BrokerError> {
    Topology::new(config, queues(config))
}

impl Role for Worker {
    const NAME: &'static str = "worker";
    const COUNTS_OUTCOMES: bool = true;
    type Message = Reading;

    fn queues(&self) -> Vec<QueueSpec> {
        queues(&self.broker)
    }

    fn intake(&self) -> Intake {
        Intake::Pull(self.slots.clone())
    }

    fn read(&self, delivery: &Delivery) -> Reading {
        Reading::of(delivery)
    }

    fn info(&self, message: &Reading) -> MessageInfo {
        message.info()
    }

    async fn handle(&self, messages: &[Incoming<Reading>]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(messages.len());
        for message in messages {
            verdicts.push(Box::pin(self.answer(message, None)).await);
        }
        verdicts
    }

    async fn worn_out(&self, message: &Incoming<Reading>, failure: Failure) -> Verdict {
        Box::pin(self.answer(message, Some(failure))).await
    }

    async fn ended(&self, message: &Incoming<Reading>, ending: Ending, note: &Note) -> Result<Settled, Failure> {
        let delivery = &message.delivery;
        let Some(request) = message.message.request() else {
            let lane = Lane::of(delivery);
            tracing::warn!(outcome = "dead", code = %note.code, reason = note.reason, lane = lane.as_str());
            self.outcomes.metrics.unreadable(lane, note.code);
            spans::ended("dead", Some(note.code));
            return Ok(Settled::DeadLetter);
        };
        let subject = Subject {
            cause: &request.cause,
            received: &request.received,
            profile_version: request.profile_version.get().map_or("", String::as_str),
            attempts: note.attempts,
        };
        self.unfetched.ended(&request.cause);
        match ending {
            Ending::Rejected => {
                let outcome = subject.rejected(note.stage, note.code, &note.reason);
                self.outcomes.publish(delivery, request, &outcome).await?;
                Ok(Settled::Acknowledge)
            }
            Ending::Failed => {
                let outcome = subject.failed(note.stage, note.code, &note.reason);
                let published = self.outcomes.publish(delivery, request, &outcome).await;
                if let Err(error) = published
                    && !delivery.is_channel_closed()
                {
                    // The headers of the dead letter keep the code and the reason.
                    let (tenant, media_id) = (&request.received.tenant, &request.received.media_id);
                    let Note { code, reason, .. } = note;
                    tracing::warn!(tenant, media_id, %code, reason, %error, "a failed event is not published");
                    spans::ended("failed", Some(*code));
                }
                Ok(Settled::DeadLetter)
            }
        }
    }

    async fn check(&self) -> Result<(), Fault> {
        // Boxed, as everything that has the store's futures in it.
        Box::pin(self.ability.check()).await
    }

    fn able(&self) -> Result<(), Fault> {
        self.pipeline.able()
    }

    fn is_unable(&self) -> bool {
        self.ability.is_unable()
    }

    /// None of bulk for a while after scratch space was full: their files are the large ones.
    fn paused_until(&self, queue: usize) -> Option<Instant> {
        if queue == Lane::Bulk.index() { self.pipeline.workspace().full_until() } else { None }
    }

    /// The urgent lane in the last fifth of a file's life. A file whose life is over takes no one's turn.
    fn belongs_in(&self, message: &Reading, queue: usize) -> usize {
        let life = message.request().and_then(|request| self.life(request));
        if life.is_some_and(|life| life.is_urgent() && !life.is_over()) { Lane::Urgent.index() } else { queue }
    }

    async fn parts(&self) -> Vec<Part> {
        let store = Box::pin(timeout(ANSWER, self.pipeline.store().check())).await;
        let store = store
            .map_or(Some("it does not answer in time".to_owned()), |checked| trouble(checked.map_err(Fault::from)));
        let sandbox = self.pipeline.sandbox().server_pid().is_none().then(|| "there is no fork server".to_owned());
        let scratch = trouble(self.pipeline.workspace().check().map_err(Fault::from));
        vec![
            Part { name: "store", trouble: store },
            Part { name: "sandbox", trouble: sandbox },
            Part { name: "scratch", trouble: scratch },
        ]
    }

    fn measure(&self) {
        let free_bytes = self.pipeline.workspace().free_bytes().ok();
        let oldest = self.unfetched.oldest(Timestamp::now());
        self.outcomes.metrics.unfetched(&self.pipeline.sources().lifetimes(), &oldest);
        self.outcomes.metrics.used(self.pipeline.sandbox().totals(), free_bytes);
    }
}

impl Worker {
    /// From a message to its verdict; without any work where it was delivered so often that it may end the process.
    async fn answer(&self, message: &Incoming<Reading>, worn_out: Option<Failure>) -> Verdict {
        let parse = |fault| Verdict::Failed(Failure { stage: Stage::Parse, fault });
        let request = match &message.message {
            Reading::Unreadable(error) => return parse(error.clone().into()),
            Reading::Invalid(_, fault) => return parse(fault.clone()),
            Reading::Request(request) => request,
        };
        let (delivery, lease) = (&message.delivery, message.lease.as_ref());
        let _turn = match self.turn(message, request).await {
            Ok(turn) => turn,
            Err(why) => return Verdict::PutOff(why),
        };
        request.profile_version.get_or_init(|| self.pipeline.profile_version(&request.received));
        let job = self.job(message, request);
        if let Some(failure) = worn_out {
            return match self.pipeline.done(&job).await {
                Some(outcome) => self.published(delivery, request, &outcome).await,
                None => Verdict::Failed(failure),
            };
        }
        self.begun(request);
        let worked = self.work(&job).await;
        if worked.is_ok() {
            self.unfetched.ended(&request.cause);
        }
        let life = self.life(request);
        if let Err(failure) = &worked
            && let Some(verdict) = self.later(delivery, failure, life)
        {
            return verdict;
        }
        match worked {
            Ok(outcome) => self.published(delivery, request, &outcome).await,
            Err(Failure { fault: Fault::NoRoom { message }, .. }) => self.put_off_without_room(&message).await,
            Err(Failure { fault: Fault::Paused { code, message, .. }, stage }) if life.is_some_and(Life::is_over) => {
                self.unfetched.ended(&request.cause);
                Verdict::Failed(Failure { stage, fault: Fault::transient(code, message) })
            }
            Err(Failure { fault: Fault::Paused { code, message, wait }, .. }) => {
                self.put_off_paused(code, &message, wait, self.lane_of(delivery, life)).await
            }
            Err(_) if lease.is_some_and(|lease| lease.is_late()) => Verdict::PutOff(put_off::SLOT),
            Err(failure) if self.ability.explains(&failure.fault).await => Verdict::PutOff(put_off::UNABLE),
            Err(failure) => Verdict::Failed(failure),
        }
    }

    async fn published(&self, delivery: &Delivery, request: &Request, outcome: &Outcome) -> Verdict {
        match self.outcomes.publish(delivery, request, outcome).await {
            Ok(()) => Verdict::Done,
            Err(failure) => Verdict::Failed(failure),
        }
    }

    /// Running jobs leave too little scratch space: no attempt of the message, which comes again later.
    async fn put_off_without_room(&self, reason: &str) -> Verdict {
        tracing::info!(reason, "too little scratch space is left for this job: the attempt does not count");
        if self.broker.retry_delays_s.is_empty() {
            sleep(NO_ROOM_PAUSE).await;
        }
        Verdict::PutOff(put_off::SCRATCH)
    }

    /// Requests of the account that has the file are stopped for a while: no attempt of the message. It asks again after the shortest
    /// delay that is as long as the account waits.
    async fn put_off_paused(&self, code: Code, reason: &str, wait: Duration, lane: Lane) -> Verdict {
        tracing::warn!(%code, reason, "the job waits for its channel account and comes again; the attempt does not count");
        if self.broker.retry_delays_s.is_empty() {
            sleep(WITHOUT_LADDER).await;
        }
        Verdict::PutOffTo(put_off::ACCOUNT, wait, lane.index())
    }

    /// What is left of the file's life with the provider of a channel, as the account's lifetime of ids says. When it is over,
    /// waiting for the account counts as tries, so that the job ends.
    fn life(&self, request: &Request) -> Option<Life> {
        let whole = self.pipeline.sources().lifetime(&request.received.origin)?;
        Life::of(&request.received, request.asked_at, whole, Timestamp::now())
    }

    /// The lane that a message goes on in: the urgent one in the last fifth of its file's life.
    fn lane_of(&self, delivery: &Delivery, life: Option<Life>) -> Lane {
        if life.is_some_and(Life::is_urgent) { Lane::Urgent } else { Lane::of(delivery) }
    }

    /// What becomes of a message whose file a provider did not give, where the ladder is at its end or its next delay would be
    /// too long: it comes again for as long as the provider keeps the file, the last time before that ends.
    fn later(&self, delivery: &Delivery, failure: &Failure, life: Option<Life>) -> Option<Verdict> {
        let Failure { stage: Stage::Fetch, fault: Fault::Transient { code, message, retry_after } } = failure else {
            return None;
        };
        let wait = life?.longest_wait(&self.broker.retry_delays_s)?;
        let tried = usize::try_from(delivery.tries().attempts).unwrap_or(usize::MAX);
        let next = self.broker.retry_delays_s.get(tried).map(|seconds| Duration::from_secs(*seconds));
        if next.is_some_and(|next| next.max(retry_after.unwrap_or_default()) <= wait) {
            return None;
        }
        tracing::warn!(%code, reason = message, wait_s = wait.as_secs(), "the provider keeps the file for now: tried again");
        Some(Verdict::PutOffTo(put_off::SOURCE, wait, self.lane_of(delivery, life).index()))
    }

    /// Remembers a file of a channel account until it has an outcome.
    fn begun(&self, request: &Request) {
        let Origin::Channel { account, .. } = &request.received.origin else { return };
        let sent_at = request.received.message.as_ref().and_then(|message| message.sent_at.as_deref());
        let since = sent_at.and_then(|text| text.parse().ok()).or(request.asked_at);
        if let Some(since) = since {
            self.unfetched.begun(&request.cause, account, since);
        }
    }

    /// The turn of this message at its file. While another job is at it, this one waits without a slot. Where too many wait,
    /// or where that or the wait for a slot takes too long, why it is to come again later.
    async fn turn(&self, message: &Incoming<Reading>, request: &Request) -> Result<Turn, &'static str> {
        let (tenant, media_id) = (&request.received.tenant, &request.received.media_id);
        if let Some(turn) = self.inflight.free_turn(tenant, media_id) {
            return Ok(turn);
        }
        let Some(lease) = message.lease.as_ref().filter(|lease| lease.park()) else {
            if self.broker.retry_delays_s.is_empty() {
                // It comes again at once where its lane is empty.
                sleep(WITHOUT_LADDER).await;
            }
            return Err(put_off::DUPLICATE);
        };
        let until = message.delivery.received_at() + self.turn_patience;
        let turn = timeout_at(until, self.inflight.turn(tenant, media_id)).await;
        let turn = turn.map_err(|_elapsed| put_off::DUPLICATE)?;
        if lease.resume(until).await { Ok(turn) } else { Err(put_off::SLOT) }
    }

    fn job(&self, message: &Incoming<Reading>, request: &Request) -> Job {
        let lane = Lane::of(&message.delivery);
        let nice = match lane {
            Lane::Urgent | Lane::Audio => 0,
            Lane::Bulk => BULK_NICE,
        };
        let job = Job::new(request.cause.clone(), request.asked_at, request.received.clone(), nice);
        let tries = message.delivery.tries();
        let suspect_ends = tries.suspicions > 0 || self.broker.retry_delays_s.is_empty();
        let lease: Option<Arc<Lease>> = message.lease.clone();
        Job { lane: Some(lane), deadline: Some(message.deadline), lease, tries, suspect_ends, ..job }
    }

    /// Runs the job. A panic in it is a failure that may be the machine's, as any other with the same code.
    async fn work(&self, job: &Job) -> Result<Outcome, Failure> {
        let run = AssertUnwindSafe(self.pipeline.run(job, |_fraction| {})).catch_unwind();
        run.await.unwrap_or_else(|_panic| {
            let fault = Fault::broken(Code::WorkerBroken, "the worker panicked over this job");
            Err(Failure { stage: Stage::Parse, fault })
        })
    }
}

fn trouble(result: Result<(), Fault>) -> Option<String> {
    result.err().map(|fault| fault.message().to_owned())
}
