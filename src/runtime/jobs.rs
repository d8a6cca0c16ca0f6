//! The handling of messages, each from its start to its acknowledgement, and the tasks that do it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::failure::{Failure, caught};
use super::lease::Lease;
use super::role::{Incoming, MessageInfo, Role, Verdict};
use super::settle::Settler;
use super::slots::{Slot, Slots};
use super::spans;
use super::tenants::{Account, Tenants};
use crate::broker::Delivery;
use crate::error::{Code, Fault};
use crate::events::Stage;

/// How long returning messages to their queues may take after the grace period.
pub(super) const PUT_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// A message that was prefetched is begun only if at least this part of its work time is left.
const MIN_TIME_LEFT: f64 = 0.5;

/// A role with everything that its messages are handled with.
#[derive(Debug)]
pub(super) struct Runner<R> {
    pub(super) role: R,
    pub(super) settler: Settler,
    pub(super) tenants: Tenants,
    /// After this many deliveries RabbitMQ gives a message up by itself.
    pub(super) delivery_limit: u32,
    /// How long after its receipt a message may be worked on.
    pub(super) work_time: Duration,
}

/// A delivery that the role has read.
pub(super) struct Taken<M> {
    pub(super) delivery: Delivery,
    pub(super) message: M,
    pub(super) info: MessageInfo,
}

impl<M> Taken<M> {
    /// The tenant; empty if the message does not name one.
    pub(super) fn tenant(&self) -> &str {
        &self.info.tenant
    }
}

/// The tasks that handle messages.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) tasks: TaskTracker,
    abandon: CancellationToken,
}

impl Jobs {
    /// Handles one message in a slot.
    pub(super) fn start<R: Role>(&self, runner: &Arc<Runner<R>>, taken: Taken<R::Message>, slot: Slot, slots: &Slots) {
        let queue = taken.delivery.queue();
        let account = Account::open(&runner.tenants, queue, taken.tenant());
        let label = runner.settler.label(&taken.delivery);
        let lease = Lease::new(slots, slot, (queue.index, label), taken.tenant(), &runner.settler.metrics);
        let message = runner.incoming(taken, Some(Arc::new(lease.with(account))));
        self.spawn(runner, vec![vec![message]], ());
    }

    /// Handles messages of one queue together, and keeps `permit` until all are settled. A message that was delivered
    /// too often is handled alone. One with too little work time left is returned to its queue.
    pub(super) fn start_batch<R: Role>(
        &self,
        runner: &Arc<Runner<R>>,
        deliveries: Vec<Delivery>,
        permit: OwnedSemaphorePermit,
    ) {
        let messages = deliveries.into_iter().map(|delivery| runner.incoming(runner.read(delivery), None));
        let (late, in_time): (Vec<_>, Vec<_>) = messages.partition(|message| runner.is_late(message));
        let (worn, fresh): (Vec<_>, Vec<_>) =
            in_time.into_iter().partition(|message| message.worn_out(runner.delivery_limit).is_some());
        let mut groups = vec![late, fresh];
        groups.extend(worn.into_iter().map(|message| vec![message]));
        self.spawn(runner, groups, permit);
    }

    fn spawn<R: Role, P: Send + 'static>(
        &self,
        runner: &Arc<Runner<R>>,
        groups: Vec<Vec<Incoming<R::Message>>>,
        permit: P,
    ) {
        let (runner, abandon) = (Arc::clone(runner), self.abandon.clone());
        self.tasks.spawn(async move {
            let handled = abandon.run_until_cancelled(async {
                for messages in groups.iter().filter(|messages| !messages.is_empty()) {
                    runner.handle(messages).await;
                }
            });
            if handled.await.is_none() {
                // Those that are already settled cannot be returned any more.
                let left = groups.iter().flatten().filter(|message| !message.delivery.is_channel_closed());
                join_all(left.map(|message| runner.settler.put_back(&message.delivery))).await;
            }
            drop((groups, permit));
        });
    }

    /// Waits for running tasks up to `grace`, then returns the messages of the others to their queues without counting
    /// the attempt.
    pub(super) async fn finish(&self, grace: Duration) {
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(
            jobs = self.tasks.len(),
            "the grace period is over: messages that are still handled return to their queues"
        );
        self.abandon.cancel();
        if timeout(PUT_BACK_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("messages could not be returned in time: RabbitMQ requeues them when the connection closes");
        }
    }
}

impl<R: Role> Runner<R> {
    /// Has the role read a delivery.
    pub(super) fn read(&self, delivery: Delivery) -> Taken<R::Message> {
        let message = self.role.read(&delivery);
        let info = self.role.info(&message);
        Taken { delivery, message, info }
    }

    fn incoming(&self, taken: Taken<R::Message>, lease: Option<Arc<Lease>>) -> Incoming<R::Message> {
        let Taken { delivery, message, info } = taken;
        let deadline = delivery.received_at() + self.work_time;
        Incoming { delivery, message, info, lease, deadline }
    }

    /// Handles messages together and settles each of them.
    async fn handle(&self, messages: &[Incoming<R::Message>]) {
        let Some(first) = messages.first() else { return };
        if messages.iter().all(|message| self.is_late(message)) {
            tracing::info!(
                messages = messages.len(),
                "messages return to their queue: they were prefetched so long ago that too little work time is left"
            );
            join_all(messages.iter().map(|message| self.settler.put_back(&message.delivery))).await;
            return;
        }
        let label = self.settler.label(&first.delivery);
        let queue = self.settler.topology.work_queue(first.delivery.queue());
        let span = spans::process(messages, &queue, label);
        let named = if messages.len() == 1 { spans::named(&first.info, &span) } else { tracing::Span::none() };
        // A lease counts its message itself.
        let without_lease = messages.iter().filter(|message| message.lease.is_none());
        let _busy: Vec<_> = without_lease.map(|_| self.settler.metrics.busy(label)).collect();
        for message in messages.iter().filter(|message| message.delivery.tries().attempts == 0) {
            self.settler.metrics.taken(label, message.info.asked_at);
        }
        let handled = async {
            let verdicts = Box::pin(self.verdicts(messages)).await;
            let each = messages.iter().zip(verdicts);
            join_all(each.map(|(message, verdict)| self.settler.settle(&self.role, message, verdict))).await;
        };
        Box::pin(handled).instrument(span).instrument(named).await;
    }

    async fn verdicts(&self, messages: &[Incoming<R::Message>]) -> Vec<Verdict> {
        if let [message] = messages
            && let Some(failure) = message.worn_out(self.delivery_limit)
        {
            let told = caught(self.role.worn_out(message, failure.clone()));
            let verdict = match deadline(messages) {
                Some(deadline) => timeout_at(deadline, told).await.ok().flatten(),
                None => told.await,
            };
            return vec![verdict.unwrap_or(Verdict::Failed(failure))];
        }
        match self.in_time(messages).await {
            Some(verdicts) if verdicts.len() == messages.len() => verdicts,
            Some(_) | None if messages.len() == 1 => vec![Verdict::Failed(panicked::<R>())],
            Some(_) | None => {
                let mut verdicts = Vec::with_capacity(messages.len());
                for message in messages {
                    // The batch and the messages handled before this one may have used up its time.
                    if self.is_late(message) {
                        verdicts.push(Verdict::PutBack);
                        continue;
                    }
                    let alone = self.in_time(std::slice::from_ref(message)).await;
                    let verdict = alone.and_then(|mut verdicts| verdicts.pop());
                    verdicts.push(verdict.unwrap_or_else(|| Verdict::Failed(panicked::<R>())));
                }
                verdicts
            }
        }
    }

    /// The role's verdicts; `None` if it panicked. If the role has not ended by the first deadline of these prefetched
    /// messages, those with that deadline have failed for now, and the others return to their queue.
    async fn in_time(&self, messages: &[Incoming<R::Message>]) -> Option<Vec<Verdict>> {
        let handled = caught(self.role.handle(messages));
        let Some(deadline) = deadline(messages) else { return handled.await };
        match timeout_at(deadline, handled).await {
            Ok(verdicts) => verdicts,
            Err(_elapsed) => {
                let is_over = |message: &Incoming<_>| message.deadline <= deadline;
                let too_slow = || Verdict::Failed(self.too_slow());
                let verdict = |message| if is_over(message) { too_slow() } else { Verdict::PutBack };
                Some(messages.iter().map(verdict).collect())
            }
        }
    }

    /// Whether a prefetched message has waited so long that the work on it might not end before its deadline.
    fn is_late(&self, message: &Incoming<R::Message>) -> bool {
        let left = message.deadline.saturating_duration_since(Instant::now());
        message.lease.is_none() && left < self.work_time.mul_f64(MIN_TIME_LEFT)
    }

    fn too_slow(&self) -> Failure {
        let message = format!("{} did not end within {} s of the receipt", R::NAME, self.work_time.as_secs());
        Failure { stage: Stage::Parse, fault: Fault::transient(Code::WorkerBroken, message) }
    }
}

/// The first deadline of prefetched messages. `None` for a role that pulls: it limits the time of each step itself.
fn deadline<M>(messages: &[Incoming<M>]) -> Option<Instant> {
    messages.iter().filter(|message| message.lease.is_none()).map(|message| message.deadline).min()
}

/// A panic is a bug, but its message must still get an outcome.
fn panicked<R: Role>() -> Failure {
    let fault = Fault::broken(Code::WorkerBroken, format!("{} panicked while it handled this message", R::NAME));
    Failure { stage: Stage::Parse, fault }
}
