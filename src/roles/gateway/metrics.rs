//! What a gateway counts beside what every role does. Labels hold the names of accounts, which the configuration gives, and
//! words of this program.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::channels::{Denied, Ignored};
use crate::runtime::metrics::{self, Counter, Described, Histogram, metrics};

metrics! { Table, TABLE:
    webhooks: Counter, "mediamill_webhooks_total", ["account", "answer"],
        "Webhooks that were answered: taken, handshake, or why not (unsigned, wrong, stale, unreadable, unconfigured, unknown, malformed, too-large, too-slow, encoded, busy, not-published)";
    seconds: Histogram, "mediamill_webhook_duration_seconds", ["account"],
        "From a webhook's head to its answer";
    events: Counter, "mediamill_webhook_events_total", ["account", "type"],
        "Events that were published and confirmed, by their type";
    ignored: Counter, "mediamill_webhook_ignored_total", ["account", "kind"],
        "Messages that are nothing for this pipeline: text, interactive, status, system, outbound, history, other-account, error, unknown";
    unrouted: Counter, "mediamill_webhook_unrouted_total", ["account"],
        "Events of changes and of missing files that no queue is bound for";
    forward_dropped: Counter, "mediamill_forward_dropped_total", ["account"],
        "Webhooks that were not passed on: their target did not take them within gateway.forward_days";
}

/// Every metric of a gateway beside those of every role.
pub static METRICS: LazyLock<Vec<Described>> = LazyLock::new(|| TABLE.to_vec());

/// What stands in the place of an account that is not configured: whoever asks may choose any name.
const NO_ACCOUNT: &str = "unknown";

/// How a webhook was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// With success, after everything of it was confirmed.
    Taken,
    /// With what a handshake wants.
    Handshake,
    /// There is no such account.
    Unknown,
    /// Not the provider's.
    Denied(Denied),
    /// Verified, and no webhook of this provider.
    Malformed,
    /// More bytes than a webhook may have.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body is compressed, which no provider does.
    Encoded,
    /// The account, or memory, has as much to do as it may have.
    Busy,
    /// The broker did not confirm.
    NotPublished,
}

impl Answer {
    /// The status that says so.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Taken | Self::Handshake => 200,
            Self::Unknown => 404,
            Self::Denied(Denied::Unsigned) => 401,
            Self::Denied(Denied::Unconfigured | Denied::Unreadable | Denied::Wrong | Denied::Stale) => 403,
            Self::Malformed => 400,
            Self::TooLarge => 413,
            Self::TooSlow => 408,
            Self::Encoded => 415,
            Self::Busy | Self::NotPublished => 503,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Handshake => "handshake",
            Self::Unknown => "unknown",
            Self::Denied(denied) => denied.as_str(),
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Encoded => "encoded",
            Self::Busy => "busy",
            Self::NotPublished => "not-published",
        }
    }
}

/// The metrics of a gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Those of every role.
    pub(super) runtime: metrics::Metrics,
    own: Arc<Table>,
    accounts: Arc<[String]>,
}

impl Metrics {
    pub(super) fn new<'a>(accounts: impl Iterator<Item = &'a str>) -> Self {
        let (runtime, own) = metrics::Metrics::with(Table::register);
        let accounts: Arc<[String]> = accounts.map(str::to_owned).collect();
        for account in accounts.iter() {
            // A zero from the start: Prometheus sees no increase where a counter begins with one, and alerts go by these.
            own.unrouted.at([account.clone()]);
            own.forward_dropped.at([account.clone()]);
        }
        Self { runtime, own: Arc::new(own), accounts }
    }

    /// All of it in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        self.runtime.encode()
    }

    pub(super) fn answered(&self, account: &str, answer: Answer, took: Duration) {
        let account = if self.accounts.iter().any(|name| name == account) { account } else { NO_ACCOUNT }.to_owned();
        self.own.webhooks.at([account.clone(), answer.as_str().to_owned()]).inc();
        self.own.seconds.at([account]).observe(took.as_secs_f64());
    }

    pub(super) fn published(&self, account: &str, types: &[String]) {
        for event_type in types {
            self.own.events.at([account.to_owned(), event_type.clone()]).inc();
        }
    }

    pub(super) fn ignored(&self, account: &str, why: Ignored) {
        self.own.ignored.at([account.to_owned(), why.as_str().to_owned()]).inc();
    }

    pub(super) fn forward_dropped(&self, account: &str) {
        self.own.forward_dropped.at([account.to_owned()]).inc();
    }

    pub(super) fn unrouted(&self, account: &str, count: usize) {
        self.own.unrouted.at([account.to_owned()]).inc_by(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alerts_go_by_is_zero_from_the_start() {
        let text = Metrics::new(["support"].into_iter()).encode();
        for name in ["mediamill_webhook_unrouted_total", "mediamill_forward_dropped_total"] {
            assert!(text.contains(&format!("{name}{{account=\"support\"}} 0\n")), "{text}");
        }
    }
}
