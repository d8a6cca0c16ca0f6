//! Queues of messages that wait for an operator, read message by message: dead letters, and what had no lane.

use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::connection::Link;
use super::{BrokerError, Delivery, Topology};
use crate::config::Broker;

/// Which of these queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// Messages that nothing more is done with.
    Dead,
    /// Requests whose routing key leads to no lane.
    Unrouted,
}

/// Messages that wait for an operator. What is taken and not acknowledged is back in the queue when this is closed.
pub struct DeadLetters {
    link: Link,
    channel: Channel,
    queue: String,
    letters: Letters,
    /// How many there were when it was opened.
    count: u32,
}

impl DeadLetters {
    /// Connects, and counts.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology, letters: Letters) -> Result<Self, BrokerError> {
        let link = Link::open(config, "dead letters").await?;
        topology.declare(&link).await?;
        let channel = link.channel().await?;
        let queue = match letters {
            Letters::Dead => topology.dead(),
            Letters::Unrouted => topology.unrouted(),
        };
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
        let count = link.answer("counting dead letters", declare).await?.message_count();
        Ok(Self { link, channel, queue, letters, count })
    }

    /// How many there were when it was opened.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The next one; nothing where there is none.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn next(&self) -> Result<Option<Delivery>, BrokerError> {
        let get = self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default());
        let got = self.link.answer("taking a dead letter", get).await?;
        Ok(got.map(|got| match self.letters {
            Letters::Dead => Delivery::dead_letter(got.delivery),
            Letters::Unrouted => Delivery::unrouted(got.delivery),
        }))
    }

    /// Puts back what was not acknowledged.
    pub async fn close(self) {
        self.link.close().await;
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("count", &self.count).finish_non_exhaustive()
    }
}
