//! Messages to publish, and the headers that a role writes on those that it moves to another queue.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::Serialize;

use super::headers::{ATTEMPTS, CODE, DELIVERIES, LANE, OURS, REASON, STAGE, SUSPICIONS};
use super::{Delay, Delivery, Topology, WorkQueue};
use crate::error::Code;
use crate::events::{Event, STRUCTURED, Stage, TraceContext};

/// Longest reason in a header, in characters.
const MAX_REASON_CHARS: usize = 500;
/// All headers of a message share one AMQP frame of at most 128 KiB, and RabbitMQ closes a connection that sends a
/// larger one. If the sender's headers together are larger than this, most of them are not copied.
const MAX_FOREIGN_BYTES: usize = 64 << 10;
/// If they are, only headers that are event attributes are copied, each only up to this size.
const MAX_EVENT_HEADER_BYTES: usize = 4 << 10;

/// A message to be published.
#[derive(Debug, Clone)]
pub struct Message {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) body: Bytes,
    pub(super) properties: BasicProperties,
}

/// Why a message is moved to a retry queue or a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The stable code.
    pub code: Code,
    /// The step that failed.
    pub stage: Stage,
    /// An explanation for people.
    pub reason: String,
    /// How often the message was tried.
    pub attempts: u32,
    /// How many of the tries may have failed because of the file or the machine.
    pub suspicions: u32,
}

impl Message {
    /// An event for the topic exchange.
    #[must_use]
    pub fn event<D: Serialize>(topology: &Topology, routing_key: &str, event: &Event<D>) -> Self {
        let mut headers = FieldTable::default();
        for (name, value) in event.trace.iter().flat_map(TraceContext::fields) {
            headers.insert(name.into(), text(value));
        }
        let mut properties = persistent().with_content_type(STRUCTURED.into()).with_headers(headers);
        if let Ok(id) = ShortString::try_new(event.id.as_str()) {
            properties = properties.with_message_id(id);
        }
        Self {
            exchange: topology.exchange().to_owned(),
            routing_key: routing_key.to_owned(),
            body: event.to_structured().into(),
            properties,
        }
    }

    /// Bytes for one queue of the topology. They do not go through the topic exchange, so no other queue can receive them.
    /// The values of headers are raw bytes; all headers together must fit into one AMQP frame (128 KiB).
    #[must_use]
    pub fn direct(topology: &Topology, queue: WorkQueue, headers: &[(&str, &[u8])], body: Bytes) -> Self {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let properties = persistent().with_headers(table);
        Self { exchange: String::new(), routing_key: topology.work_queue(queue), body, properties }
    }

    /// A delivery that goes to a retry queue of this step, and that queue's delay in seconds; `None` if the ladder has
    /// no such step.
    #[must_use]
    pub fn retry(topology: &Topology, step: usize, delivery: &Delivery, note: &Note) -> Option<(Self, u64)> {
        let Delay { delay_s, exchange, routing_key, .. } = topology.retry_queue(delivery.queue(), step)?;
        Some((Self { exchange, ..Self::noted(topology, routing_key, delivery, note) }, delay_s))
    }

    /// A delivery that goes to its dead-letter queue.
    #[must_use]
    pub fn dead(topology: &Topology, delivery: &Delivery, note: &Note) -> Self {
        let queue = topology.dead_letters(&topology.spec(delivery.queue()).dead_letters);
        Self::noted(topology, queue, delivery, note)
    }

    /// A delivery that goes unchanged to another queue of the role: it was not tried, or the try does not count. The
    /// number of its deliveries is written into a header, so that a message that ends the process each time is given up
    /// in the end.
    #[must_use]
    pub fn moved(queue: String, delivery: &Delivery) -> Self {
        Self::passed_on(queue, delivery, delivery.delivered_in_all())
    }

    /// The same, by way of a delay queue.
    #[must_use]
    pub fn delayed(delay: Delay, delivery: &Delivery) -> Self {
        Self { exchange: delay.exchange, ..Self::moved(delay.routing_key, delivery) }
    }

    /// An event for one queue of the role alone, as if it had just been published for it.
    #[must_use]
    pub fn event_for(topology: &Topology, queue: WorkQueue, event: &Event) -> Self {
        let message = Self::event(topology, &topology.work_queue(queue), event);
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
        Self { exchange: String::new(), properties: message.properties.with_timestamp(now), ..message }
    }

    /// The same for a message that roles gave back often without having begun: what the broker counted in this queue is
    /// forgotten.
    #[must_use]
    pub fn renewed(queue: String, delivery: &Delivery) -> Self {
        Self::passed_on(queue, delivery, delivery.delivered_elsewhere())
    }

    fn passed_on(queue: String, delivery: &Delivery, deliveries: u32) -> Self {
        let mut headers = foreign(delivery.properties());
        // A later role trusts these headers if the message comes through the default exchange. So a sender's own are
        // not copied.
        if delivery.is_passed_on() {
            for (name, value) in delivery.properties().headers().iter().flatten() {
                if name.as_str().starts_with(OURS) {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
        if deliveries > 0 {
            headers.insert(DELIVERIES.into(), AMQPValue::LongLongInt(deliveries.into()));
        }
        let properties = passed_on(delivery.properties()).with_headers(headers);
        Self { exchange: String::new(), routing_key: queue, body: delivery.body().to_vec().into(), properties }
    }

    /// A dead letter that goes back to its queue as if it had never been tried.
    #[must_use]
    pub fn replay(topology: &Topology, delivery: &Delivery) -> Self {
        let properties = passed_on(delivery.properties());
        Self {
            exchange: String::new(),
            routing_key: topology.work_queue(WorkQueue::plain(delivery.queue().index)),
            body: delivery.body().to_vec().into(),
            properties: properties.with_headers(foreign(delivery.properties())),
        }
    }

    /// The exchange to publish to; empty for the default exchange, where the routing key is a queue's name.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The routing key to publish with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// Whether it goes to a queue of this topology, and not to whoever is bound to the topic exchange.
    pub(super) fn is_for_own_queue(&self, topology: &Topology) -> bool {
        self.exchange != topology.exchange
    }

    fn noted(topology: &Topology, queue: String, delivery: &Delivery, note: &Note) -> Self {
        let mut headers = foreign(delivery.properties());
        let reason: String = note.reason.chars().take(MAX_REASON_CHARS).collect();
        headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(note.attempts.into()));
        headers.insert(SUSPICIONS.into(), AMQPValue::LongLongInt(note.suspicions.into()));
        headers.insert(CODE.into(), text(note.code.as_str()));
        headers.insert(STAGE.into(), text(note.stage.as_str()));
        headers.insert(REASON.into(), text(&reason));
        headers.insert(LANE.into(), text(&topology.spec(delivery.queue()).name));
        let properties = passed_on(delivery.properties()).with_headers(headers);
        Self { exchange: String::new(), routing_key: queue, body: delivery.body().to_vec().into(), properties }
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2).with_app_id("mediamill".into())
}

/// The properties that a message keeps when it is moved to another queue.
///
/// Not kept are `expiration` (the message would expire into the dead-letter queue), `priority` (a retry queue expires
/// messages at its front only, and a priority could keep a message from the front), and `user_id` and `reply_to`
/// (RabbitMQ checks both against the publishing connection, and closes the channel if they differ).
fn passed_on(from: &BasicProperties) -> BasicProperties {
    let mut to = persistent();
    if let Some(value) = from.content_type() {
        to = to.with_content_type(value.clone());
    }
    if let Some(value) = from.content_encoding() {
        to = to.with_content_encoding(value.clone());
    }
    if let Some(value) = from.correlation_id() {
        to = to.with_correlation_id(value.clone());
    }
    if let Some(value) = from.message_id() {
        to = to.with_message_id(value.clone());
    }
    if let Some(value) = from.timestamp() {
        to = to.with_timestamp(*value);
    }
    if let Some(value) = from.kind() {
        to = to.with_type(value.clone());
    }
    if let Some(value) = from.app_id() {
        to = to.with_app_id(value.clone());
    }
    to
}

/// The sender's headers without our own, without the broker's counters, and without `CC` and `BCC`, which would make
/// RabbitMQ deliver copies to other queues.
fn foreign(from: &BasicProperties) -> FieldTable {
    let mut headers = FieldTable::default();
    let Some(all) = from.headers() else { return headers };
    let brokers = |name: &str| {
        let counted = ["x-death", "x-delivery-count", "x-acquired-count", "CC", "BCC"].contains(&name);
        counted || name.starts_with("x-first-death-") || name.starts_with("x-last-death-")
    };
    let mut size_bytes = 0;
    for (name, value) in all {
        if name.as_str().starts_with(OURS) || brokers(name.as_str()) {
            continue;
        }
        size_bytes += name.as_str().len() + size_of(value);
        headers.insert(name.clone(), value.clone());
    }
    if size_bytes <= MAX_FOREIGN_BYTES {
        return headers;
    }
    tracing::warn!(size_bytes, "most headers are left out of a message that is moved: they are too large");
    // In CloudEvents' binary mode some headers are attributes of the event.
    let mut event = FieldTable::default();
    for (name, value) in &headers {
        let ours = Event::reads(name.as_str());
        if ours && size_of(value) <= MAX_EVENT_HEADER_BYTES {
            event.insert(name.clone(), value.clone());
        }
    }
    event
}

/// The bytes that a value takes in a frame; an upper bound.
fn size_of(value: &AMQPValue) -> usize {
    10 + match value {
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ShortString(text) => text.as_str().len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(size_of).sum(),
        AMQPValue::FieldTable(table) => {
            table.into_iter().map(|(name, value)| name.as_str().len() + 1 + size_of(value)).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_headers(pairs: Vec<(&str, AMQPValue)>) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in pairs {
            headers.insert(name.into(), value);
        }
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn a_moved_message_loses_headers_that_would_send_copies_or_close_the_channel() {
        let from = with_headers(vec![
            ("cloudEvents:id", text("1")),
            ("CC", AMQPValue::FieldArray(vec![text("elsewhere")].into())),
            ("x-death", text("x")),
            ("x-first-death-queue", text("x")),
            (ATTEMPTS, text("9")),
        ]);
        let from = from.with_user_id("guest".into()).with_reply_to("amq.rabbitmq.reply-to".into());
        let from = from.with_expiration("1".into()).with_content_type("application/json".into());
        let names: Vec<_> = foreign(&from).inner().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["cloudEvents:id"]);
        let to = passed_on(&from);
        assert_eq!((to.user_id(), to.reply_to(), to.expiration()), (&None, &None, &None));
        assert_eq!((to.delivery_mode(), to.content_type().is_some()), (&Some(2), true));
    }

    #[test]
    fn headers_that_would_not_fit_into_a_frame_are_not_copied() {
        let large = text(&"x".repeat(MAX_FOREIGN_BYTES));
        let headers = vec![("large", large), ("cloudEvents:id", text("1")), ("traceparent", text("00"))];
        let kept = foreign(&with_headers(headers));
        let names: Vec<_> = kept.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["cloudEvents:id", "traceparent"]);
    }
}
