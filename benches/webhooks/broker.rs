//! The queue that everybody publishes to, and what one confirmed publish takes.

use std::time::Instant;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::support::bus::block_on;

/// Publishes that are timed, one after another.
const PUBLISHES: usize = 300;
/// About what an event has.
const BYTES: usize = 1000;

/// The queue of the lane of voice notes.
pub(crate) struct Queue {
    _connection: Connection,
    channel: Channel,
    exchange: String,
}

impl Queue {
    /// A connection of the bench's own.
    pub(crate) fn open(url: &str, exchange: &str) -> Self {
        block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a broker");
            let channel = connection.create_channel().await.expect("a channel");
            channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
            Self { _connection: connection, channel, exchange: exchange.to_owned() }
        })
    }

    fn name(&self) -> String {
        format!("{}.audio", self.exchange)
    }

    /// Messages in it.
    pub(crate) fn depth(&self) -> usize {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declared = self.channel.queue_declare(self.name().into(), passive, FieldTable::default());
        usize::try_from(block_on(declared).expect("a queue").message_count()).expect("a number")
    }

    /// Empties it.
    pub(crate) fn purge(&self) {
        block_on(self.channel.queue_purge(self.name().into(), QueuePurgeOptions::default())).expect("purged");
    }

    /// What a confirmed publish takes while nothing else is published, in milliseconds.
    pub(crate) fn publish_times(&self) -> Vec<f64> {
        let body = vec![b'x'; BYTES];
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let one = async || {
            let (exchange, key) = (self.exchange.as_str().into(), "media.received.audio".into());
            let properties = BasicProperties::default().with_delivery_mode(2);
            let began = Instant::now();
            let sent = self.channel.basic_publish(exchange, key, options, &body, properties).await;
            sent.expect("sent").await.expect("confirmed");
            began.elapsed().as_secs_f64() * 1000.0
        };
        block_on(async {
            let mut times = Vec::with_capacity(PUBLISHES);
            for _ in 0..PUBLISHES {
                times.push(one().await);
            }
            times
        })
    }
}
