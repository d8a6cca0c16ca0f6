//! What a role is.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::failure::Failure;
use super::lease::Lease;
use super::readiness::Part;
use super::slots::Slots;
use crate::broker::{Delivery, Note, QueueSpec};
use crate::error::{Code, Fault};
use crate::events::{Stage, TraceContext};

/// A role: what it takes from which queues, and what it does with it. A [`Service`](super::Service) does the rest.
pub trait Role: Debug + Send + Sync + 'static {
    /// The role's name, in logs.
    const NAME: &'static str;
    /// Whether the role itself counts how its messages end (`mediamill_jobs_total`), since it knows more of it.
    const COUNTS_OUTCOMES: bool = false;
    /// What a delivery turns out to be when it is read.
    type Message: Debug + Send + Sync;

    /// The queues that the role takes messages from. None where it publishes only: then it has the connection, health, metrics
    /// and the drain of every role, with [`Intake::Consume`].
    fn queues(&self) -> Vec<QueueSpec>;

    /// How messages are taken.
    fn intake(&self) -> Intake;

    /// Reads a delivery. Called once for each, before it is decided whether it is handled now.
    fn read(&self, delivery: &Delivery) -> Self::Message;

    /// What the runtime has to know of a message, for the shares of tenants and for spans.
    fn info(&self, _message: &Self::Message) -> MessageInfo {
        MessageInfo::default()
    }

    /// Does what the messages ask for: at most as many as [`Intake`] says, from one queue. Gives a verdict for each, in
    /// their order. A message may come again after any verdict but [`Verdict::Done`], and also after that where the
    /// connection is lost before it is acknowledged: handling it twice must be the same as handling it once.
    ///
    /// Where it panics, each of several messages is handled again alone; the one that it panics over again is given up
    /// with `worker.broken`. Dropping the future must leave nothing behind that would be wrong the next time.
    fn handle(&self, messages: &[Incoming<Self::Message>]) -> impl Future<Output = Vec<Verdict>> + Send;

    /// Instead of [`Role::handle`] for a message that was delivered so often without an end that it may be what ends the
    /// process. `failure` says so.
    fn worn_out(&self, _message: &Incoming<Self::Message>, failure: Failure) -> impl Future<Output = Verdict> + Send {
        async { Verdict::Failed(failure) }
    }

    /// Before a message is given up: the place to tell whoever waits for its outcome. It was never to succeed, or its
    /// retries are used up. Not asked about a delivery that is no longer ours.
    ///
    /// # Errors
    /// What kept a *rejected* message from its end: then that failure decides what becomes of it. A message whose retries
    /// are used up goes to its dead-letter queue all the same.
    fn ended(
        &self,
        _message: &Incoming<Self::Message>,
        _ending: Ending,
        _note: &Note,
    ) -> impl Future<Output = Result<Settled, Failure>> + Send {
        async { Ok(Settled::DeadLetter) }
    }

    /// Whether anything can be handled here at all, asked before messages are taken, for as long as it takes.
    ///
    /// # Errors
    /// What is in the way. No messages are taken until it has passed.
    fn check(&self) -> impl Future<Output = Result<(), Fault>> + Send {
        async { Ok(()) }
    }

    /// The same at a glance, before each message.
    ///
    /// # Errors
    /// What is in the way.
    fn able(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether a message has shown that nothing can be handled here: no more are taken until [`Role::check`] passes.
    fn is_unable(&self) -> bool {
        false
    }

    /// Until when no messages of a queue are taken, by its place in [`Role::queues`].
    fn paused_until(&self, _queue: usize) -> Option<Instant> {
        None
    }

    /// Parts of readiness besides `lanes` and `broker`. Asked at most once a second; each answers within 3 s.
    fn parts(&self) -> impl Future<Output = Vec<Part>> + Send {
        async { Vec::new() }
    }

    /// Brings metrics up to date that are measured when they are asked for.
    fn measure(&self) {}
}

/// How a role takes messages.
#[derive(Debug, Clone)]
pub enum Intake {
    /// One message a slot, taken when a slot is free: for work that takes a CPU for long. Messages of a tenant that has more
    /// than its share of the slots wait in the second queue, where a queue has one.
    Pull(Slots),
    /// Messages are delivered ahead and handled in batches, for work that is short or that waits for others. Each queue on
    /// its own, so that one that is paused or slow keeps no other one waiting.
    Consume {
        /// Most messages of a queue that are delivered and not yet acknowledged. `prefetch / batch` batches of a queue are
        /// handled at the same time, at least one.
        prefetch: u16,
        /// Most messages that are handled together.
        batch: u16,
    },
}

/// What the runtime has to know of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageInfo {
    /// `id` of the event.
    pub event_id: Option<String>,
    /// Its `time`, where the time that it waited is to be measured.
    pub asked_at: Option<Timestamp>,
    /// Who asks; empty where that is not known.
    pub tenant: String,
    /// What it is about.
    pub media_id: Option<String>,
    /// Its place in a trace.
    pub trace: Option<TraceContext>,
}

/// A message that is being handled.
#[derive(Debug)]
pub struct Incoming<M> {
    /// As it was delivered.
    pub delivery: Delivery,
    /// As it was read.
    pub message: M,
    /// What the runtime knows of it.
    pub info: MessageInfo,
    /// Its right to a slot, where the role has [`Intake::Pull`].
    pub lease: Option<Arc<Lease>>,
    /// When the broker's patience with its acknowledgement is about to end, counted from its receipt: all work on it should
    /// have ended by then. [`Intake::Consume`] holds to it; a role that pulls ends each step by itself.
    pub deadline: Instant,
}

/// What becomes of a message that was handled.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// All that it asked for is confirmed: it is acknowledged.
    Done,
    /// It failed: tried again, rejected or given up, as the fault says and the ladder allows.
    Failed(Failure),
    /// It could not be handled now, for this reason: it comes again after the shortest delay of its ladder. That does not
    /// count as a try.
    PutOff(&'static str),
    /// As [`Verdict::PutOff`], after the shortest delay that is no shorter than this, or the longest one.
    PutOffFor(&'static str, Duration),
    /// As [`Verdict::PutOffFor`], into another queue of the role, by its place in [`Role::queues`].
    PutOffTo(&'static str, Duration, usize),
    /// Back to its queue, for another process. That does not count as a try.
    PutBack,
}

/// How a message ends that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It can never succeed.
    Rejected,
    /// Its retries are used up, or an operator is needed.
    Failed,
}

/// What becomes of a message that has ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is acknowledged: whoever waits for it was told.
    Acknowledge,
    /// It goes to its dead-letter queue.
    DeadLetter,
}

impl<M> Incoming<M> {
    /// What a message is given up for that was delivered as often as its queue allows.
    pub(super) fn worn_out(&self, delivery_limit: u32) -> Option<Failure> {
        let delivered = self.delivery.delivered_in_all().saturating_add(1);
        (delivered >= delivery_limit).then(|| Failure {
            stage: Stage::Parse,
            fault: Fault::broken(Code::WorkerBroken, format!("delivered {delivered} times without an outcome")),
        })
    }
}
