//! Taking messages: both lanes for a worker, a queue of one's own for somebody who waits for an outcome.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::connection::Link;
use super::{BrokerError, Delivery, Lane, Lookout, Topology};
use crate::config::Broker;

/// Deliveries of both lanes over one connection, with a channel each.
pub struct Subscription {
    /// Sounds.
    pub audio: LaneConsumer,
    /// Everything else.
    pub bulk: LaneConsumer,
    link: Arc<Link>,
    lookout: Lookout,
}

/// Deliveries of one lane.
pub struct LaneConsumer {
    lane: Lane,
    channel: Channel,
    consumer: Consumer,
}

impl Subscription {
    /// Connects, declares the topology, and consumes with as many unacknowledged messages a lane as given.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn open(config: &Broker, topology: &Topology, audio: u16, bulk: u16) -> Result<Self, BrokerError> {
        let link = Arc::new(Link::open(config, "consumer").await?);
        topology.declare(&link).await?;
        let audio = LaneConsumer::open(&link, topology, Lane::Audio, audio).await?;
        let bulk = LaneConsumer::open(&link, topology, Lane::Bulk, bulk).await?;
        let lanes = [&audio, &bulk].map(|lane| (lane.lane, lane.channel.clone()));
        let lookout = Lookout::new(Arc::clone(&link), lanes, topology);
        Ok(Self { audio, bulk, link, lookout })
    }

    /// Whether deliveries can still be acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_open() && self.audio.channel.status().connected() && self.bulk.channel.status().connected()
    }

    /// The same from beside it.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        self.lookout.clone()
    }

    /// Takes no more messages, and puts back those that are here but were not asked for. What is being worked on can
    /// still be acknowledged.
    pub async fn stop(&mut self) {
        tokio::join!(self.audio.stop(&self.link), self.bulk.stop(&self.link));
    }

    /// Ends the connection; RabbitMQ puts back whatever was not acknowledged.
    pub async fn close(self) {
        let Self { audio, bulk, link, lookout } = self;
        drop((audio, bulk, lookout));
        link.close().await;
    }
}

impl LaneConsumer {
    async fn open(link: &Link, topology: &Topology, lane: Lane, prefetch: u16) -> Result<Self, BrokerError> {
        let channel = link.channel().await?;
        link.answer("setting the prefetch", channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let queue: ShortString = topology.lane(lane).into();
        let consume = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = link.answer("consuming", consume).await?;
        Ok(Self { lane, channel, consumer })
    }

    /// The next delivery. Nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// [`BrokerError`] at the end of the stream: the connection or the channel is gone, the queue was deleted, or the
    /// server cancelled the consumer. None of these ends by itself.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => Ok(Delivery::new(self.lane, delivery)),
            Some(Err(err)) => Err(BrokerError::lapin("consuming")(err)),
            None => Err(BrokerError::gone("consuming", "the broker ended the consumer")),
        }
    }

    async fn stop(&mut self, link: &Link) {
        let cancel = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        if let Err(error) = link.answer("cancelling a consumer", cancel).await {
            tracing::debug!(%error, "the consumer is gone before it was cancelled");
            return;
        }
        // The stream ends where the broker's answer stood; what is before that was delivered and not asked for.
        while let Ok(delivery) = self.next().await {
            if let Err(error) = delivery.requeue().await {
                tracing::debug!(%error, "a delivery is put back by the broker instead");
            }
        }
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

impl std::fmt::Debug for LaneConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneConsumer").field("lane", &self.lane).finish_non_exhaustive()
    }
}
