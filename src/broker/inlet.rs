//! Takes messages from one queue of a role.
//!
//! A consumer with a prefetch of one message for each slot would have the broker send messages that no slot is free
//! for: they would wait in a busy worker's buffer while another worker is idle. A quorum queue takes the prefetch of a
//! consumer only when that begins, and none for a whole channel, so that no prefetch follows the free slots of a worker
//! with four queues. So a worker that has a free slot *pulls* (`basic.get`) while something waits, and *watches* (a
//! consumer with a prefetch of one) while nothing does: it is idle then, and whatever comes is there within a round
//! trip. RabbitMQ 3.10 and 4.x do the same in all of this.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

use super::connection::Connection;
use super::{BrokerError, Delivery, Topology, WorkQueue};

/// A queue, with a channel of its own.
pub struct Inlet {
    queue: WorkQueue,
    name: String,
    connection: Arc<Connection>,
    channel: Channel,
    prefetch: Option<u16>,
    watch: Option<Watch>,
}

/// A consumer that waits for one message.
struct Watch {
    consumer: Consumer,
    /// It has given its message, and gets no other one before that is acknowledged.
    spent: bool,
}

/// The front of a queue: as many messages as were asked for. The caller acknowledges them or gives them back.
pub struct Window<'a> {
    inlet: &'a mut Inlet,
    consumer: Consumer,
    /// Received and not gathered.
    here: VecDeque<Delivery>,
}

impl Inlet {
    pub(super) async fn open(
        connection: Arc<Connection>,
        topology: &Topology,
        queue: WorkQueue,
    ) -> Result<Self, BrokerError> {
        let channel = connection.channel().await?;
        Ok(Self { queue, name: topology.work_queue(queue), connection, channel, prefetch: None, watch: None })
    }

    /// Which of the queues it is.
    #[must_use]
    pub const fn queue(&self) -> WorkQueue {
        self.queue
    }

    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// How many messages wait. The queue's leader answers without writing anything.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn count(&self) -> Result<u32, BrokerError> {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = self.channel.queue_declare(self.name.as_str().into(), passive, FieldTable::default());
        Ok(self.connection.answer("counting messages", declare).await?.message_count())
    }

    /// The message at the front, and how many wait behind it.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn get(&self) -> Result<Option<(Delivery, u32)>, BrokerError> {
        let get = self.channel.basic_get(self.name.as_str().into(), BasicGetOptions::default());
        let got = self.connection.answer("taking a message", get).await?;
        Ok(got.map(|got| (Delivery::new(self.queue, got.delivery), got.message_count)))
    }

    /// Whether the next message to come will be delivered by itself.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| !watch.spent)
    }

    /// Has the next message to come delivered. Returns a message that the watch before had received meanwhile.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn watch(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.is_watched() {
            return Ok(None);
        }
        let delivery = self.unwatch().await?;
        self.watch = Some(Watch { consumer: self.consume(1).await?, spent: false });
        Ok(delivery)
    }

    /// Ends the watch. Returns the message that was delivered in that moment, where there is one.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn unwatch(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(watch) = self.watch.take() else { return Ok(None) };
        Ok(self.cancel(watch.consumer).await?.pop())
    }

    /// A window on so many messages at the front.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn look(&mut self, messages: u16) -> Result<Window<'_>, BrokerError> {
        let consumer = self.consume(messages).await?;
        Ok(Window { inlet: self, consumer, here: VecDeque::new() })
    }

    pub(super) fn poll_watched(&mut self, context: &mut Context<'_>) -> Poll<Result<Delivery, BrokerError>> {
        let Some(watch) = &mut self.watch else { return Poll::Pending };
        let delivery = ready!(watch.consumer.poll_next_unpin(context));
        watch.spent = true;
        Poll::Ready(received(self.queue, delivery))
    }

    /// As [`Inlet::unwatch`], when no more messages are taken at all: a message that comes in that moment is put back.
    pub(super) async fn stop(&mut self) {
        let given_back = match self.unwatch().await {
            Ok(Some(delivery)) => delivery.requeue().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given_back {
            tracing::debug!(%error, "the broker puts back a message by itself");
        }
    }

    async fn consume(&mut self, prefetch: u16) -> Result<Consumer, BrokerError> {
        if self.prefetch != Some(prefetch) {
            let qos = self.channel.basic_qos(prefetch, BasicQosOptions::default());
            self.connection.answer("setting the prefetch", qos).await?;
            self.prefetch = Some(prefetch);
        }
        let (queue, options) = (self.name.as_str().into(), BasicConsumeOptions::default());
        let consume = self.channel.basic_consume(queue, "".into(), options, FieldTable::default());
        self.connection.answer("consuming", consume).await
    }

    /// Ends a consumer, and returns what was delivered and not taken from it. The stream ends at the broker's answer.
    async fn cancel(&self, mut consumer: Consumer) -> Result<Vec<Delivery>, BrokerError> {
        let cancel = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        self.connection.answer("cancelling a consumer", cancel).await?;
        let mut left = Vec::new();
        while let Some(delivery) = consumer.next().await {
            left.push(received(self.queue, Some(delivery))?);
        }
        Ok(left)
    }
}

impl Window<'_> {
    /// At least one message, where one comes within `patience`, and whatever else is here; at most `most`. Nothing is lost
    /// where the future is dropped.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn gather(&mut self, most: usize, patience: Duration) -> Result<Vec<Delivery>, BrokerError> {
        if self.here.is_empty() {
            let Ok(first) = timeout(patience, self.consumer.next()).await else { return Ok(Vec::new()) };
            self.here.push_back(received(self.inlet.queue, first)?);
        }
        while self.here.len() < most {
            let Some(next) = self.consumer.next().now_or_never() else { break };
            self.here.push_back(received(self.inlet.queue, next)?);
        }
        Ok(self.here.drain(..most.min(self.here.len())).collect())
    }

    /// Receives messages for a later [`Window::gather`] until the stream ends, so that the time of their receipt is known.
    pub async fn fill(&mut self) -> BrokerError {
        loop {
            match received(self.inlet.queue, self.consumer.next().await) {
                Ok(delivery) => self.here.push_back(delivery),
                Err(error) => return error,
            }
        }
    }

    /// Closes it, and returns the messages that were delivered and not gathered.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn close(self) -> Result<Vec<Delivery>, BrokerError> {
        let mut left: Vec<Delivery> = self.here.into();
        left.extend(self.inlet.cancel(self.consumer).await?);
        Ok(left)
    }
}

fn received(queue: WorkQueue, next: Option<lapin::Result<lapin::message::Delivery>>) -> Result<Delivery, BrokerError> {
    match next {
        Some(Ok(delivery)) => Ok(Delivery::new(queue, delivery)),
        Some(Err(err)) => Err(BrokerError::lapin("consuming")(err)),
        None => Err(BrokerError::gone("consuming", "the broker ended the consumer")),
    }
}

impl std::fmt::Debug for Inlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inlet").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Window<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("queue", &self.inlet.queue).finish_non_exhaustive()
    }
}
