//! A message that was delivered and waits for its acknowledgement.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::AMQPValue;
use tokio::time::{Instant, timeout};

use super::headers::{ATTEMPTS, CODE, DELIVERIES, LANE, SUSPICIONS};
use super::queue::LATER;
use super::{BrokerError, Topology, WorkQueue};
use crate::error::Code;
use crate::events::Headers;

/// How long writing an acknowledgement to the connection may take.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A delivered message.
#[derive(Debug)]
pub struct Delivery {
    queue: WorkQueue,
    received_at: Instant,
    inner: lapin::message::Delivery,
}

/// How often a message was tried before, read from the headers that roles write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Tries that failed.
    pub attempts: u32,
    /// Those of the failed tries for which the file or the machine may have been the cause.
    pub suspicions: u32,
}

impl Delivery {
    pub(super) fn new(queue: WorkQueue, inner: lapin::message::Delivery) -> Self {
        Self { queue, received_at: Instant::now(), inner }
    }

    /// The queue that the message came from. For a dead letter: the queue that a replay returns it to.
    #[must_use]
    pub const fn queue(&self) -> WorkQueue {
        self.queue
    }

    /// When the message was received. The broker's time limit for the acknowledgement is counted from this moment.
    #[must_use]
    pub const fn received_at(&self) -> Instant {
        self.received_at
    }

    /// The exchange that the message was published to; empty for the default exchange, which retries use.
    #[must_use]
    pub fn exchange(&self) -> &str {
        self.inner.exchange.as_str()
    }

    /// The routing key that the message was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.inner.routing_key.as_str()
    }

    /// The AMQP `message-id` that the sender set. It may differ from the id of the event in the body.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.inner.properties.message_id().as_ref().map(lapin::types::ShortString::as_str)
    }

    /// When its sender says that it was published, in seconds of Unix time.
    #[must_use]
    pub fn published_at(&self) -> Option<u64> {
        *self.inner.properties.timestamp()
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.data
    }

    /// The AMQP `content-type` that the sender set.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.inner.properties.content_type().as_ref().map(lapin::types::ShortString::as_str)
    }

    /// The headers whose value is text or can be written as text.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let Some(headers) = self.inner.properties.headers() else { return Headers::new() };
        headers.into_iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), as_text(value)?))).collect()
    }

    /// The raw bytes of a header with a text value.
    #[must_use]
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        match self.value(name)? {
            AMQPValue::LongString(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// How often the message was tried before, read from the headers that roles write. Only a message that came through
    /// the default exchange has such headers: in a message for the topic exchange the sender could have written
    /// anything.
    #[must_use]
    pub fn tries(&self) -> Tries {
        if !self.is_passed_on() {
            return Tries::default();
        }
        let count = |name| self.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        Tries { attempts: count(ATTEMPTS), suspicions: count(SUSPICIONS) }
    }

    /// Whether a role published the message through the default exchange, as it does with retries, postponed messages
    /// and replays.
    pub(super) fn is_passed_on(&self) -> bool {
        self.inner.exchange.as_str().is_empty()
    }

    /// How often RabbitMQ delivered the message before, to any consumer. From version 4.3 on, a delivery that ended
    /// because the consumer acknowledged too late is counted as acquired but not as delivered.
    #[must_use]
    pub fn delivered_before(&self) -> u32 {
        let count = |name| self.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        count("x-delivery-count").max(count("x-acquired-count"))
    }

    /// How often the message was delivered in the queues that it was moved from, as written by the worker that moved
    /// it.
    #[must_use]
    pub fn delivered_elsewhere(&self) -> u32 {
        let count = || self.number(DELIVERIES).and_then(|number| u32::try_from(number).ok());
        if self.is_passed_on() { count().unwrap_or(0) } else { 0 }
    }

    /// How often the message was delivered before, in this queue and in those that it was moved from.
    #[must_use]
    pub fn delivered_in_all(&self) -> u32 {
        self.delivered_before().saturating_add(self.delivered_elsewhere())
    }

    /// The code with which a role put the message into a dead-letter queue, if this version knows it.
    #[must_use]
    pub fn dead_code(&self) -> Option<Code> {
        Code::parse(&self.text(CODE)?)
    }

    /// Whether a role wrote a code when it put the message into a dead-letter queue, including codes of later versions
    /// that this version does not know.
    #[must_use]
    pub fn has_dead_code(&self) -> bool {
        self.value(CODE).is_some()
    }

    /// A message of a dead-letter queue. A replay returns it to the queue that a role wrote into its headers, or else
    /// to the one that RabbitMQ names in its own headers, or else to the last queue that shares these dead letters.
    pub(super) fn dead_letter(topology: &Topology, name: &str, inner: lapin::message::Delivery) -> Self {
        let mut delivery = Self::new(WorkQueue::plain(0), inner);
        let origin = delivery.text(LANE).or_else(|| delivery.text("x-first-death-queue")).unwrap_or_default();
        let origin = origin.strip_suffix(LATER).unwrap_or(&origin);
        let is_origin = |queue: &str| origin == queue || origin.ends_with(&format!(".{queue}"));
        let specs = || topology.specs().iter().enumerate();
        let named = specs().filter(|(_, spec)| is_origin(&spec.name)).max_by_key(|(_, spec)| spec.name.len());
        let last = || specs().rfind(|(_, spec)| spec.dead_letters == name);
        delivery.queue = WorkQueue::plain(named.or_else(last).map_or(0, |(index, _)| index));
        delivery
    }

    /// A request that no queue is bound for. A replay sends it to the queue with the longest routing key that is a
    /// prefix of the request's.
    pub(super) fn unrouted(topology: &Topology, inner: lapin::message::Delivery) -> Self {
        let routing_key = inner.routing_key.as_str();
        let extends = |key: &&String| routing_key.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('.'));
        let longest = |keys: &[String]| keys.iter().filter(extends).map(String::len).max();
        let specs = topology.specs().iter().enumerate();
        let found = specs.filter_map(|(index, spec)| Some((longest(&spec.keys)?, index))).max();
        let index = found.map_or(topology.specs().len().saturating_sub(1), |(_, index)| index);
        Self::new(WorkQueue::plain(index), inner)
    }

    /// Whether the channel of this delivery is closed. Then the message can no longer be acknowledged, and RabbitMQ
    /// delivers it again.
    #[must_use]
    pub fn is_channel_closed(&self) -> bool {
        !self.inner.acker.usable()
    }

    /// Acknowledges the message, which removes it from its queue.
    ///
    /// # Errors
    /// [`BrokerError`]; then RabbitMQ delivers the message again.
    pub async fn ack(&self) -> Result<(), BrokerError> {
        self.settled("acknowledging", self.inner.acker.ack(BasicAckOptions::default())).await
    }

    /// Returns the message to its queue, where any consumer may receive it.
    ///
    /// # Errors
    /// [`BrokerError`]; then RabbitMQ delivers the message again as well.
    pub async fn requeue(&self) -> Result<(), BrokerError> {
        let options = BasicNackOptions { requeue: true, multiple: false };
        self.settled("requeueing", self.inner.acker.nack(options)).await
    }

    pub(super) const fn properties(&self) -> &BasicProperties {
        &self.inner.properties
    }

    async fn settled(
        &self,
        action: &'static str,
        answer: impl Future<Output = lapin::Result<bool>>,
    ) -> Result<(), BrokerError> {
        match timeout(ACK_TIMEOUT, answer).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(BrokerError::unavailable(action, "the delivery's channel is closed")),
            Ok(Err(err)) => Err(BrokerError::lapin(action)(err)),
            Err(_elapsed) => Err(BrokerError::Timeout { action }),
        }
    }

    fn value(&self, name: &str) -> Option<&AMQPValue> {
        self.inner.properties.headers().as_ref()?.inner().get(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        as_text(self.value(name)?)
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            AMQPValue::ShortShortInt(n) => Some((*n).into()),
            AMQPValue::ShortShortUInt(n) => Some((*n).into()),
            AMQPValue::ShortInt(n) => Some((*n).into()),
            AMQPValue::ShortUInt(n) => Some((*n).into()),
            AMQPValue::LongInt(n) => Some((*n).into()),
            AMQPValue::LongUInt(n) => Some((*n).into()),
            AMQPValue::LongLongInt(n) => Some(*n),
            _ => None,
        }
    }
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::LongInt(number) => Some(number.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        AMQPValue::Timestamp(seconds) => {
            Some(jiff::Timestamp::from_second(i64::try_from(*seconds).ok()?).ok()?.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldTable;

    use super::super::Message;
    use super::*;

    fn delivery(exchange: &str, headers: &[(&str, i64)]) -> Delivery {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongLongInt(*value));
        }
        let properties = BasicProperties::default().with_headers(table);
        let inner = lapin::message::Delivery::mock(1, exchange.into(), "key".into(), false, Vec::new());
        let inner = lapin::message::Delivery { properties, ..inner };
        Delivery::new(WorkQueue::plain(1), inner)
    }

    #[test]
    fn attempts_are_read_from_headers_of_workers_and_not_of_senders() {
        let headers = [(ATTEMPTS, 99), (SUSPICIONS, 1)];
        assert_eq!(delivery("mediamill", &headers).tries(), Tries::default());
        assert_eq!(delivery("", &headers).tries(), Tries { attempts: 99, suspicions: 1 });
    }

    #[test]
    fn deliveries_are_counted_as_old_and_new_brokers_count_them() {
        assert_eq!(delivery("", &[("x-delivery-count", 3)]).delivered_before(), 3);
        assert_eq!(delivery("", &[("x-delivery-count", 1), ("x-acquired-count", 4)]).delivered_before(), 4);
        assert_eq!(delivery("", &[]).delivered_before(), 0);
    }

    #[test]
    fn the_count_of_deliveries_continues_in_the_next_queue() {
        let headers = [("x-delivery-count", 3), (DELIVERIES, 4)];
        let of = |message: Message| {
            let inner = lapin::message::Delivery::mock(1, "".into(), "key".into(), false, Vec::new());
            let inner = lapin::message::Delivery { properties: message.properties, ..inner };
            Delivery::new(WorkQueue::later(1), inner).delivered_in_all()
        };
        assert_eq!(of(Message::moved(String::new(), &delivery("", &headers))), 7);
        assert_eq!(
            of(Message::moved(String::new(), &delivery("mediamill", &headers))),
            3,
            "a header of the sender is not used"
        );
        assert_eq!(
            of(Message::renewed(String::new(), &delivery("", &headers))),
            4,
            "deliveries that were not begun are not counted"
        );
        assert_eq!(of(Message::moved(String::new(), &delivery("", &[]))), 0);
    }
    #[test]
    fn a_dead_letter_returns_to_the_queue_that_it_came_from() {
        let topology = Topology::example();
        let index = |header: &str, queue: &str| {
            let mut table = FieldTable::default();
            table.insert(header.into(), AMQPValue::LongString(queue.into()));
            let inner = lapin::message::Delivery::mock(1, "".into(), "key".into(), false, Vec::new());
            let inner =
                lapin::message::Delivery { properties: BasicProperties::default().with_headers(table), ..inner };
            Delivery::dead_letter(&topology, "dead", inner).queue()
        };
        assert_eq!(index(LANE, "audio"), WorkQueue::plain(0));
        assert_eq!(index(LANE, "bulk"), WorkQueue::plain(1));
        for queue in ["mm.audio", "mm.audio.later", "older.audio"] {
            assert_eq!(index("x-first-death-queue", queue), WorkQueue::plain(0), "{queue}");
        }
        assert_eq!(index("x-first-death-queue", "mm.video"), WorkQueue::plain(1), "an unknown queue");
    }

    #[test]
    fn an_unrouted_request_goes_to_the_queue_whose_key_it_extends() {
        let topology = Topology::example();
        let index = |routing_key: &str| {
            let inner = lapin::message::Delivery::mock(1, "mm".into(), routing_key.into(), false, Vec::new());
            Delivery::unrouted(&topology, inner).queue().index
        };
        assert_eq!(index("media.received.audio.voice"), 0);
        assert_eq!(index("media.received.sticker"), 1);
        assert_eq!(index("media.received.audiobook"), 1);
        assert_eq!(index("elsewhere"), 1);
    }
}
