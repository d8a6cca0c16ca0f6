//! Metrics that every role has, and the registry to which a role adds its own.
//!
//! They follow Prometheus' conventions: base units (seconds, bytes), counters end in `_total`. Label values are words
//! of this program (queues, kinds, codes), so their number is bounded: no ids, tenants or addresses. `lane` is the name
//! of a queue.

mod table;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text;

use super::age::age;
use crate::error::Code;
use crate::events::Stage;

pub(crate) use table::metrics;
pub use table::{Counter, FloatCounter, Gauge, Histogram, Registry, Set, Shape};

/// One metric, as its table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The exposed name. A histogram's series add `_bucket`, `_sum` and `_count` to it.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it measures.
    pub help: &'static str,
}

metrics! { Table, TABLE:
    jobs: Counter, "mediamill_jobs_total", ["lane", "kind", "action", "outcome", "code"],
        "Confirmed outcomes, by lane, kind of media, action, outcome (normalized, rejected, failed; dead: no event at all) and code; labels that do not apply are empty";
    lag: Histogram, "mediamill_lag_seconds", ["lane", "outcome"],
        "From the event's own time to its confirmed outcome; not of events from the future or older than 7 days";
    wait: Histogram, "mediamill_wait_seconds", ["lane"],
        "Age of an event, by its own time, when a worker begins with its message; later attempts are not counted; not of events from the future or older than 7 days";
    stage: Histogram, "mediamill_stage_duration_seconds", ["lane", "stage"],
        "Duration of a step of a job, failed or not: fetch, transcode, store, publish";
    retries: Counter, "mediamill_retries_total", ["lane", "stage", "code"],
        "Messages put into a retry queue";
    dead: Counter, "mediamill_dead_letters_total", ["lane", "stage", "code"],
        "Messages that this worker put into the dead-letter queue";
    put_off: Counter, "mediamill_put_off_total", ["lane", "why"],
        "Messages that were moved to come again later, their attempt not counted: their tenant has its share (share), the last fifth of the time has begun for which their provider keeps the file, so that they go on in the lane urgent (age), the same file is worked on (duplicate), this worker could do no job (unable), its running jobs left too little scratch space (scratch), it had its file and got no slot within a minute (slot), requests of the channel account that has its file are stopped for a while (account), the provider does not answer and keeps the file for some time yet (source)";
    slots: Gauge, "mediamill_slots", ["reserved"],
        "Jobs that may run at the same time: those that only the audio lane may use (audio), and the others (none)";
    busy: Gauge, "mediamill_slots_busy", ["lane"],
        "Jobs that run, not counting those that wait for an origin or for another job without a slot";
    queue: Gauge, "mediamill_queue_messages", ["queue"],
        "Messages that wait in a queue, not counting those with a worker; a lane's second queue counts with the lane; absent while the broker does not say";
    reconnects: Counter, "mediamill_broker_reconnects_total", [],
        "Times that the consuming connection was lost";
    ready: Gauge, "mediamill_ready", ["part"],
        "1 where /readyz finds nothing wrong with a part: lanes, broker, store, sandbox, scratch";
    build: Gauge, "mediamill_build_info", ["version"],
        "Always 1; the worker's version";
    certificate: Gauge, "mediamill_tls_certificate_not_after_timestamp_seconds", ["listener"],
        "When the certificate expires that new connections of a listener (gateway, catalog) are shown, in seconds since 1970; absent where it speaks plain HTTP";
}

/// The descriptions of the metrics that every role has.
pub const METRICS: &[Described] = TABLE;

/// The metrics of a role. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Table,
    registry: Registry,
}

/// The labels of `mediamill_jobs_total`; empty where one does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobLabels<'a> {
    /// Kind of media.
    pub kind: &'a str,
    /// What was done with the media.
    pub action: &'a str,
    /// `normalized`, `rejected`, `failed` or `dead`.
    pub outcome: &'a str,
    /// The code, if the message did not succeed.
    pub code: &'a str,
}

/// Counts one message as being handled until this is dropped.
#[derive(Debug)]
pub struct Busy(Gauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::with(|_registry| ()).0
    }
}

impl Metrics {
    /// The metrics of a role; `register` adds the role's own.
    #[must_use]
    pub fn with<T>(register: impl FnOnce(&mut Registry) -> T) -> (Self, T) {
        let mut registry = Registry::default();
        let table = Table::register(&mut registry);
        let own = register(&mut registry);
        (Self(Arc::new(Inner { table, registry })), own)
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if text::encode(&mut text, &self.0.registry).is_err() {
            tracing::error!("metrics could not be written as text");
        }
        text
    }

    /// Sets the metrics that do not change while a role runs, and creates those of events that have not happened yet
    /// with the value zero: the slots by the queue that they are reserved for, the queues, and the reasons for
    /// postponing a message.
    pub fn describe(&self, slots: &[(&'static str, u16)], queues: &[&str], reasons: &[&'static str]) {
        let table = &self.0.table;
        for (reserved, count) in slots {
            table.slots.at([*reserved]).set((*count).into());
        }
        for queue in queues {
            table.busy.at([(*queue).to_owned()]).set(0);
            for why in reasons {
                table.put_off.at([(*queue).to_owned(), (*why).to_owned()]);
            }
        }
        table.reconnects.at::<&str>([]);
        table.build.at([env!("CARGO_PKG_VERSION")]).set(1);
    }

    /// When the certificate expires that a listener shows.
    pub fn certificate(&self, listener: &'static str, not_after: Timestamp) {
        self.0.table.certificate.at([listener]).set(not_after.as_second());
    }

    /// A message was received for the first time.
    pub(super) fn taken(&self, queue: &str, asked_at: Option<Timestamp>) {
        if let Some(age) = asked_at.and_then(age) {
            self.0.table.wait.at([queue.to_owned()]).observe(age.as_secs_f64());
        }
    }

    /// Counts a message as being handled until the guard is dropped.
    pub(super) fn busy(&self, queue: &str) -> Busy {
        let gauge = self.0.table.busy.at([queue.to_owned()]);
        gauge.inc();
        Busy(gauge)
    }

    /// A step has ended. The queue is empty if there is no broker.
    pub fn stage(&self, queue: &str, stage: Stage, took: Duration) {
        self.0.table.stage.at([queue.to_owned(), stage.as_str().to_owned()]).observe(took.as_secs_f64());
    }

    /// A message has ended, and its outcome is published.
    pub fn ended(&self, queue: &str, labels: &JobLabels<'_>, asked_at: Option<Timestamp>) {
        let JobLabels { kind, action, outcome, code } = labels;
        self.0.table.jobs.at([queue, kind, action, outcome, code].map(str::to_owned)).inc();
        if let Some(age) = asked_at.and_then(age) {
            self.0.table.lag.at([queue, outcome].map(str::to_owned)).observe(age.as_secs_f64());
        }
    }

    /// A message has succeeded. For roles that do not count outcomes themselves.
    pub(super) fn done(&self, queue: &str) {
        self.ended(queue, &JobLabels { outcome: "done", ..JobLabels::default() }, None);
    }

    /// A message is given up. For roles that do not count outcomes themselves.
    pub(super) fn gave_up(&self, queue: &str, code: Code) {
        self.ended(queue, &JobLabels { outcome: "dead", code: code.as_str(), ..JobLabels::default() }, None);
    }

    /// A message will be tried again later.
    pub(super) fn retried(&self, queue: &str, stage: Stage, code: Code) {
        self.0.table.retries.at([queue, stage.as_str(), code.as_str()].map(str::to_owned)).inc();
    }

    /// A message goes to its dead-letter queue.
    pub(super) fn dead_lettered(&self, queue: &str, stage: Stage, code: Code) {
        self.0.table.dead.at([queue, stage.as_str(), code.as_str()].map(str::to_owned)).inc();
    }

    /// Messages were moved to be delivered again later.
    pub(super) fn put_off(&self, queue: &str, why: &str, messages: usize) {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        self.0.table.put_off.at([queue, why].map(str::to_owned)).inc_by(messages);
    }

    /// The connection that consumes is lost.
    pub(super) fn disconnected(&self) {
        self.0.table.reconnects.at::<&str>([]).inc();
    }

    /// How many messages wait in each queue, according to the broker.
    pub(super) fn waiting(&self, depths: &[(String, u32)]) {
        // Queues that are not in the new answer must not keep an old value.
        self.0.table.queue.clear();
        for (queue, messages) in depths {
            self.0.table.queue.at([queue.clone()]).set((*messages).into());
        }
    }

    /// Whether a part is ready.
    pub(super) fn ready(&self, part: &'static str, ready: bool) {
        self.0.table.ready.at([part]).set(ready.into());
    }
}
