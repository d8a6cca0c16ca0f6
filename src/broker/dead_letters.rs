//! Reads queues whose messages wait for an operator, one message after the other: dead letters and unrouted requests.

use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::connection::Connection;
use super::error::is_missing;
use super::{BrokerError, Delivery, Topology};
use crate::config::Broker;

/// Which queue to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterQueue {
    /// Messages that were given up, in the dead-letter queue of this name
    /// ([`QueueSpec::dead_letters`](super::QueueSpec)).
    Named(String),
    /// Requests whose routing key no queue is bound for.
    Unrouted,
}

/// Messages that wait for an operator. Messages that were taken and not acknowledged return to the queue when this is
/// closed.
pub struct DeadLetters {
    connection: Connection,
    channel: Channel,
    topology: Topology,
    /// The name in RabbitMQ.
    name: String,
    queue: DeadLetterQueue,
    /// Messages in the queue when it was opened.
    count: u32,
}

impl DeadLetters {
    /// Connects and counts the messages. Declares nothing: where there is no such queue, nothing waits.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology, queue: DeadLetterQueue) -> Result<Self, BrokerError> {
        let connection = Connection::open(config, "dead letters").await?;
        let channel = connection.channel().await?;
        let name = match &queue {
            DeadLetterQueue::Named(name) => topology.dead_letters(name),
            DeadLetterQueue::Unrouted => topology.unrouted(),
        };
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = async {
            match channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await {
                Err(err) if is_missing(&err) => Ok(0),
                declared => declared.map(|queue| queue.message_count()),
            }
        };
        let count = connection.answer("counting dead letters", declare).await?;
        Ok(Self { connection, channel, topology: topology.clone(), name, queue, count })
    }

    /// How many messages were in the queue when it was opened.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The next message; `None` if the queue is empty.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn next(&self) -> Result<Option<Delivery>, BrokerError> {
        let get = self.channel.basic_get(self.name.as_str().into(), BasicGetOptions::default());
        let got = self.connection.answer("taking a dead letter", get).await?;
        Ok(got.map(|got| match &self.queue {
            DeadLetterQueue::Named(name) => Delivery::dead_letter(&self.topology, name, got.delivery),
            DeadLetterQueue::Unrouted => Delivery::unrouted(&self.topology, got.delivery),
        }))
    }

    /// Closes the connection, which returns unacknowledged messages to the queue.
    pub async fn close(self) {
        self.connection.close().await;
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("count", &self.count).finish_non_exhaustive()
    }
}
