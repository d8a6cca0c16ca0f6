//! What a deliverer counts beside what every role does. Labels hold the names of destinations, which the configuration gives, and
//! words of this program.

use std::sync::{Arc, LazyLock};

use super::subject::Word;
use crate::runtime::metrics::{self, Counter, Described, Gauge, metrics};

metrics! { Table, TABLE:
    ended: Counter, "mediamill_deliveries_total", ["destination", "type", "how"],
        "Events that have ended at a destination: delivered, known (delivered before), unwanted (by filter or map), erased (the media was), expired, parked";
    failed: Counter, "mediamill_delivery_failures_total", ["destination", "code"],
        "Attempts that failed, by code";
    stopped: Gauge, "mediamill_destination_stopped", ["destination"],
        "1 while a destination is stopped and needs an operator: `mediamill deliver resume`";
}

/// Every metric of a deliverer beside those of every role.
pub static METRICS: LazyLock<Vec<Described>> = LazyLock::new(|| TABLE.to_vec());

/// The metrics of a deliverer. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
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
    pub(super) fn ended(&self, destination: &str, word: Word, how: &'static str) {
        self.own.ended.at([destination, word.as_str(), how].map(str::to_owned)).inc();
    }

    pub(super) fn failed(&self, destination: &str, code: &'static str) {
        self.own.failed.at([destination.to_owned(), code.to_owned()]).inc();
    }

    pub(super) fn stopped(&self, destination: &str, is_stopped: bool) {
        self.own.stopped.at([destination.to_owned()]).set(is_stopped.into());
    }
}
