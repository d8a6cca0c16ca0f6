//! From a job's end to its acknowledgement: the outcome is published and confirmed first, always.
//!
//! An outcome that nobody has bound a queue for is not lost: the message climbs the retry ladder with
//! `broker.unroutable`, each try republishing from the manifest, and then waits in the dead queue. An operator who binds
//! the missing queue in time has nothing else to do, and later one `mediamill replay --code broker.unroutable`.

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::metrics::{Metrics, PutOff};
use super::outcome::{Failure, Outcome, Subject};
use super::retry::{Decision, decide};
use super::spans;
use crate::broker::{BrokerError, Delivery, Message, Note, Publisher, Topology};
use crate::error::{Code, Fault};
use crate::events::{EnvelopeError, Event, Incoming, Received, Stage, TraceContext};
use crate::telemetry;

/// A message that asks for work.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `id` of the event.
    pub(super) cause: String,
    /// Its `time`.
    pub(super) asked_at: Option<Timestamp>,
    /// Its place in a trace.
    pub(super) trace: Option<TraceContext>,
    /// Its data.
    pub(super) received: Received,
}

/// What a message turned out to be.
pub(super) enum Reading {
    /// Work.
    Request(Request),
    /// An event whose data is wrong, from somebody who can be told.
    Invalid(Request, Fault),
    /// Nothing that could be answered.
    Unreadable(EnvelopeError),
}

impl Reading {
    /// Reads a delivery.
    pub(super) fn of(delivery: &Delivery) -> Self {
        let request = |event: Event, received| Request {
            asked_at: event.timestamp(),
            cause: event.id,
            trace: event.trace,
            received,
        };
        match Incoming::read(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Incoming::Valid(event, received) => Self::Request(request(event, received)),
            Incoming::Invalid(event, received, error) => Self::Invalid(request(event, received), error.into()),
            Incoming::Unreadable(error) => Self::Unreadable(error),
        }
    }

    /// Who asks, where that can be told.
    pub(super) const fn request(&self) -> Option<&Request> {
        match self {
            Self::Request(request) | Self::Invalid(request, _) => Some(request),
            Self::Unreadable(_) => None,
        }
    }
}

/// Publishes outcomes and passes messages on.
#[derive(Debug, Clone)]
pub(super) struct Settler {
    pub(super) publisher: Publisher,
    pub(super) topology: Topology,
    pub(super) delays_s: Vec<u64>,
    pub(super) event_source: String,
    pub(super) metrics: Metrics,
}

impl Settler {
    /// Ends a delivery as its job ended. Returns when the message is acknowledged, or is nobody's to acknowledge.
    pub(super) async fn settle(
        &self,
        delivery: &Delivery,
        request: &Request,
        profile_version: &str,
        result: Result<Outcome, Failure>,
    ) {
        let before = delivery.tries();
        let attempts = before.attempts.saturating_add(1);
        let subject = Subject { cause: &request.cause, received: &request.received, profile_version, attempts };
        let mut failure = match result {
            // Said although the delivery may be void: whoever gets the message next says the same with the same id, and
            // where its queue was deleted nobody gets it.
            Ok(outcome) => match self.say(delivery, request, attempts, outcome).await {
                Ok(()) => return acknowledge(delivery).await,
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        // What is not done is decided by whoever gets the message next.
        while !delivery.is_void() {
            let Failure { stage, fault } = &failure;
            let decision = decide(fault, before, &self.delays_s);
            let Some(note) = note(&failure, attempts, before.suspicions) else {
                return put_back(delivery).await;
            };
            match decision {
                Decision::Reject => {
                    let outcome = subject.rejected(*stage, note.code, &note.reason);
                    match self.say(delivery, request, attempts, outcome).await {
                        Ok(()) => return acknowledge(delivery).await,
                        Err(unsaid) => failure = unsaid,
                    }
                }
                Decision::Retry { rung } => return self.retry(delivery, request, rung, &note).await,
                Decision::GiveUp => {
                    let outcome = subject.failed(*stage, note.code, &note.reason);
                    if let Err(unsaid) = self.say(delivery, request, attempts, outcome).await {
                        if delivery.is_void() {
                            return;
                        }
                        // The dead queue keeps what the event would have said.
                        let Received { tenant, media_id, .. } = &request.received;
                        let Note { code, reason, .. } = &note;
                        tracing::warn!(tenant, media_id, %code, reason, error = %unsaid, "a failed event goes nowhere");
                        spans::ended("failed", Some(*code));
                    }
                    return self.bury(delivery, &note).await;
                }
                Decision::Requeue => return put_back(delivery).await,
            }
        }
    }

    /// Puts what is no event, or none that could be answered, with the dead.
    pub(super) async fn bury_unreadable(&self, delivery: &Delivery, error: EnvelopeError) {
        let failure = Failure { stage: Stage::Parse, fault: error.into() };
        let tries = delivery.tries();
        if let Some(note) = note(&failure, tries.attempts.saturating_add(1), tries.suspicions) {
            tracing::warn!(outcome = "dead", code = %note.code, reason = note.reason, lane = delivery.lane().as_str());
            self.metrics.unreadable(delivery.lane(), note.code);
            spans::ended("dead", Some(note.code));
            self.bury(delivery, &note).await;
        }
    }

    /// Publishes an outcome, and says so in the log.
    async fn say(
        &self,
        delivery: &Delivery,
        request: &Request,
        attempts: u32,
        outcome: Outcome,
    ) -> Result<(), Failure> {
        let mut event = outcome.event(&self.event_source, request.trace.clone());
        let routing_key = outcome.routing_key();
        let span = spans::publish(self.topology.exchange(), &routing_key, Some(&event.id));
        event.trace = telemetry::trace_context(&span).or(event.trace);
        let message = Message::event(&self.topology, &routing_key, &event);
        let (started, lane) = (Instant::now(), delivery.lane());
        // A file that was done is said to be, whatever becomes of the message: its manifest says the same to whoever comes
        // next. That it was not done is taken back by a try that goes better, so it is said for a message in hand only.
        let wanted = || outcome.is_stored() || !delivery.is_void();
        let delivered = self.publisher.deliver_while(&message, wanted).instrument(span.clone()).await;
        self.metrics.stage(Some(lane), Stage::Publish, started.elapsed());
        match delivered {
            Ok(()) => {
                log(&outcome, delivery, attempts);
                self.metrics.said(lane, &outcome, request.asked_at);
                spans::ended(outcome.as_str(), outcome.code());
                Ok(())
            }
            Err(error) => {
                let failure = Failure { stage: Stage::Publish, fault: error.into() };
                spans::failed(&span, &failure);
                Err(failure)
            }
        }
    }

    async fn retry(&self, delivery: &Delivery, request: &Request, rung: usize, note: &Note) {
        let Received { tenant, media_id, .. } = &request.received;
        let delay_s = self.delays_s.get(rung).copied().unwrap_or_default();
        let Note { code, stage, reason, attempts, .. } = note;
        tracing::warn!(tenant, media_id, %code, stage = stage.as_str(), reason, attempts, delay_s, "trying again later");
        self.metrics.retried(delivery.lane(), *stage, *code);
        spans::ended("retry", Some(*code));
        match Message::retry(&self.topology, rung, delivery, note) {
            Some(message) => self.pass_on(delivery, &message).await,
            None => put_back(delivery).await,
        }
    }

    /// Has a message come again later, its attempt not counted: after the shortest delay of the ladder, or behind the
    /// others of its lane where there is no ladder. Published anew rather than put back: before RabbitMQ 4.3 each time that
    /// a message is put back counts towards its delivery limit.
    pub(super) async fn put_off(&self, delivery: &Delivery, why: PutOff) {
        let lane = delivery.lane();
        let queue = self.topology.rung(lane, 0).unwrap_or_else(|| self.topology.lane(lane));
        tracing::info!(why = why.as_str(), queue, "a message is put off");
        self.metrics.put_off(lane, why, 1);
        spans::ended("put-off", None);
        self.pass_on(delivery, &Message::moved(queue, delivery)).await;
    }

    async fn bury(&self, delivery: &Delivery, note: &Note) {
        self.metrics.buried(delivery.lane(), note.stage, note.code);
        self.pass_on(delivery, &Message::dead(&self.topology, delivery, note)).await;
    }

    /// Confirmed in its next queue, then gone from this one.
    async fn pass_on(&self, delivery: &Delivery, message: &Message) {
        if delivery.is_void() {
            return;
        }
        let span = spans::publish(message.exchange(), message.routing_key(), None);
        // A copy of a message that the broker delivers again would be a second message.
        match self.publisher.deliver_while(message, || !delivery.is_void()).instrument(span).await {
            Ok(()) => acknowledge(delivery).await,
            Err(BrokerError::Unwanted) => tracing::info!("the broker delivers a message again: it is not passed on"),
            Err(error) => {
                tracing::error!(%error, "a message cannot be passed on");
                put_back(delivery).await;
            }
        }
    }
}

/// What goes into headers and events; nothing for a worker that is stopping, which has nothing to say.
pub(super) fn note(failure: &Failure, attempts: u32, suspicions: u32) -> Option<Note> {
    let (code, reason, suspect) = match &failure.fault {
        Fault::Rejected { code, message }
        | Fault::Transient { code, message, .. }
        | Fault::Broken { code, message } => (*code, message, false),
        Fault::Suspect { code, message } => (*code, message, true),
        Fault::NoRoom { message } => (Code::WorkerScratch, message, false),
        Fault::Shutdown => return None,
    };
    let suspicions = suspicions.saturating_add(u32::from(suspect));
    Some(Note { code, stage: failure.stage, reason: reason.clone(), attempts, suspicions })
}

/// One line for each outcome.
fn log(outcome: &Outcome, delivery: &Delivery, attempts: u32) {
    let (word, lane) = (outcome.as_str(), delivery.lane().as_str());
    match outcome {
        Outcome::Normalized(record) => {
            let data = &record.data;
            tracing::info!(
                outcome = word,
                tenant = data.tenant,
                media_id = data.media_id,
                lane,
                attempts,
                kind = data.kind.as_str(),
                action = data.decision.action.as_str(),
                bytes_before = data.decision.bytes_before,
                bytes_after = data.decision.bytes_after,
                total_ms = data.timings_ms.total,
            );
        }
        Outcome::Rejected(ended) | Outcome::Failed(ended) => {
            let data = &ended.data;
            tracing::warn!(
                outcome = word,
                tenant = data.tenant,
                media_id = data.media_id,
                lane,
                attempts,
                code = data.code,
                stage = data.stage.as_str(),
                explanation = data.explanation,
            );
        }
    }
}

async fn acknowledge(delivery: &Delivery) {
    unsettled(delivery.ack().await);
}

/// Back to its queue, for anybody to take it.
pub(super) async fn put_back(delivery: &Delivery) {
    unsettled(delivery.requeue().await);
}

fn unsettled(result: Result<(), BrokerError>) {
    if let Err(error) = result {
        tracing::info!(%error, "the broker delivers a message again");
    }
}

/// A message that RabbitMQ is about to give up by itself, or would have if it had not been moved: no outcome would ever be
/// said.
pub(super) fn worn_out(delivery: &Delivery, delivery_limit: u32) -> Option<Failure> {
    let delivered = delivery.delivered_in_all().saturating_add(1);
    (delivered >= delivery_limit).then(|| Failure {
        stage: Stage::Parse,
        fault: Fault::broken(Code::WorkerBroken, format!("delivered {delivered} times without an outcome")),
    })
}
