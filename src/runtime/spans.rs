//! Spans: one for each handled message, one for each step of the work on it, and one for each message that is
//! published.
//!
//! Names and attributes follow OpenTelemetry's conventions for messaging and for RabbitMQ
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>); our own begin with `mediamill.`. Attributes
//! contain only ids, words of this program and numbers, never text or names from customers.

use tracing::{Instrument, Span, field};

use super::failure::Failure;
use super::role::{Incoming, MessageInfo};
use crate::error::Code;
use crate::events::{MAX_ID_BYTES, Stage, TraceContext};
use crate::telemetry::{self, SPANS};

/// The span of messages from `queue` that are handled together. For a single message it continues the sender's trace.
pub(super) fn process<M>(messages: &[Incoming<M>], queue: &str, label: &str) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        parent: None,
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        "messaging.system" = "rabbitmq",
        "messaging.operation.name" = "process",
        "messaging.operation.type" = "process",
        "messaging.destination.name" = field::Empty,
        "messaging.rabbitmq.destination.routing_key" = field::Empty,
        "messaging.message.id" = field::Empty,
        "messaging.message.body.size" = field::Empty,
        "messaging.batch.message_count" = field::Empty,
        "mediamill.lane" = label,
        "mediamill.tenant" = field::Empty,
        "mediamill.media_id" = field::Empty,
        "mediamill.attempt" = field::Empty,
        "mediamill.outcome" = field::Empty,
    );
    let [message] = messages else {
        span.record("messaging.destination.name", queue);
        span.record("messaging.batch.message_count", i64::try_from(messages.len()).ok());
        return span;
    };
    let Incoming { delivery, info, .. } = message;
    let trace = info.trace.clone().or_else(|| {
        // A message that is not an event may still come from a sender that writes trace headers.
        let headers = delivery.headers();
        TraceContext::read(|name| headers.get(name).cloned())
    });
    // Before anything else: the parent of a span cannot be changed once the span has begun.
    if let Some(trace) = trace {
        telemetry::adopt(&span, &trace);
    }
    let routing_key = delivery.routing_key();
    let message_id = delivery.message_id().or_else(|| info.event_id.as_deref().and_then(id));
    span.record("messaging.destination.name", destination(&[delivery.exchange(), routing_key, queue]));
    span.record("messaging.rabbitmq.destination.routing_key", routing_key);
    span.record("messaging.message.id", message_id);
    span.record("messaging.message.body.size", i64::try_from(delivery.body().len()).ok());
    span.record("mediamill.tenant", id(&info.tenant).filter(|tenant| !tenant.is_empty()));
    span.record("mediamill.media_id", info.media_id.as_deref().and_then(id));
    span.record("mediamill.attempt", i64::from(delivery.tries().attempts) + 1);
    span
}

/// Fields of every log line about a message: tenant, media and trace. The span has the level `error`, so that any
/// filter that lets a log line through also keeps these fields.
pub(super) fn named(info: &MessageInfo, process: &Span) -> Span {
    let Some(media_id) = &info.media_id else { return Span::none() };
    let tenant = id(&info.tenant).filter(|tenant| !tenant.is_empty());
    tracing::error_span!(
        parent: None,
        "job",
        tenant,
        media_id = id(media_id),
        trace_id = telemetry::trace_id(process)
    )
}

/// Runs one step in a span of its own.
///
/// # Errors
/// The error of the step.
pub async fn step<T>(stage: Stage, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let span = tracing::info_span!(target: SPANS, "step", otel.name = stage.as_str());
    // Boxed: the future of a job contains all its steps, and would otherwise be as large as all of them together.
    Box::pin(step).instrument(span.clone()).await.inspect_err(|failure| failed(&span, failure))
}

/// The span of publishing a message to an exchange, or with an empty `exchange` to the queue that `routing_key` names.
#[must_use]
pub fn publish(exchange: &str, routing_key: &str, message_id: Option<&str>) -> Span {
    let destination = destination(&[exchange, routing_key]);
    tracing::info_span!(
        target: SPANS,
        "publish",
        otel.name = format!("{} {destination}", Stage::Publish.as_str()),
        otel.kind = "producer",
        "messaging.system" = "rabbitmq",
        "messaging.operation.name" = "publish",
        "messaging.operation.type" = "send",
        "messaging.destination.name" = destination,
        "messaging.rabbitmq.destination.routing_key" = routing_key,
        "messaging.message.id" = message_id,
    )
}

/// Marks a span as failed.
pub fn failed(span: &Span, failure: &Failure) {
    if let Some(code) = failure.fault.code() {
        telemetry::fail(span, code);
    }
}

/// Records on the span of the message how it ended, and with which code if it did not succeed.
pub fn ended(outcome: &str, code: Option<Code>) {
    let span = Span::current();
    span.record("mediamill.outcome", outcome);
    if let Some(code) = code {
        telemetry::fail(&span, code);
    }
}

/// The id, unless it is longer than an event may have: then it would be too long for log lines and spans as well.
fn id(text: &str) -> Option<&str> {
    (text.len() <= MAX_ID_BYTES).then_some(text)
}

/// `exchange:routing key:queue`, without empty parts, and without the queue if its name is the routing key.
fn destination(parts: &[&str]) -> String {
    let mut parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.dedup();
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn destinations_are_named_as_in_the_conventions() {
        let sent = ["mediamill", "media.received.audio", "mediamill.audio"];
        assert_eq!(destination(&sent), "mediamill:media.received.audio:mediamill.audio");
        assert_eq!(destination(&["", "mediamill.audio", "mediamill.audio"]), "mediamill.audio");
        assert_eq!(destination(&["mediamill", "media.rejected"]), "mediamill:media.rejected");
        assert_eq!(destination(&["", "mediamill.dead"]), "mediamill.dead");
    }
}
