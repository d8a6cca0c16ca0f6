//! Counts waiting messages for health and metrics, over the connection that a role consumes on. Consumers are not
//! affected.

use std::sync::Arc;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use super::connection::Connection;
use super::{BrokerError, Topology};

/// Read-only access to the connection that a role consumes on. Cheap to clone.
#[derive(Clone)]
pub struct QueueDepths(Arc<Counted>);

struct Counted {
    connection: Arc<Connection>,
    /// The channel that each queue is consumed on, by the queue's name.
    consumed: Vec<(String, Channel)>,
    /// Label in metrics and name of each queue; several queues may share a label.
    queues: Vec<(String, String)>,
    /// The channel for counting. Asking for a queue that does not exist closes it, so it is not one that consumes.
    channel: Mutex<Option<Channel>>,
}

impl QueueDepths {
    pub(super) fn new(connection: Arc<Connection>, consumed: Vec<(String, Channel)>, topology: &Topology) -> Self {
        let work = |queue| (topology.spec(queue).name.clone(), topology.work_queue(queue));
        let mut queues: Vec<_> = topology.work_queues().into_iter().map(work).collect();
        queues.extend(topology.retry_queues().into_iter().map(|queue| ("retry".to_owned(), queue)));
        let dead = topology.dead_letter_names();
        queues.extend(dead.into_iter().map(|name| (name.to_owned(), topology.dead_letters(name))));
        queues.push(("unrouted".to_owned(), topology.unrouted()));
        Self(Arc::new(Counted { connection, consumed, queues, channel: Mutex::default() }))
    }

    /// Queues whose channel is closed: their messages can no longer be acknowledged.
    #[must_use]
    pub fn closed(&self) -> Vec<String> {
        let closed = |channel: &Channel| !channel.status().connected();
        let consumed = self.0.consumed.iter();
        let mut queues: Vec<_> =
            consumed.filter(|(_, channel)| closed(channel)).map(|(name, _)| name.clone()).collect();
        queues.dedup();
        queues
    }

    /// Waiting messages by label: in each queue together with its second one, in all retry queues, in each dead-letter
    /// queue, and in the queue of unrouted requests. An answer also shows that the broker responds.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn depths(&self) -> Result<Vec<(String, u32)>, BrokerError> {
        let Counted { connection, queues, .. } = &*self.0;
        // Returned to its place only after success. After an error, or when this future is dropped, the next call opens
        // another channel.
        let mut kept = self.0.channel.lock().await;
        let channel = match kept.take() {
            Some(channel) if channel.status().connected() => channel,
            Some(_) | None => connection.channel().await?,
        };
        let mut depths: Vec<(String, u32)> = Vec::new();
        for (label, queue) in queues {
            let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
            let declare = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
            let count = connection.answer("counting messages", declare).await?.message_count();
            match depths.iter_mut().find(|(known, _)| known == label) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => depths.push((label.clone(), count)),
            }
        }
        *kept = Some(channel);
        Ok(depths)
    }
}

impl std::fmt::Debug for QueueDepths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueDepths").field("queues", &self.0.queues).finish_non_exhaustive()
    }
}
