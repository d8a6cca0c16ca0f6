//! Where events go.

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};

use crate::broker::{BrokerError, Message, Publisher, Topology};
use crate::channels::Outgoing;

/// Messages of one webhook that are published at the same time.
const AT_ONCE: usize = 32;

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
}

impl Broker {
    /// Publishes by `publisher` to the exchange of `topology`.
    #[must_use]
    pub const fn new(topology: Topology, publisher: Publisher) -> Self {
        Self { topology, publisher }
    }

    async fn publish_one(&self, outgoing: Outgoing) -> Result<usize, NotPublished> {
        let message = Message::event(&self.topology, &outgoing.routing_key, &outgoing.event);
        match self.publisher.publish(&message).await {
            Ok(()) => Ok(0),
            Err(BrokerError::Unroutable { .. }) if !outgoing.must_arrive() => Ok(1),
            Err(error) => Err(NotPublished(error.to_string())),
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
            let mut published =
                stream::iter(batch).map(|outgoing| self.publish_one(outgoing)).buffer_unordered(AT_ONCE);
            let mut unrouted = 0;
            while let Some(result) = published.next().await {
                unrouted += result?;
            }
            Ok(unrouted)
        })
    }
}
