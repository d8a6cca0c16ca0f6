//! Receives messages: from the queues of a role, and from a temporary queue for a command that waits for an outcome.

use std::sync::Arc;
use std::task::Poll;

use futures_util::{StreamExt, future};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::connection::Connection;
use super::inlet::Inlet;
use super::{BrokerError, Delivery, QueueDepths, Topology, WorkQueue};
use crate::config::Broker;

/// The queues of a role over one connection, with one channel each. The broker delivers only what is asked for: one
/// message ([`Inlet::get`]), the next message to arrive ([`Inlet::watch`]), or several at the front of the queue
/// ([`Inlet::look`]).
pub struct Subscription {
    /// In the order of [`Topology::work_queues`].
    inlets: Vec<Inlet>,
    connection: Arc<Connection>,
    depths: QueueDepths,
}

impl Subscription {
    /// Connects, and declares the topology.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology) -> Result<Self, BrokerError> {
        let connection = Arc::new(Connection::open(config, "consumer").await?);
        topology.declare(&connection).await?;
        let mut inlets = Vec::new();
        for queue in topology.work_queues() {
            inlets.push(Inlet::open(Arc::clone(&connection), topology, queue).await?);
        }
        let consumed =
            inlets.iter().map(|inlet| (topology.spec(inlet.queue()).name.clone(), inlet.channel().clone())).collect();
        let depths = QueueDepths::new(Arc::clone(&connection), consumed, topology);
        Ok(Self { inlets, connection, depths })
    }

    /// Whether the connection is open, so that deliveries can still be acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open() && self.inlets.iter().all(|inlet| inlet.channel().status().connected())
    }

    /// Counts waiting messages, for health and metrics.
    #[must_use]
    pub fn depths(&self) -> QueueDepths {
        self.depths.clone()
    }

    /// All queues.
    pub fn inlets(&mut self) -> &mut [Inlet] {
        &mut self.inlets
    }

    /// The inlet of this queue.
    ///
    /// # Errors
    /// [`BrokerError::Config`] where the topology has no such queue.
    pub fn inlet(&mut self, queue: WorkQueue) -> Result<&mut Inlet, BrokerError> {
        self.inlets.iter_mut().find(|inlet| inlet.queue() == queue).ok_or_else(|| not_declared(queue))
    }

    /// How many messages wait in this queue; 0 if the topology has no such queue.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn count(&self, queue: WorkQueue) -> Result<u32, BrokerError> {
        match self.inlets.iter().find(|inlet| inlet.queue() == queue) {
            Some(inlet) => inlet.count().await,
            None => Ok(0),
        }
    }

    /// The next message that arrives in one of the watched queues. Dropping the future loses no message.
    ///
    /// # Errors
    /// [`BrokerError`] when a consumer's stream ends: connection or channel are lost, the queue was deleted, or the
    /// server cancelled the consumer. None of these recovers without a new subscription.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        future::poll_fn(|context| {
            for inlet in &mut self.inlets {
                if let Poll::Ready(delivery) = inlet.poll_watched(context) {
                    return Poll::Ready(delivery);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Ends all watches. Messages that arrive in that moment are returned to their queues. Messages that are being
    /// handled can still be acknowledged.
    pub async fn stop(&mut self) {
        future::join_all(self.inlets.iter_mut().map(Inlet::stop)).await;
    }

    /// Closes the connection. RabbitMQ requeues everything that was not acknowledged.
    pub async fn close(self) {
        let Self { inlets, connection, depths } = self;
        drop((inlets, depths));
        connection.close().await;
    }
}

/// Outcome events of all media from now on, in a queue that is deleted with the connection.
pub struct OutcomeQueue {
    connection: Connection,
    consumer: Consumer,
    _channel: Channel,
}

impl OutcomeQueue {
    /// Connects and binds a temporary queue to the routing keys of all outcomes.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology) -> Result<Self, BrokerError> {
        let connection = Connection::open(config, "waiting").await?;
        topology.declare(&connection).await?;
        let channel = connection.channel().await?;
        let declare = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default());
        let queue = connection.answer("declaring a queue", declare).await?.name().clone();
        for key in ["media.normalized.*", "media.rejected", "media.failed"] {
            let exchange: ShortString = topology.exchange().into();
            let options = QueueBindOptions::default();
            let bind = channel.queue_bind(queue.clone(), exchange, key.into(), options, FieldTable::default());
            connection.answer("binding a queue", bind).await?;
        }
        let consume = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = connection.answer("consuming", consume).await?;
        Ok(Self { connection, consumer, _channel: channel })
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`BrokerError`] when the consumer's stream ends.
    pub async fn next(&mut self) -> Result<OutcomeMessage<'_>, BrokerError> {
        match self.consumer.next().await {
            Some(Ok(inner)) => Ok(OutcomeMessage { connection: &self.connection, inner }),
            Some(Err(err)) => Err(BrokerError::lapin("consuming")(err)),
            None => Err(BrokerError::unavailable("consuming", "the broker ended the consumer")),
        }
    }
}

/// One event of an [`OutcomeQueue`]. It stays in the queue until it is acknowledged.
pub struct OutcomeMessage<'a> {
    connection: &'a Connection,
    inner: lapin::message::Delivery,
}

impl OutcomeMessage<'_> {
    /// The message's body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.data
    }

    /// Acknowledges the message, which removes it from the queue. Call this after the event has been read.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn ack(self) -> Result<(), BrokerError> {
        let ack = self.inner.acker.ack(BasicAckOptions::default());
        self.connection.answer("acknowledging", ack).await.map(drop)
    }
}

fn not_declared(queue: WorkQueue) -> BrokerError {
    BrokerError::Config(format!("the role has no queue {} (second queue: {})", queue.index, queue.later))
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutcomeMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutcomeMessage").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutcomeQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutcomeQueue").finish_non_exhaustive()
    }
}
