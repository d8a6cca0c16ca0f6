//! Ends a delivery: acknowledges it, moves it to a retry or dead-letter queue, or returns it to its queue.

use std::time::Duration;

use tracing::Instrument;

use super::failure::caught;
use super::metrics::Metrics;
use super::retry::{RetryDecision, decide, note, step};
use super::role::{Ending, Incoming, Role, Settled, Verdict};
use super::spans;
use crate::broker::{BrokerError, Delivery, Message, Mover, Note, Publisher, Topology, WorkQueue};

/// Settles deliveries: acknowledges or moves them.
#[derive(Debug, Clone)]
pub(super) struct Settler {
    pub(super) publisher: Publisher,
    pub(super) topology: Topology,
    pub(super) metrics: Metrics,
}

impl Settler {
    /// The name of a delivery's queue in logs and metrics.
    pub(super) fn label(&self, delivery: &Delivery) -> &str {
        &self.topology.spec(delivery.queue()).name
    }

    /// Settles a delivery as the verdict says. Returns when the message is acknowledged, or the channel of the delivery
    /// is closed.
    pub(super) async fn settle<R: Role>(&self, role: &R, message: &Incoming<R::Message>, verdict: Verdict) {
        let delivery = &message.delivery;
        let mut failure = match verdict {
            Verdict::Done => {
                if !R::COUNTS_OUTCOMES {
                    self.metrics.done(self.label(delivery));
                }
                return acknowledge(delivery).await;
            }
            Verdict::PutOff(why) => return self.put_off(delivery, why, Duration::ZERO, delivery.queue()).await,
            Verdict::PutOffFor(why, wait) => return self.put_off(delivery, why, wait, delivery.queue()).await,
            Verdict::PutOffTo(why, wait, queue) => {
                return self.put_off(delivery, why, wait, WorkQueue::plain(queue)).await;
            }
            Verdict::PutBack => return self.put_back(delivery).await,
            Verdict::Failed(failure) => failure,
        };
        let before = delivery.tries();
        let delays_s = &self.topology.spec(delivery.queue()).ladder.delays_s;
        let mut is_first = true;
        // If the channel is closed, the message goes to another consumer, which decides about it.
        while !delivery.is_channel_closed() {
            let attempts = before.attempts.saturating_add(1);
            let Some(note) = note(&failure, attempts, before.suspicions) else {
                return self.put_back(delivery).await;
            };
            let ending = match decide(&failure.fault, before, delays_s) {
                RetryDecision::Retry { step } => return self.retry(message, step, &note).await,
                RetryDecision::Requeue => return self.put_back(delivery).await,
                RetryDecision::Reject => Ending::Rejected,
                RetryDecision::GiveUp => Ending::Failed,
            };
            match caught(role.ended(message, ending, &note)).await {
                Some(Ok(Settled::Acknowledge)) => return acknowledge(delivery).await,
                // The failure that prevented publishing a rejection may be temporary, so it is decided about once more.
                Some(Err(next)) if ending == Ending::Rejected && is_first => (failure, is_first) = (next, false),
                Some(Ok(Settled::DeadLetter) | Err(_)) | None => {
                    if !R::COUNTS_OUTCOMES {
                        self.metrics.gave_up(self.label(delivery), note.code);
                    }
                    return self.dead_letter(message, &note).await;
                }
            }
        }
    }

    async fn retry<M>(&self, message: &Incoming<M>, step: usize, note: &Note) {
        let delivery = &message.delivery;
        let Note { code, stage, reason, attempts, .. } = note;
        let Some((retry, delay_s)) = Message::retry(&self.topology, step, delivery, note) else {
            return put_back(delivery).await;
        };
        let (tenant, media_id) = (&message.info.tenant, message.info.media_id.as_deref());
        tracing::warn!(tenant, media_id, %code, stage = stage.as_str(), reason, attempts, delay_s, "trying again later");
        self.metrics.retried(self.label(delivery), *stage, *code);
        spans::ended("retry", Some(*code));
        self.pass_on(delivery, &retry).await;
    }

    /// Has a message delivered again later without counting the attempt: after the shortest delay of the ladder that is
    /// long enough, or at the end of the queue `to` if there is no ladder. It is published as a new message, because before
    /// RabbitMQ 4.3 each requeue counts towards the delivery limit.
    async fn put_off(&self, delivery: &Delivery, why: &'static str, wait: Duration, to: WorkQueue) {
        let step = step(0, Some(wait), &self.topology.spec(to).ladder.delays_s);
        let (queue, message) = match self.topology.retry_queue(to, step) {
            Some(delay) => (delay.queue.clone(), Message::delayed(delay, delivery)),
            None => {
                let queue = self.topology.work_queue(WorkQueue::plain(to.index));
                (queue.clone(), Message::moved(queue, delivery))
            }
        };
        tracing::info!(why, queue, "a message is postponed");
        self.metrics.put_off(self.label(delivery), why, 1);
        spans::ended("put-off", None);
        self.pass_on(delivery, &message).await;
    }

    /// Returns a message to its queue for any consumer, without counting the attempt. Before RabbitMQ 4.3 a requeue
    /// counts towards the message's delivery limit, so once half of that is used up, the message is published to the
    /// end of its queue as a new one instead.
    pub(super) async fn put_back(&self, delivery: &Delivery) {
        if !is_half_used(delivery, self.topology.delivery_limit()) {
            return put_back(delivery).await;
        }
        let queue = self.topology.work_queue(delivery.queue());
        self.pass_on(delivery, &Message::renewed(queue, delivery)).await;
    }

    async fn dead_letter<M>(&self, message: &Incoming<M>, note: &Note) {
        let delivery = &message.delivery;
        if delivery.is_channel_closed() {
            return;
        }
        if self.topology.spec(delivery.queue()).dead_letters.is_empty() {
            tracing::error!(code = %note.code, reason = note.reason, "a message is dropped: its queue has no dead letters");
            return acknowledge(delivery).await;
        }
        self.metrics.dead_lettered(self.label(delivery), note.stage, note.code);
        self.pass_on(delivery, &Message::dead(&self.topology, delivery, note)).await;
    }

    /// Publishes the message to its next queue, and acknowledges the delivery once that is confirmed.
    async fn pass_on(&self, delivery: &Delivery, message: &Message) {
        if delivery.is_channel_closed() {
            return;
        }
        let span = spans::publish(message.exchange(), message.routing_key(), None);
        // Published only while the delivery's channel is open. Otherwise RabbitMQ delivers the message again, and it
        // would exist twice.
        match self.publisher.deliver_while(message, || !delivery.is_channel_closed()).instrument(span).await {
            Ok(()) => acknowledge(delivery).await,
            Err(BrokerError::Unwanted) => {
                tracing::info!("the delivery was lost: its message is not moved, RabbitMQ delivers it again")
            }
            Err(error) => {
                tracing::error!(%error, "a message could not be moved: it returns to the queue that it came from");
                put_back(delivery).await;
            }
        }
    }
}

/// Whether at least half of a message's delivery limit is used up.
pub(super) fn is_half_used(delivery: &Delivery, delivery_limit: u32) -> bool {
    delivery.delivered_before() >= delivery_limit / 2
}

/// As [`Settler::put_back`], for a message that was not begun, over the mover's connection.
pub(super) async fn give_back(mover: &mut Mover, delivery: &Delivery, delivery_limit: u32) {
    if !is_half_used(delivery, delivery_limit) {
        return put_back(delivery).await;
    }
    if let Err(error) = mover.renew(delivery).await {
        tracing::debug!(%error, "the message is requeued by the broker, which counts a delivery");
    }
}

async fn acknowledge(delivery: &Delivery) {
    log_unsettled(delivery.ack().await);
}

/// Has the broker requeue the message, which may count towards its delivery limit.
async fn put_back(delivery: &Delivery) {
    log_unsettled(delivery.requeue().await);
}

fn log_unsettled(result: Result<(), BrokerError>) {
    if let Err(error) = result {
        tracing::info!(%error, "the broker delivers a message again");
    }
}
