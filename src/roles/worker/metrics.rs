//! Metrics of the worker beside those of every role. The table of both in the documents is compared with [`METRICS`].

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;

use super::outcome::Outcome;
use super::put_off;
use crate::error::Code;
use crate::events::{Decision, Kind, SandboxStatus};
use crate::roles::lanes::Lane;
use crate::runtime::metrics::{self, Counter, Described, FloatCounter, Gauge, JobLabels, metrics};
use crate::sandbox::Totals;

metrics! { Table, TABLE:
    input: Counter, "mediamill_input_bytes_total", ["lane", "kind"],
        "Bytes of originals that were normalized";
    output: Counter, "mediamill_output_bytes_total", ["lane", "kind"],
        "Bytes of their playback assets; of the original where there is no playback asset";
    saved: Counter, "mediamill_saved_bytes_total", ["lane", "kind"],
        "Bytes by which playback assets are smaller than their originals, where they are smaller";
    children: Counter, "mediamill_children_total", [],
        "Confined children that have ended";
    child_cpu: FloatCounter, "mediamill_child_cpu_seconds_total", [],
        "CPU time of confined children, as the kernel counted it";
    child_memory: Gauge, "mediamill_child_peak_memory_bytes", [],
        "Peak resident memory of the largest confined child since the worker started";
    oldest: Gauge, "mediamill_channel_oldest_seconds", ["account"],
        "Age of the oldest file of a channel account that this worker has begun with and that has no outcome yet; 0 where there is none";
    lifetime: Gauge, "mediamill_channel_lifetime_seconds", ["account"],
        "How long the provider of a channel account keeps files, as channels.<name>.media_id_lifetime_s says";
    scratch: Gauge, "mediamill_scratch_free_bytes", [],
        "Free space of the scratch file system";
    libav: Gauge, "mediamill_libav_info", ["libavcodec", "libavformat", "libavfilter", "libavutil"],
        "Always 1; versions of the libraries that children decode with";
    sandbox: Gauge, "mediamill_sandbox_info", ["mode", "landlock", "landlock_abi", "seccomp"],
        "Always 1; what confines children: the configured mode, Landlock (full, partial, none) and its ABI, seccomp (true, false)";
}

/// Every metric of a worker, in the order of the documents' table.
pub static METRICS: LazyLock<Vec<Described>> = LazyLock::new(|| [metrics::METRICS, TABLE].concat());

/// What a worker counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Those of every role.
    pub(super) runtime: metrics::Metrics,
    own: Arc<Table>,
}

impl Default for Metrics {
    fn default() -> Self {
        let (runtime, own) = metrics::Metrics::with(Table::register);
        Self { runtime, own: Arc::new(own) }
    }
}

impl Metrics {
    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        self.runtime.encode()
    }

    /// What does not change while a worker runs, and a zero where nothing has happened yet.
    pub(super) fn describe(&self, slots: [u16; 2], sandbox: &SandboxStatus, libav: &BTreeMap<String, String>) {
        let [audio, none] = slots;
        self.runtime.describe(&[("audio", audio), ("none", none)], &Lane::ALL.map(Lane::as_str), &put_off::ALL);
        let table = &*self.own;
        table.children.at::<&str>([]);
        let version = |name| libav.get(name).cloned().unwrap_or_default();
        table.libav.at(["libavcodec", "libavformat", "libavfilter", "libavutil"].map(version)).set(1);
        let SandboxStatus { mode, landlock, landlock_abi, seccomp } = sandbox.clone();
        table.sandbox.at([mode, landlock, landlock_abi.to_string(), seccomp.to_string()]).set(1);
    }

    /// How old the oldest file without an outcome is of each account, and how old it may become.
    pub(super) fn unfetched(&self, lifetimes: &[(String, Duration)], oldest: &HashMap<String, Duration>) {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        for (account, lifetime) in lifetimes {
            self.own.lifetime.at([account.clone()]).set(seconds(*lifetime));
            self.own.oldest.at([account.clone()]).set(oldest.get(account).map_or(0, |age| seconds(*age)));
        }
    }

    /// A file was normalized.
    pub(super) fn made(&self, lane: Option<Lane>, kind: Kind, decision: &Decision) {
        let labels = [lane.map_or("", Lane::as_str), kind.as_str()];
        self.own.input.at(labels).inc_by(decision.bytes_before);
        self.own.output.at(labels).inc_by(decision.bytes_after);
        self.own.saved.at(labels).inc_by(decision.bytes_before.saturating_sub(decision.bytes_after));
    }

    /// An outcome is confirmed.
    pub(super) fn published(&self, lane: Lane, outcome: &Outcome, asked_at: Option<Timestamp>) {
        let (kind, action) = match outcome {
            Outcome::Normalized(manifest) => (manifest.data.kind.as_str(), manifest.data.decision.action.as_str()),
            Outcome::Rejected(_) | Outcome::Failed(_) => ("", ""),
        };
        let code = outcome.code().map_or("", Code::as_str);
        let labels = JobLabels { kind, action, outcome: outcome.as_str(), code };
        self.runtime.ended(lane.as_str(), &labels, asked_at);
    }

    /// A message ended without any event.
    pub(super) fn unreadable(&self, lane: Lane, code: Code) {
        let labels = JobLabels { outcome: "dead", code: code.as_str(), ..JobLabels::default() };
        self.runtime.ended(lane.as_str(), &labels, None);
    }

    /// What children have used, and what room there is. Two who ask at the same time count nothing twice: a total is
    /// taken over as it is, unless a later one already was.
    pub(super) fn used(&self, totals: Totals, scratch_free_bytes: Option<u64>) {
        self.own.children.at::<&str>([]).inner().fetch_max(totals.children, Ordering::Relaxed);
        // Of numbers that are not negative, the larger one has the larger bits.
        let cpu = self.own.child_cpu.at::<&str>([]);
        cpu.inner().fetch_max(totals.cpu_s.max(0.0).to_bits(), Ordering::Relaxed);
        let memory = i64::try_from(totals.peak_memory_bytes).unwrap_or(i64::MAX);
        self.own.child_memory.at::<&str>([]).set(memory);
        if let Some(free_bytes) = scratch_free_bytes {
            self.own.scratch.at::<&str>([]).set(i64::try_from(free_bytes).unwrap_or(i64::MAX));
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
