//! How long the steps of a job take.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::events::{Stage, Timings};
use crate::roles::lanes::Lane;
use crate::runtime::{Failure, MAX_AGE, spans};

/// Writes down how long steps take: for the event, for metrics, and for traces.
pub(super) struct Clock<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) lane: Option<Lane>,
    pub(super) timings: &'a mut Timings,
}

impl Clock<'_> {
    pub(super) async fn times<T>(
        &mut self,
        stage: Stage,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = spans::step(stage, step).await;
        let took = started.elapsed();
        match stage {
            Stage::Fetch => self.timings.fetch = ms(took),
            Stage::Transcode => self.timings.decode = ms(took),
            Stage::Store => self.timings.store = ms(took),
            Stage::Parse | Stage::Publish => {}
        }
        self.metrics.runtime.stage(self.lane.map_or("", Lane::as_str), stage, took);
        result
    }
}

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Clocks differ between machines: an event from the future waited for nothing, and none waits for longer than
/// [`MAX_AGE`].
pub(super) fn waited_ms(asked_at: Timestamp) -> u64 {
    let waited = Timestamp::now().duration_since(asked_at).try_into().unwrap_or_default();
    ms(MAX_AGE.min(waited))
}
