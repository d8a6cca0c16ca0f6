//! Spans of a job: one for the message, one for each of its steps, one for each message that comes of it.
//!
//! Names and attributes are those of OpenTelemetry's conventions for messaging, and for RabbitMQ in particular
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>); our own begin with `mediamill.`. No attribute has
//! what customers wrote or named: ids, words of this program, and numbers.

use tracing::{Instrument, Span, field};

use super::job::MAX_ID_BYTES;
use super::outcome::Failure;
use super::settle::Reading;
use crate::broker::Delivery;
use crate::error::Code;
use crate::events::{Stage, TraceContext};
use crate::telemetry::{self, SPANS};

/// The span of a delivery from `queue`, in its sender's trace.
pub(super) fn process(delivery: &Delivery, queue: &str, reading: &Reading) -> Span {
    let request = reading.request();
    let cause = request.and_then(|request| id(&request.cause));
    let span = tracing::info_span!(
        target: SPANS,
        parent: None,
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        "messaging.system" = "rabbitmq",
        "messaging.operation.name" = "process",
        "messaging.operation.type" = "process",
        "messaging.destination.name" = destination(&[delivery.exchange(), delivery.routing_key(), queue]),
        "messaging.rabbitmq.destination.routing_key" = delivery.routing_key(),
        "messaging.message.id" = delivery.message_id().or(cause),
        "messaging.message.body.size" = i64::try_from(delivery.body().len()).ok(),
        "mediamill.lane" = delivery.lane().as_str(),
        "mediamill.tenant" = request.and_then(|request| id(&request.received.tenant)),
        "mediamill.media_id" = request.and_then(|request| id(&request.received.media_id)),
        "mediamill.attempt" = i64::from(delivery.tries().attempts) + 1,
        "mediamill.outcome" = field::Empty,
    );
    let trace = match request {
        Some(request) => request.trace.clone(),
        // What is no event may have come from somebody who traces all the same.
        None => {
            let headers = delivery.headers();
            TraceContext::read(|name| headers.get(name).cloned())
        }
    };
    if let Some(trace) = trace {
        telemetry::adopt(&span, &trace);
    }
    span
}

/// What every log line of a job says of it, next to what the line itself says. At the level of errors, so that no filter
/// that lets a line through leaves this out.
pub(super) fn named(reading: &Reading, process: &Span) -> Span {
    let Some(request) = reading.request() else { return Span::none() };
    let (tenant, media_id) = (id(&request.received.tenant), id(&request.received.media_id));
    tracing::error_span!(parent: None, "job", tenant, media_id, trace_id = telemetry::trace_id(process))
}

/// Does one step in a span of its own.
pub(super) async fn step<T>(stage: Stage, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let span = tracing::info_span!(target: SPANS, "step", otel.name = stage.as_str());
    // In a box: a job has its steps one after another, and would be as large as all of them together.
    Box::pin(step).instrument(span.clone()).await.inspect_err(|failure| failed(&span, failure))
}

/// The span of a message that is published: to an exchange, or with an empty one to the queue of that name.
pub(super) fn publish(exchange: &str, routing_key: &str, message_id: Option<&str>) -> Span {
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

/// Marks a span with the failure that ended it.
pub(super) fn failed(span: &Span, failure: &Failure) {
    if let Some(code) = failure.fault.code() {
        telemetry::fail(span, code);
    }
}

/// Says on the span of the delivery that is settled how it ended, and with what code if not well.
pub(super) fn ended(outcome: &str, code: Option<Code>) {
    let span = Span::current();
    span.record("mediamill.outcome", outcome);
    if let Some(code) = code {
        telemetry::fail(&span, code);
    }
}

/// Ids that are too long for a job are too long for every line and span of it.
fn id(text: &str) -> Option<&str> {
    (text.len() <= MAX_ID_BYTES).then_some(text)
}

/// `exchange:routing key:queue` without what is empty, and without the queue where the routing key is its name.
fn destination(parts: &[&str]) -> String {
    let mut parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.dedup();
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn destinations_are_named_as_the_conventions_have_it() {
        let sent = ["mediamill", "media.received.audio", "mediamill.audio"];
        assert_eq!(destination(&sent), "mediamill:media.received.audio:mediamill.audio");
        assert_eq!(destination(&["", "mediamill.audio", "mediamill.audio"]), "mediamill.audio");
        assert_eq!(destination(&["mediamill", "media.rejected"]), "mediamill:media.rejected");
        assert_eq!(destination(&["", "mediamill.dead"]), "mediamill.dead");
    }
}
