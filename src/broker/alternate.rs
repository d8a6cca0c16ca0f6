//! Tests over AMQP whether the alternate exchange is in force. A client cannot read policies, so this module publishes
//! a message and observes where it goes.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::timeout;
use uuid::Uuid;

use super::connection::Connection;
use super::{BrokerError, Topology};
use crate::config::Broker;

/// How long a routed message may take to be delivered.
const DELIVERY: Duration = Duration::from_secs(5);

/// What RabbitMQ does with a message whose routing key no queue is bound for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlternateExchange {
    /// The message goes to the alternate exchange.
    InForce,
    /// The message is returned if the sender asked for that with `mandatory`, and dropped otherwise.
    Missing,
    /// No such message exists: some queue is bound for every key.
    Shadowed,
}

/// Publishes a message with a unique routing key to the topic exchange. Only a queue of this connection is bound for
/// that key, at the alternate exchange. The message expires by itself, and queue and binding end with the connection,
/// so nothing is left behind.
///
/// # Errors
/// [`BrokerError`]
pub async fn alternate_exchange(config: &Broker, topology: &Topology) -> Result<AlternateExchange, BrokerError> {
    let connection = Connection::open(config, "doctor").await?;
    topology.declare(&connection).await?;
    let channel = connection.channel().await?;
    let found = probe(&connection, &channel, topology).await;
    connection.close().await;
    found
}

async fn probe(
    connection: &Connection,
    channel: &Channel,
    topology: &Topology,
) -> Result<AlternateExchange, BrokerError> {
    // The key is not one of a request or an outcome. It is also the queue's name, with a prefix that the user's
    // permissions on the other queues cover.
    let key: ShortString = format!("mediamill.doctor.{}", Uuid::now_v7()).into();
    let queue: ShortString = format!("{}.doctor.{}", topology.exchange(), Uuid::now_v7()).into();
    let (options, table) = (QueueDeclareOptions::exclusive(), FieldTable::default());
    connection.answer("declaring a queue", channel.queue_declare(queue.clone(), options, table)).await?;
    let (exchange, options, table) = (topology.unrouted(), QueueBindOptions::default(), FieldTable::default());
    let bind = channel.queue_bind(queue.clone(), exchange.into(), key.clone(), options, table);
    connection.answer("binding a queue", bind).await?;
    let consume = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = connection.answer("consuming", consume).await?;
    connection.answer("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let properties = BasicProperties::default().with_expiration("10000".into()).with_app_id("mediamill".into());
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let publish = channel.basic_publish(topology.exchange().into(), key, options, b"", properties);
    let confirm = connection.answer("publishing", publish).await?;
    match connection.answer("waiting for a confirm", confirm).await? {
        Confirmation::Ack(None) => Ok(match timeout(DELIVERY, consumer.next()).await {
            Ok(Some(Ok(_here))) => AlternateExchange::InForce,
            Ok(_) | Err(_) => AlternateExchange::Shadowed,
        }),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Ok(AlternateExchange::Missing),
        Confirmation::Nack(None) | Confirmation::NotRequested => {
            Err(BrokerError::unavailable("publishing", "the broker refused the message (basic.nack)"))
        }
    }
}
