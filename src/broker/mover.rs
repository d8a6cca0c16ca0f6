//! Moves messages from one queue of a role to another, many at a time.
//!
//! It uses a connection of its own, opened when first needed. On the connection that consumes, a broker short of memory
//! would stop reading acknowledgements. The [`Publisher`](super::Publisher) sends one message at a time on a channel,
//! so that it knows which message was returned. Here it is enough to know that *any* was: then the whole batch stays
//! where it is.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::time::timeout;

use super::connection::Connection;
use super::{BrokerError, Delivery, Message, Topology, WorkQueue};
use crate::config::Broker;

/// Builds the message for a queue from a delivery.
type Make = fn(String, &Delivery) -> Message;

/// Moves deliveries to other queues of the role.
pub struct Mover {
    config: Broker,
    topology: Topology,
    open: Option<(Connection, Channel)>,
}

impl Mover {
    /// Connects when there is something to move.
    #[must_use]
    pub fn new(config: &Broker, topology: &Topology) -> Self {
        Self { config: config.clone(), topology: topology.clone(), open: None }
    }

    /// Publishes every delivery unchanged to the end of `queue`, waits for all confirms, then acknowledges the
    /// deliveries. If one is not confirmed, all are returned to the front of the queue that they came from; messages
    /// that did arrive are then in both queues.
    ///
    /// # Errors
    /// [`BrokerError`], also if the broker does not accept messages at the moment.
    pub async fn move_all(&mut self, queue: WorkQueue, deliveries: &[Delivery]) -> Result<(), BrokerError> {
        self.move_as(Message::moved, queue, deliveries).await
    }

    /// Moves a delivery to the end of its own queue. The broker counts its deliveries from 0 again there.
    ///
    /// # Errors
    /// As [`Mover::move_all`].
    pub async fn renew(&mut self, delivery: &Delivery) -> Result<(), BrokerError> {
        self.move_as(Message::renewed, delivery.queue(), std::slice::from_ref(delivery)).await
    }

    async fn move_as(&mut self, make: Make, queue: WorkQueue, deliveries: &[Delivery]) -> Result<(), BrokerError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let moved = self.publish_all(make, queue, deliveries).await;
        if moved.is_err() {
            self.open = None;
        }
        let is_moved = moved.is_ok();
        let settle = deliveries.iter().map(
            async |delivery| {
                if is_moved { delivery.ack().await } else { delivery.requeue().await }
            },
        );
        let settled: Result<Vec<()>, BrokerError> = join_all(settle).await.into_iter().collect();
        moved.and(settled.map(drop))
    }

    async fn publish_all(&mut self, make: Make, queue: WorkQueue, deliveries: &[Delivery]) -> Result<(), BrokerError> {
        let name = self.topology.work_queue(queue);
        let patience = Duration::from_secs(self.config.confirm_timeout_s);
        let (connection, channel) = self.channel().await?;
        if connection.is_blocked() {
            return Err(BrokerError::unavailable("moving messages", "the broker is short of memory or disk"));
        }
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let mut confirms = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let Message { exchange, routing_key, body, properties } = make(name.clone(), delivery);
            let publish = channel.basic_publish(exchange.into(), routing_key.into(), options, &body, properties);
            confirms.push(connection.answer("moving messages", publish).await?);
        }
        let Ok(confirms) = timeout(patience, try_join_all(confirms)).await else {
            return Err(BrokerError::Timeout { action: "moving messages" });
        };
        let confirmed = |confirm: &Confirmation| matches!(confirm, Confirmation::Ack(None));
        if confirms.map_err(BrokerError::lapin("moving messages"))?.iter().all(confirmed) {
            Ok(())
        } else {
            Err(BrokerError::NotTaken { routing_key: name })
        }
    }

    async fn channel(&mut self) -> Result<&(Connection, Channel), BrokerError> {
        let usable =
            |(connection, channel): &(Connection, Channel)| connection.is_open() && channel.status().connected();
        if !self.open.as_ref().is_some_and(usable) {
            self.open = None;
            let connection = Connection::open(&self.config, "mover").await?;
            let channel = connection.channel().await?;
            connection.answer("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
            self.open = Some((connection, channel));
        }
        self.open.as_ref().ok_or_else(|| BrokerError::unavailable("moving messages", "there is no connection"))
    }
}

impl std::fmt::Debug for Mover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mover").field("topology", &self.topology).finish_non_exhaustive()
    }
}
