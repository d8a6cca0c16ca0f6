//! What was said of each media file.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lapin::types::AMQPValue;
use serde_json::Value;

/// An outcome event as it arrived.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `normalized`, `rejected` or `failed`.
    pub word: String,
    /// The routing key that it came with.
    pub routing_key: String,
    /// The whole CloudEvent.
    pub event: Value,
    /// The header of the trace.
    pub traceparent: Option<String>,
    /// The other header of the trace.
    pub tracestate: Option<String>,
    /// The message's content type.
    pub content_type: Option<String>,
    /// When it was heard.
    pub at: Instant,
}

impl Outcome {
    /// Reads a delivery, which must be an outcome.
    pub fn read(delivery: &lapin::message::Delivery) -> Self {
        let event: Value = serde_json::from_slice(&delivery.data).expect("an outcome is JSON");
        let kind = event["type"].as_str().expect("a type");
        let word = kind.strip_prefix("mediamill.media.").and_then(|rest| rest.strip_suffix(".v1")).expect(kind);
        let headers = delivery.properties.headers().as_ref();
        let header = |name| match headers?.inner().get(name) {
            Some(AMQPValue::LongString(text)) => Some(text.to_string()),
            _ => None,
        };
        Self {
            word: word.to_owned(),
            routing_key: delivery.routing_key.to_string(),
            traceparent: header("traceparent"),
            tracestate: header("tracestate"),
            content_type: delivery.properties.content_type().as_ref().map(ToString::to_string),
            event,
            at: Instant::now(),
        }
    }

    /// The CloudEvent's id.
    pub fn id(&self) -> &str {
        self.event["id"].as_str().expect("an id")
    }

    /// The event's data.
    pub fn data(&self) -> &Value {
        &self.event["data"]
    }

    /// The stable code; of no meaning for what was normalized.
    pub fn code(&self) -> &str {
        self.data()["code"].as_str().unwrap_or_default()
    }

    /// The asset with this role.
    pub fn asset(&self, role: &str) -> &Value {
        let assets = self.data()["assets"].as_array().expect("assets");
        assets.iter().find(|asset| asset["role"] == role).unwrap_or_else(|| panic!("no {role}: {:#}", self.event))
    }
}

/// All outcomes by media id.
#[derive(Debug, Default)]
pub struct Ledger {
    outcomes: Mutex<BTreeMap<String, Vec<Outcome>>>,
    changed: Condvar,
}

impl Ledger {
    /// Writes one down.
    pub fn note(&self, outcome: Outcome) {
        let media_id = outcome.data()["media_id"].as_str().expect("a media id").to_owned();
        self.lock().entry(media_id).or_default().push(outcome);
        self.changed.notify_all();
    }

    /// All of one file, in the order in which they were heard.
    pub fn of(&self, media_id: &str) -> Vec<Outcome> {
        self.lock().get(media_id).cloned().unwrap_or_default()
    }

    /// Every file of which anything was heard.
    pub fn all(&self) -> BTreeMap<String, Vec<Outcome>> {
        self.lock().clone()
    }

    /// Whether this event was heard.
    pub fn knows(&self, id: &str) -> bool {
        self.lock().values().flatten().any(|outcome| outcome.id() == id)
    }

    /// How many files have an outcome.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// When the last outcome was heard that was heard first for its file.
    pub fn first_heard_after(&self, then: Instant) -> Option<Instant> {
        self.lock().values().map(|outcomes| outcomes[0].at).filter(|at| *at > then).min()
    }

    /// The longest time between one file's first outcome and the next one's, from then on.
    pub fn longest_silence(&self, then: Instant) -> Duration {
        let mut heard: Vec<_> = self.lock().values().map(|outcomes| outcomes[0].at).filter(|at| *at > then).collect();
        heard.push(then);
        heard.sort_unstable();
        heard.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Waits for the first outcome of a file.
    #[track_caller]
    pub fn wait(&self, media_id: &str, patience: Duration) -> Outcome {
        self.wait_for(media_id, 1, patience).remove(0)
    }

    /// Waits for so many outcomes of a file.
    #[track_caller]
    pub fn wait_for(&self, media_id: &str, count: usize, patience: Duration) -> Vec<Outcome> {
        self.wait_until(&format!("{count} outcomes of {media_id}"), patience, |outcomes| {
            outcomes.get(media_id).is_some_and(|heard| heard.len() >= count)
        });
        self.of(media_id)
    }

    /// Waits for outcomes of so many files.
    #[track_caller]
    pub fn wait_for_files(&self, count: usize, patience: Duration) {
        self.wait_until(&format!("outcomes of {count} files"), patience, |outcomes| outcomes.len() >= count);
    }

    #[track_caller]
    fn wait_until(&self, what: &str, patience: Duration, holds: impl Fn(&BTreeMap<String, Vec<Outcome>>) -> bool) {
        let deadline = Instant::now() + patience;
        let mut outcomes = self.lock();
        while !holds(&outcomes) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not in time: {what}; of {} files there is one", outcomes.len());
            outcomes = self.changed.wait_timeout(outcomes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Outcome>>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
