//! The trait that every role implements.

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

/// A role: which queues it consumes, and what it does with a message. A [`Service`](super::Service) does the rest.
pub trait Role: Debug + Send + Sync + 'static {
    /// The role's name in logs.
    const NAME: &'static str;
    /// Whether the role itself counts outcomes in `mediamill_jobs_total`, because it knows more labels than the
    /// runtime.
    const COUNTS_OUTCOMES: bool = false;
    /// What the role reads out of a delivery.
    type Message: Debug + Send + Sync;

    /// The queues that the role consumes. Empty for a role that only publishes: it uses [`Intake::Consume`] and gets
    /// connection, health, metrics and drain from the runtime.
    fn queues(&self) -> Vec<QueueSpec>;

    /// How messages are received.
    fn intake(&self) -> Intake;

    /// Reads a delivery. Called once for each, before the runtime decides whether to handle it now.
    fn read(&self, delivery: &Delivery) -> Self::Message;

    /// What the runtime needs to know about a message, for the shares of tenants and for spans.
    fn info(&self, _message: &Self::Message) -> MessageInfo {
        MessageInfo::default()
    }

    /// Handles messages of one queue, at most as many as [`Intake`] says, and returns a verdict for each in the same
    /// order. A message may be delivered again after any verdict but [`Verdict::Done`], and even after that if the
    /// connection is lost before the acknowledgement. So handling a message twice must have the same result as handling
    /// it once.
    ///
    /// If it panics over several messages, each is handled again alone. A single message over which it panics is given
    /// up with `worker.broken`. Dropping the future must leave nothing behind that would make the next attempt wrong.
    fn handle(&self, messages: &[Incoming<Self::Message>]) -> impl Future<Output = Vec<Verdict>> + Send;

    /// Called instead of [`Role::handle`] for a message that was delivered so often without an outcome that it may be
    /// the cause when the process ends. `failure` says how often.
    fn worn_out(&self, _message: &Incoming<Self::Message>, failure: Failure) -> impl Future<Output = Verdict> + Send {
        async { Verdict::Failed(failure) }
    }

    /// Called before a message is rejected or given up, to publish an outcome for it. Not called for a delivery whose
    /// channel is closed.
    ///
    /// # Errors
    /// What prevented the outcome of a *rejected* message: that failure then decides what happens to the message. A
    /// message whose retries are used up goes to its dead-letter queue in any case.
    fn ended(
        &self,
        _message: &Incoming<Self::Message>,
        _ending: Ending,
        _note: &Note,
    ) -> impl Future<Output = Result<Settled, Failure>> + Send {
        async { Ok(Settled::DeadLetter) }
    }

    /// Whether this process can handle messages at all. Checked before messages are taken; may take any time.
    ///
    /// # Errors
    /// What prevents it. No messages are taken until it has passed.
    fn check(&self) -> impl Future<Output = Result<(), Fault>> + Send {
        async { Ok(()) }
    }

    /// A quick form of [`Role::check`], before each message.
    ///
    /// # Errors
    /// What prevents it.
    fn able(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether a message has shown that this process cannot handle any. No more are taken until [`Role::check`] passes.
    fn is_unable(&self) -> bool {
        false
    }

    /// Until when no messages of a queue are taken. `_queue` is an index into [`Role::queues`].
    fn paused_until(&self, _queue: usize) -> Option<Instant> {
        None
    }

    /// The queue where a message belongs now, by its index in [`Role::queues`]: another one than `queue`, where it waits, once it can
    /// wait no longer. Only with [`Intake::Pull`].
    fn belongs_in(&self, _message: &Self::Message, queue: usize) -> usize {
        queue
    }

    /// The parts of readiness besides `lanes` and `broker`. Called at most once a second; each must answer within 3 s.
    fn parts(&self) -> impl Future<Output = Vec<Part>> + Send {
        async { Vec::new() }
    }

    /// Updates the metrics that are measured only when they are read.
    fn measure(&self) {}
}

/// How a role receives messages.
#[derive(Debug, Clone)]
pub enum Intake {
    /// One message per slot, taken when a slot is free: for work that needs a CPU for long. If a queue has a second
    /// one, messages of tenants with more than their share of the slots wait there.
    Pull(Slots),
    /// Messages are prefetched and handled in batches: for work that is short or waits for others. Each queue is
    /// consumed separately, so that a paused or slow one does not delay another.
    Consume {
        /// Most messages of a queue that are delivered and not yet acknowledged. `prefetch / batch` batches of a queue,
        /// at least one, are handled at the same time.
        prefetch: u16,
        /// Most messages in one batch.
        batch: u16,
    },
}

/// What the runtime needs to know about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageInfo {
    /// The event's `id`.
    pub event_id: Option<String>,
    /// The event's `time`, if the waiting time is to be measured.
    pub asked_at: Option<Timestamp>,
    /// The tenant; empty if the message does not name one.
    pub tenant: String,
    /// The `media_id` of the event.
    pub media_id: Option<String>,
    /// The trace context of the event.
    pub trace: Option<TraceContext>,
}

/// A message that is being handled.
#[derive(Debug)]
pub struct Incoming<M> {
    /// The delivery.
    pub delivery: Delivery,
    /// What [`Role::read`] returned.
    pub message: M,
    /// What [`Role::info`] returned.
    pub info: MessageInfo,
    /// The claim to a slot, with [`Intake::Pull`].
    pub lease: Option<Arc<Lease>>,
    /// When all work on the message should have ended: a margin before the broker's time limit for its acknowledgement,
    /// which is counted from the receipt. The runtime enforces it with [`Intake::Consume`]; a role that pulls limits
    /// each step itself.
    pub deadline: Instant,
}

/// What happens to a message after its handling.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Everything that it asked for is confirmed. The message is acknowledged.
    Done,
    /// It failed. The fault and the ladder decide whether it is tried again, rejected or given up.
    Failed(Failure),
    /// It could not be handled now, for the named reason. It is delivered again after the shortest delay of its ladder,
    /// and the try does not count.
    PutOff(&'static str),
    /// As [`Verdict::PutOff`], after the shortest delay that is at least this long, or the longest one.
    PutOffFor(&'static str, Duration),
    /// As [`Verdict::PutOffFor`], through another queue of the role, by its index in [`Role::queues`].
    PutOffTo(&'static str, Duration, usize),
    /// It returns to its queue for another process, and the try does not count.
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

/// What happens to a message that has ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is acknowledged, because its outcome has been published.
    Acknowledge,
    /// It goes to its dead-letter queue.
    DeadLetter,
}

impl<M> Incoming<M> {
    /// The failure of a message that was delivered as often as its queue allows; `None` for other messages.
    pub(super) fn worn_out(&self, delivery_limit: u32) -> Option<Failure> {
        let delivered = self.delivery.delivered_in_all().saturating_add(1);
        (delivered >= delivery_limit).then(|| Failure {
            stage: Stage::Parse,
            fault: Fault::broken(
                Code::WorkerBroken,
                format!("the message was delivered {delivered} times without an outcome"),
            ),
        })
    }
}
