//! The dead queue, read message by message.

use lapin::Channel;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::connection::Link;
use super::{BrokerError, Delivery, Topology};
use crate::config::Broker;

/// Dead letters. What is taken and not acknowledged is back in the queue when this is closed.
pub struct DeadLetters {
    link: Link,
    channel: Channel,
    queue: String,
    /// How many there were when it was opened.
    count: u32,
}

impl DeadLetters {
    /// Connects, and counts.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology) -> Result<Self, BrokerError> {
        let link = Link::open(config, "dead letters").await?;
        topology.declare(&link).await?;
        let channel = link.channel().await?;
        let queue = topology.dead();
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
        let count = link.answer("counting dead letters", declare).await?.message_count();
        Ok(Self { link, channel, queue, count })
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
        Ok(got.map(|got| Delivery::dead_letter(got.delivery)))
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
