//! Takes messages from one queue of a role.
//!
//! A consumer with a prefetch of one message per slot would receive messages while no slot is free. They would wait in
//! the buffer of a busy worker while another worker is idle. The prefetch cannot follow the number of free slots
//! either: a quorum queue reads it only when a consumer begins, and does not support one for a whole channel. So a
//! worker with a free slot *pulls* (`basic.get`) while messages wait. While none waits it *watches* (a consumer with a
//! prefetch of one) and receives the next message within one round trip. RabbitMQ 3.10 and 4.x behave the same in this
//! respect.

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

/// A queue with a channel of its own.
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
    /// The consumer has received its message. It receives no other one until that is acknowledged.
    spent: bool,
}

/// The front of a queue: at most the requested number of messages. The caller acknowledges each or returns it.
pub struct Window<'a> {
    inlet: &'a mut Inlet,
    consumer: Consumer,
    /// Messages that were received and not yet returned by [`Window::gather`].
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

    /// Which queue this is.
    #[must_use]
    pub const fn queue(&self) -> WorkQueue {
        self.queue
    }

    pub(super) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// How many messages wait. The queue's leader answers this from memory.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn count(&self) -> Result<u32, BrokerError> {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
        let declare = self.channel.queue_declare(self.name.as_str().into(), passive, FieldTable::default());
        Ok(self.connection.answer("counting messages", declare).await?.message_count())
    }

    /// Takes the message at the front. Also returns how many wait behind it.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn get(&self) -> Result<Option<(Delivery, u32)>, BrokerError> {
        let get = self.channel.basic_get(self.name.as_str().into(), BasicGetOptions::default());
        let got = self.connection.answer("taking a message", get).await?;
        Ok(got.map(|got| (Delivery::new(self.queue, got.delivery), got.message_count)))
    }

    /// Whether the queue has a consumer that will receive the next message.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| !watch.spent)
    }

    /// Starts a consumer for the next message. Returns the message that the consumer before it received meanwhile, if
    /// any.
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

    /// Ends the consumer. Returns the message that it received and nobody took, if any.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn unwatch(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let Some(watch) = self.watch.take() else { return Ok(None) };
        Ok(self.cancel(watch.consumer).await?.pop())
    }

    /// Opens a window of at most this many messages at the front of the queue.
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

    /// As [`Inlet::unwatch`], for the end of consuming: a message that arrives in that moment is returned to its queue.
    pub(super) async fn stop(&mut self) {
        let given_back = match self.unwatch().await {
            Ok(Some(delivery)) => delivery.requeue().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = given_back {
            tracing::debug!(%error, "a message was not returned: RabbitMQ requeues it when the connection closes");
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

    /// Cancels a consumer and returns the messages that it received and nobody took. The stream ends when the broker
    /// confirms the cancellation.
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
    /// Waits up to `patience` for a first message, then returns it with all others that have arrived, at most `most`.
    /// Dropping the future loses no message.
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

    /// Receives messages for a later [`Window::gather`] until the stream ends, so that each has the moment of its
    /// receipt.
    pub async fn fill(&mut self) -> BrokerError {
        loop {
            match received(self.inlet.queue, self.consumer.next().await) {
                Ok(delivery) => self.here.push_back(delivery),
                Err(error) => return error,
            }
        }
    }

    /// Closes the window. Returns the messages that were received and not gathered.
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
        None => Err(BrokerError::unavailable("consuming", "the broker ended the consumer")),
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
