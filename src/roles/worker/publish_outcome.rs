//! Publishes outcomes.

use tokio::time::Instant;
use tracing::Instrument;

use super::intake::Request;
use super::metrics::Metrics;
use super::outcome::Outcome;
use crate::broker::{Delivery, Message, Publisher};
use crate::events::Stage;
use crate::roles::lanes::Lane;
use crate::runtime::{Failure, spans};
use crate::telemetry;

/// Publishes the outcomes of deliveries.
#[derive(Debug, Clone)]
pub(super) struct Outcomes {
    pub(super) publisher: Publisher,
    /// What a worker calls itself in events.
    pub(super) event_source: String,
    pub(super) metrics: Metrics,
}

impl Outcomes {
    /// Publishes an outcome until the broker has confirmed it, and logs it.
    ///
    /// # Errors
    /// Where no queue is bound for it or a queue refuses it; and, for an outcome that no manifest has, where the delivery is
    /// no longer ours.
    pub(super) async fn publish(
        &self,
        delivery: &Delivery,
        request: &Request,
        outcome: &Outcome,
    ) -> Result<(), Failure> {
        let topology = self.publisher.topology();
        let mut event = outcome.event(&self.event_source, request.trace.clone());
        let routing_key = outcome.routing_key();
        let span = spans::publish(topology.exchange(), &routing_key, Some(&event.id));
        event.trace = telemetry::trace_context(&span).or(event.trace);
        let message = Message::event(topology, &routing_key, &event);
        let (started, lane) = (Instant::now(), Lane::of(delivery));
        // An outcome that a manifest has is published even if our channel is closed: RabbitMQ delivers the message again, and
        // the next worker publishes the same event with the same id. If the queue was deleted there is no next worker, and
        // this publish is the only one. Any other outcome may be contradicted by a later try, so it is published only while
        // we still own the delivery.
        let wanted = || outcome.is_stored() || !delivery.is_channel_closed();
        let delivered = self.publisher.deliver_while(&message, wanted).instrument(span.clone()).await;
        self.metrics.runtime.stage(lane.as_str(), Stage::Publish, started.elapsed());
        match delivered {
            Ok(()) => {
                log(outcome, lane, delivery.tries().attempts.saturating_add(1));
                self.metrics.published(lane, outcome, request.asked_at);
                spans::ended(outcome.as_str(), outcome.code());
                Ok(())
            }
            Err(error) => {
                let failure = Failure { stage: Stage::Publish, fault: error.into() };
                spans::failed(&span, &failure);
                Err(failure)
            }
        }
    }
}

/// One line for each outcome.
fn log(outcome: &Outcome, lane: Lane, attempts: u32) {
    let (word, lane) = (outcome.as_str(), lane.as_str());
    match outcome {
        Outcome::Normalized(record) => {
            let data = &record.data;
            tracing::info!(
                outcome = word,
                tenant = data.tenant,
                media_id = data.media_id,
                lane,
                attempts,
                kind = data.kind.as_str(),
                action = data.decision.action.as_str(),
                bytes_before = data.decision.bytes_before,
                bytes_after = data.decision.bytes_after,
                total_ms = data.timings_ms.total,
            );
        }
        Outcome::Rejected(ended) | Outcome::Failed(ended) => {
            let data = &ended.data;
            tracing::warn!(
                outcome = word,
                tenant = data.tenant,
                media_id = data.media_id,
                lane,
                attempts,
                code = data.code,
                stage = data.stage.as_str(),
                explanation = data.explanation,
            );
        }
    }
}
