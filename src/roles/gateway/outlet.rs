//! Where events go.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use crate::broker::{BrokerError, Message, Publisher, Topology};
use crate::channels::Outgoing;

/// Messages of one webhook that are published at the same time.
const AT_ONCE: usize = 32;

/// Messages of all webhooks that are published at the same time. Each has an AMQP channel, of which a connection has 2,047.
const AT_ONCE_IN_ALL: usize = 256;

/// Why a batch was not published: some of it may have been, and is published again with the next delivery of the webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPublished(pub String);

/// Publishes the events of a webhook.
pub trait Outlet: Send + Sync + 'static {
    /// Publishes all of them and waits until each is confirmed. Gives back how many of those that need not arrive
    /// ([`Outgoing::must_arrive`]) nobody is bound for.
    ///
    /// # Errors
    /// [`NotPublished`] where one of them is not confirmed.
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<usize, NotPublished>>;
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub struct Broker {
    topology: Topology,
    publisher: Publisher,
    places: Arc<Semaphore>,
}

impl Broker {
    /// Publishes by `publisher` to the exchange of `topology`.
    #[must_use]
    pub fn new(topology: Topology, publisher: Publisher) -> Self {
        Self { topology, publisher, places: Arc::new(Semaphore::new(AT_ONCE_IN_ALL)) }
    }

    /// Connects in a task of its own, which goes on where the webhook's time is over: the next one finds the connection.
    async fn connected(&self) -> Result<(), NotPublished> {
        let publisher = self.publisher.clone();
        let connected = tokio::spawn(async move { publisher.connect().await }).await;
        connected.map_err(|error| error.to_string()).and_then(|it| it.map_err(|e| e.to_string())).map_err(NotPublished)
    }

    async fn publish_one(&self, outgoing: Outgoing) -> Result<usize, NotPublished> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.map_err(|error| NotPublished(error.to_string()))?;
        let message = Message::event(&self.topology, &outgoing.routing_key, &outgoing.event);
        match self.publisher.publish(&message).await {
            Ok(()) => Ok(0),
            Err(BrokerError::Unroutable { .. }) if !outgoing.must_arrive() => Ok(1),
            Err(error) => Err(NotPublished(error.to_string())),
        }
    }
}

/// Has the next webhook use another connection where this one's time was over before the broker confirmed: this one may be lost
/// without a sign of it.
struct Unconfirmed<'a>(Option<&'a Publisher>);

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if let Some(publisher) = self.0.filter(|publisher| !publisher.is_blocked()) {
            publisher.reconnect();
        }
    }
}

impl Outlet for Broker {
    fn publish(&self, batch: Vec<Outgoing>) -> BoxFuture<'_, Result<usize, NotPublished>> {
        Box::pin(async move {
            // A blocked broker would have the webhook wait for its whole time and then be answered with 503 all the same.
            if self.publisher.is_blocked() {
                return Err(NotPublished("the broker takes no messages, for want of memory or disk".to_owned()));
            }
            self.connected().await?;
            let mut published =
                stream::iter(batch).map(|outgoing| self.publish_one(outgoing)).buffer_unordered(AT_ONCE);
            let mut unconfirmed = Unconfirmed(Some(&self.publisher));
            let mut unrouted = Ok(0);
            while let Some(result) = published.next().await {
                unrouted = unrouted.and_then(|sum| Ok(sum + result?));
                if unrouted.is_err() {
                    break;
                }
            }
            unconfirmed.0 = None;
            unrouted
        })
    }
}
