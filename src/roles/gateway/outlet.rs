//! Where events go, and webhooks that are passed on.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::Webhook;
use crate::broker::{BrokerError, Message, Publisher, Topology, WorkQueue};
use crate::channels::Outgoing;

/// Messages of one webhook that are published at the same time.
const AT_ONCE: usize = 32;

/// Why a batch was not published: some of it may have been, and is published again with the next delivery of the webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPublished(pub String);

/// What a webhook turns into.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The account that it came to.
    pub account: String,
    /// What it tells of.
    pub events: Vec<Outgoing>,
    /// The webhook itself, where the account has targets that it is passed on to.
    pub webhook: Option<Webhook>,
}

/// Publishes what webhooks turn into.
pub trait Outlet: Send + Sync + 'static {
    /// Publishes all of it and waits until each is confirmed. Gives back how many events of those that need not arrive
    /// ([`Outgoing::must_arrive`]) nobody is bound for.
    ///
    /// # Errors
    /// [`NotPublished`] where one of them is not confirmed.
    fn publish(&self, batch: Batch) -> BoxFuture<'_, Result<usize, NotPublished>>;
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub struct Broker {
    topology: Topology,
    publisher: Publisher,
    /// The queues of the targets of each account.
    targets: Arc<HashMap<String, Vec<WorkQueue>>>,
    places: Arc<Semaphore>,
}

/// One message of a batch.
enum Item {
    Event(Outgoing),
    Copy(Webhook, WorkQueue),
}

impl Broker {
    /// Publishes by `publisher` to the exchange of `topology`, at most so many messages at the same time; and webhooks to the
    /// queues of the targets of their account.
    #[must_use]
    pub fn new(
        topology: Topology,
        publisher: Publisher,
        publishes: usize,
        targets: HashMap<String, Vec<WorkQueue>>,
    ) -> Self {
        Self { topology, publisher, targets: Arc::new(targets), places: Arc::new(Semaphore::new(publishes)) }
    }

    /// Connects in a task of its own, which goes on where the webhook's time is over: the next one finds the connection.
    async fn connected(&self) -> Result<(), NotPublished> {
        if self.publisher.is_connected() {
            return Ok(());
        }
        let publisher = self.publisher.clone();
        let connected = tokio::spawn(async move { publisher.connect().await }).await;
        connected.map_err(|error| error.to_string()).and_then(|it| it.map_err(|e| e.to_string())).map_err(NotPublished)
    }

    fn items(&self, batch: Batch) -> Vec<Item> {
        let queues = self.targets.get(&batch.account).map_or(&[][..], Vec::as_slice);
        let copy = |webhook: Webhook| queues.iter().map(move |queue| Item::Copy(webhook.clone(), *queue));
        batch.events.into_iter().map(Item::Event).chain(batch.webhook.into_iter().flat_map(copy)).collect()
    }

    async fn publish_one(&self, item: Item) -> Result<usize, NotPublished> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await.map_err(|error| NotPublished(error.to_string()))?;
        let (message, must_arrive) = match item {
            Item::Event(outgoing) => {
                (Message::event(&self.topology, &outgoing.routing_key, &outgoing.event), outgoing.must_arrive())
            }
            Item::Copy(webhook, queue) => (webhook.message(&self.topology, queue), true),
        };
        match self.publisher.publish(&message).await {
            Ok(()) => Ok(0),
            Err(BrokerError::Unroutable { .. }) if !must_arrive => Ok(1),
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
    fn publish(&self, batch: Batch) -> BoxFuture<'_, Result<usize, NotPublished>> {
        Box::pin(async move {
            // A blocked broker would have the webhook wait for its whole time and then be answered with 503 all the same.
            if self.publisher.is_blocked() {
                return Err(NotPublished("RabbitMQ is short of memory or disk and accepts no messages".to_owned()));
            }
            self.connected().await?;
            let mut published =
                stream::iter(self.items(batch)).map(|item| self.publish_one(item)).buffer_unordered(AT_ONCE);
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
