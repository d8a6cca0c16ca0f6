//! Taking messages: the work queues for a worker, a queue of one's own for somebody who waits for an outcome.

use std::sync::Arc;
use std::task::Poll;

use futures_util::{StreamExt, future};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::connection::Link;
use super::inlet::Inlet;
use super::{BrokerError, Delivery, Lane, Lookout, Topology, WorkQueue};
use crate::config::Broker;

/// The work queues over one connection, with a channel each. Nothing is delivered that is not asked for: one message
/// ([`Inlet::get`]), the next one to come ([`Inlet::watch`]), or a window on the front of the queue ([`Inlet::look`]).
pub struct Subscription {
    /// In the order of [`WorkQueue::ALL`].
    inlets: [Inlet; 4],
    link: Arc<Link>,
    lookout: Lookout,
}

impl Subscription {
    /// Connects, and declares the topology.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology) -> Result<Self, BrokerError> {
        let link = Arc::new(Link::open(config, "consumer").await?);
        topology.declare(&link).await?;
        let open = WorkQueue::ALL.map(|queue| Inlet::open(Arc::clone(&link), topology, queue));
        let [a, b, c, d] = open;
        let inlets = [a.await?, b.await?, c.await?, d.await?];
        let lanes = inlets.iter().map(|inlet| (inlet.queue().lane, inlet.channel().clone())).collect();
        let lookout = Lookout::new(Arc::clone(&link), lanes, topology);
        Ok(Self { inlets, link, lookout })
    }

    /// Whether deliveries can still be acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_open() && self.inlets.iter().all(|inlet| inlet.channel().status().connected())
    }

    /// The same from beside it.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        self.lookout.clone()
    }

    /// One of the queues.
    pub const fn inlet(&mut self, queue: WorkQueue) -> &mut Inlet {
        &mut self.inlets[queue.index()]
    }

    /// How many messages wait in a lane, and how many in its second queue.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn counts(&self, lane: Lane) -> Result<(u32, u32), BrokerError> {
        let count = |queue: WorkQueue| self.inlets[queue.index()].count();
        future::try_join(count(WorkQueue::plain(lane)), count(WorkQueue::later(lane))).await
    }

    /// The next message to come to one of the queues that are watched. Nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// [`BrokerError`] at the end of a stream: the connection or the channel is gone, the queue was deleted, or the
    /// server cancelled the consumer. None of these ends by itself.
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

    /// Watches no queue any more. What came in that moment is given back to its queue; what is being worked on can still
    /// be acknowledged.
    pub async fn stop(&mut self) {
        future::join_all(self.inlets.iter_mut().map(Inlet::stop)).await;
    }

    /// Ends the connection; RabbitMQ puts back whatever was not acknowledged.
    pub async fn close(self) {
        let Self { inlets, link, lookout } = self;
        drop((inlets, lookout));
        link.close().await;
    }
}

/// Outcome events of all media, from now on, in a queue that ends with the connection.
pub struct OutcomeQueue {
    link: Link,
    consumer: Consumer,
    _channel: Channel,
}

impl OutcomeQueue {
    /// Binds to all outcomes.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology) -> Result<Self, BrokerError> {
        let link = Link::open(config, "waiting").await?;
        topology.declare(&link).await?;
        let channel = link.channel().await?;
        let declare = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default());
        let queue = link.answer("declaring a queue", declare).await?.name().clone();
        for key in ["media.normalized.*", "media.rejected", "media.failed"] {
            let exchange: ShortString = topology.exchange().into();
            let options = QueueBindOptions::default();
            let bind = channel.queue_bind(queue.clone(), exchange, key.into(), options, FieldTable::default());
            link.answer("binding a queue", bind).await?;
        }
        let consume = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = link.answer("consuming", consume).await?;
        Ok(Self { link, consumer, _channel: channel })
    }

    /// The next event's bytes.
    ///
    /// # Errors
    /// [`BrokerError`] at the end of the stream.
    pub async fn next(&mut self) -> Result<Vec<u8>, BrokerError> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => {
                let ack = delivery.acker.ack(BasicAckOptions::default());
                self.link.answer("acknowledging", ack).await?;
                Ok(delivery.data)
            }
            Some(Err(err)) => Err(BrokerError::lapin("consuming")(err)),
            None => Err(BrokerError::gone("consuming", "the broker ended the consumer")),
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutcomeQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutcomeQueue").finish_non_exhaustive()
    }
}
