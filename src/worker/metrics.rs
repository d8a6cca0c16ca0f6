//! Every metric, in one table: name, type, labels, help. The table in docs/operations.md is compared with it.
//!
//! Prometheus' conventions: base units (seconds, bytes), counters end in `_total`. Label values are words of this program
//! (lanes, kinds, codes), so that their number is bounded: no ids, no tenants, no addresses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::age::age;
use super::outcome::Outcome;
use crate::broker::Lane;
use crate::error::Code;
use crate::events::{Decision, Kind, SandboxStatus, Stage};
use crate::sandbox::Totals;

/// Upper bounds of histogram buckets: from a voice note's fetch to the end of the retry ladder.
const BUCKETS_S: [f64; 14] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// Counts in fractions.
type FloatCounter = Counter<f64, AtomicU64>;

/// One metric, as the table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// As it is exposed; a histogram's series have `_bucket`, `_sum` and `_count` behind it.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($( $field:ident: $kind:ty, $name:literal, [$($label:literal),*], $help:literal; )*) => {
        /// Every metric, in the order of the table in docs/operations.md.
        pub const METRICS: &[Described] = &[ $( Described {
            name: $name,
            kind: <$kind as Shape>::WORD,
            labels: &[$($label),*],
            help: $help,
        }, )* ];

        #[derive(Debug)]
        struct Table {
            registry: Registry,
            $( $field: Set<$kind, { <[&str]>::len(&[$($label),*]) }>, )*
        }

        impl Default for Table {
            fn default() -> Self {
                let mut registry = Registry::default();
                $( let $field = Set::register(&mut registry, $name, [$($label),*], $help); )*
                Self { registry, $( $field, )* }
            }
        }
    };
}

metrics! {
    jobs: Counter, "mediamill_jobs_total", ["lane", "kind", "action", "outcome", "code"],
        "Outcomes said, by lane, kind of media, action, outcome (normalized, rejected, failed; dead: no event at all) and code; labels that do not apply are empty";
    lag: Histogram, "mediamill_lag_seconds", ["lane", "outcome"],
        "From the event's own time to its confirmed outcome; not of events from the future or older than 7 days";
    wait: Histogram, "mediamill_wait_seconds", ["lane"],
        "Age of an event, by its own time, when a worker begins with its message; tries after the first one do not count; not of events from the future or older than 7 days";
    stage: Histogram, "mediamill_stage_duration_seconds", ["lane", "stage"],
        "Duration of a step of a job, failed or not: fetch, transcode, store, publish";
    retries: Counter, "mediamill_retries_total", ["lane", "stage", "code"],
        "Messages put on the retry ladder";
    dead: Counter, "mediamill_dead_letters_total", ["lane", "stage", "code"],
        "Messages put into the dead queue by this worker";
    put_off: Counter, "mediamill_put_off_total", ["lane", "why"],
        "Messages that were moved to come again later, their attempt not counted: their tenant has its share (share), the same file is worked on (duplicate), this worker could do no job (unable), its running jobs left too little scratch space (scratch), it had its file and got no slot within a minute (slot)";
    slots: Gauge, "mediamill_slots", ["reserved"],
        "Jobs that may run at the same time: those that only the audio lane may use (audio), and the others (none)";
    busy: Gauge, "mediamill_slots_busy", ["lane"],
        "Jobs that run, not counting those that wait for an origin or for another job without a slot";
    queue: Gauge, "mediamill_queue_messages", ["queue"],
        "Messages that wait in a queue, not counting those with a worker; a lane's second queue counts with the lane; absent while the broker does not say";
    input: Counter, "mediamill_input_bytes_total", ["lane", "kind"],
        "Bytes of originals that were normalized";
    output: Counter, "mediamill_output_bytes_total", ["lane", "kind"],
        "Bytes of their playback assets; of the original where that is what people open";
    saved: Counter, "mediamill_saved_bytes_total", ["lane", "kind"],
        "Bytes by which playback assets are smaller than their originals, where they are smaller";
    children: Counter, "mediamill_children_total", [],
        "Jailed children that have ended";
    child_cpu: FloatCounter, "mediamill_child_cpu_seconds_total", [],
        "CPU time of jailed children, as the kernel counted it";
    child_memory: Gauge, "mediamill_child_peak_memory_bytes", [],
        "Peak resident memory of the largest jailed child since the worker started";
    reconnects: Counter, "mediamill_broker_reconnects_total", [],
        "Times that the consuming connection was lost";
    ready: Gauge, "mediamill_ready", ["part"],
        "1 where /readyz finds nothing wrong with a part: lanes, broker, store, sandbox, scratch";
    scratch: Gauge, "mediamill_scratch_free_bytes", [],
        "Free space of the scratch file system";
    build: Gauge, "mediamill_build_info", ["version"],
        "Always 1; the worker's version";
    libav: Gauge, "mediamill_libav_info", ["libavcodec", "libavformat", "libavfilter", "libavutil"],
        "Always 1; versions of the libraries that children decode with";
    sandbox: Gauge, "mediamill_sandbox_info", ["mode", "landlock", "landlock_abi", "seccomp"],
        "Always 1; what holds children: the configured mode, Landlock (full, partial, none) and its ABI, seccomp (true, false)";
}

/// Why a message is moved to come again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOff {
    /// Its tenant has its share.
    Share,
    /// The same file is worked on.
    Duplicate,
    /// This worker can do no job at the moment.
    Unable,
    /// Running jobs leave too little scratch space.
    Scratch,
    /// Its file is here, and no slot became free for it in time.
    Slot,
}

impl PutOff {
    const ALL: [Self; 5] = [Self::Share, Self::Duplicate, Self::Unable, Self::Scratch, Self::Slot];

    /// The word in logs and metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Duplicate => "duplicate",
            Self::Unable => "unable",
            Self::Scratch => "scratch",
            Self::Slot => "slot",
        }
    }
}

/// A kind of metric.
trait Shape: Metric + Clone {
    /// As `# TYPE` has it.
    const WORD: &'static str;
    fn make() -> Self;
}

impl Shape for Counter {
    const WORD: &'static str = "counter";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for FloatCounter {
    const WORD: &'static str = "counter";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for Gauge {
    const WORD: &'static str = "gauge";
    fn make() -> Self {
        Self::default()
    }
}

impl Shape for Histogram {
    const WORD: &'static str = "histogram";
    fn make() -> Self {
        Self::new(BUCKETS_S)
    }
}

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// A metric with all combinations of its labels.
#[derive(Debug)]
struct Set<M, const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels<N>, M, fn() -> M>,
}

impl<M, const N: usize> Set<M, N>
where
    M: Shape,
    Family<Labels<N>, M, fn() -> M>: Metric,
{
    fn register(registry: &mut Registry, name: &str, labels: [&'static str; N], help: &str) -> Self {
        let family = Family::new_with_constructor(M::make as fn() -> M);
        // Both are put back by the encoder.
        let (name, help) = (name.strip_suffix("_total").unwrap_or(name), help.trim_end_matches('.'));
        registry.register(name, help, family.clone());
        Self { labels, family }
    }

    /// The one with these values, in the table's order.
    fn at<V: Into<Cow<'static, str>>>(&self, values: [V; N]) -> M {
        let mut values = values.into_iter().map(Into::into);
        let labels = self.labels.map(|label| (label, values.next().unwrap_or_default()));
        self.family.get_or_create_owned(&labels)
    }
}

/// What a worker counts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Table>);

/// A job that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Gauge);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if text::encode(&mut text, &self.0.registry).is_err() {
            tracing::error!("metrics do not turn into text");
        }
        text
    }

    /// What does not change while a worker runs, and a zero where nothing has happened yet.
    pub(super) fn describe(&self, slots: [u16; 2], sandbox: &SandboxStatus, libav: &BTreeMap<String, String>) {
        let table = &*self.0;
        let [audio, none] = slots;
        table.slots.at(["audio"]).set(audio.into());
        table.slots.at(["none"]).set(none.into());
        for lane in Lane::ALL {
            table.busy.at([lane.as_str()]).set(0);
            for why in PutOff::ALL {
                table.put_off.at([lane.as_str(), why.as_str()]);
            }
        }
        for counter in [&table.children, &table.reconnects] {
            counter.at::<&str>([]);
        }
        table.build.at([env!("CARGO_PKG_VERSION")]).set(1);
        let version = |name| libav.get(name).cloned().unwrap_or_default();
        table.libav.at(["libavcodec", "libavformat", "libavfilter", "libavutil"].map(version)).set(1);
        let SandboxStatus { mode, landlock, landlock_abi, seccomp } = sandbox.clone();
        table.sandbox.at([mode, landlock, landlock_abi.to_string(), seccomp.to_string()]).set(1);
    }

    /// A message was taken that nobody had taken before.
    pub(super) fn taken(&self, lane: Lane, asked_at: Option<Timestamp>) {
        if let Some(age) = asked_at.and_then(age) {
            self.0.wait.at([lane.as_str()]).observe(age.as_secs_f64());
        }
    }

    /// A job runs until the guard is dropped.
    pub(super) fn busy(&self, lane: Lane) -> Busy {
        let gauge = self.0.busy.at([lane.as_str()]);
        gauge.inc();
        Busy(gauge)
    }

    /// A step has ended.
    pub(super) fn stage(&self, lane: Option<Lane>, stage: Stage, took: Duration) {
        let lane = lane.map_or("", Lane::as_str);
        self.0.stage.at([lane, stage.as_str()]).observe(took.as_secs_f64());
    }

    /// A file was made into what its event is going to say.
    pub(super) fn made(&self, lane: Option<Lane>, kind: Kind, decision: &Decision) {
        let labels = [lane.map_or("", Lane::as_str), kind.as_str()];
        self.0.input.at(labels).inc_by(decision.bytes_before);
        self.0.output.at(labels).inc_by(decision.bytes_after);
        self.0.saved.at(labels).inc_by(decision.bytes_before.saturating_sub(decision.bytes_after));
    }

    /// An outcome is confirmed.
    pub(super) fn said(&self, lane: Lane, outcome: &Outcome, asked_at: Option<Timestamp>) {
        let (kind, action) = match outcome {
            Outcome::Normalized(manifest) => (manifest.data.kind.as_str(), manifest.data.decision.action.as_str()),
            Outcome::Rejected(_) | Outcome::Failed(_) => ("", ""),
        };
        let code = outcome.code().map_or("", Code::as_str);
        let (lane, word) = (lane.as_str(), outcome.as_str());
        self.0.jobs.at([lane, kind, action, word, code]).inc();
        if let Some(age) = asked_at.and_then(age) {
            self.0.lag.at([lane, word]).observe(age.as_secs_f64());
        }
    }

    /// A message ended without any event.
    pub(super) fn unreadable(&self, lane: Lane, code: Code) {
        self.0.jobs.at([lane.as_str(), "", "", "dead", code.as_str()]).inc();
    }

    /// A message is tried again later.
    pub(super) fn retried(&self, lane: Lane, stage: Stage, code: Code) {
        self.0.retries.at([lane.as_str(), stage.as_str(), code.as_str()]).inc();
    }

    /// A message is given up.
    pub(super) fn buried(&self, lane: Lane, stage: Stage, code: Code) {
        self.0.dead.at([lane.as_str(), stage.as_str(), code.as_str()]).inc();
    }

    /// Messages are moved to come again later.
    pub(super) fn put_off(&self, lane: Lane, why: PutOff, messages: usize) {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        self.0.put_off.at([lane.as_str(), why.as_str()]).inc_by(messages);
    }

    /// The consuming connection is gone.
    pub(super) fn disconnected(&self) {
        self.0.reconnects.at::<&str>([]).inc();
    }

    /// What waits at the broker, where it says so.
    pub(super) fn waiting(&self, depths: &[(&'static str, u32)]) {
        // A figure of yesterday would be worse than none.
        self.0.queue.family.clear();
        for (queue, messages) in depths {
            self.0.queue.at([*queue]).set((*messages).into());
        }
    }

    /// Whether a part is as it should be.
    pub(super) fn ready(&self, part: &'static str, ready: bool) {
        self.0.ready.at([part]).set(ready.into());
    }

    /// What children have used, and what room there is. Two who ask at the same time count nothing twice: a total is
    /// taken over as it is, unless a later one already was.
    pub(super) fn used(&self, totals: Totals, scratch_free_bytes: Option<u64>) {
        self.0.children.at::<&str>([]).inner().fetch_max(totals.children, Ordering::Relaxed);
        // Of numbers that are not negative, the larger one has the larger bits.
        let cpu = self.0.child_cpu.at::<&str>([]);
        cpu.inner().fetch_max(totals.cpu_s.max(0.0).to_bits(), Ordering::Relaxed);
        let memory = i64::try_from(totals.peak_memory_bytes).unwrap_or(i64::MAX);
        self.0.child_memory.at::<&str>([]).set(memory);
        if let Some(free_bytes) = scratch_free_bytes {
            self.0.scratch.at::<&str>([]).set(i64::try_from(free_bytes).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_at_the_same_time_counts_nothing_twice() {
        let metrics = Metrics::default();
        let totals = |children, cpu_s| Totals { children, cpu_s, peak_memory_bytes: 1 };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    (1..=1000)
                        .for_each(|n| metrics.used(totals(n, 0.5 * f64::from(u32::try_from(n).expect("small"))), None))
                });
            }
        });
        metrics.used(totals(999, 1.0), None);
        let text = metrics.encode();
        assert!(text.contains("mediamill_children_total{} 1000\n"), "{text}");
        assert!(text.contains("mediamill_child_cpu_seconds_total{} 500.0\n"), "{text}");
    }
}
