//! What a gateway counts. Labels hold the names of accounts, which the configuration gives, and words of this program.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::channels::{Denied, Ignored};

/// Every metric: name, kind, labels and meaning.
pub const METRICS: [(&str, &str, &[&str], &str); 5] = [
    (
        "mediamill_webhooks_total",
        "counter",
        &["account", "answer"],
        "Webhooks that were answered, by what the answer was",
    ),
    ("mediamill_webhook_seconds", "histogram", &["account"], "Time from a webhook's head to its answer"),
    ("mediamill_webhook_events_total", "counter", &["account", "event"], "Events that were published and confirmed"),
    ("mediamill_webhook_ignored_total", "counter", &["account", "kind"], "Messages that are nothing for this pipeline"),
    (
        "mediamill_webhook_unrouted_total",
        "counter",
        &["account"],
        "Events of changes and missing files that nobody is bound for",
    ),
];

/// Bounds of the histogram in seconds.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
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
    /// A bug.
    Broken,
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
            Self::Broken => 500,
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
            Self::Broken => "broken",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    account: String,
    answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    account: String,
    event: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IgnoredLabels {
    account: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabels {
    account: String,
}

/// The metrics of a gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    accounts: Vec<String>,
    webhooks: Family<AnswerLabels, Counter>,
    seconds: Family<AccountLabels, Histogram>,
    events: Family<EventLabels, Counter>,
    ignored: Family<IgnoredLabels, Counter>,
    unrouted: Family<AccountLabels, Counter>,
}

impl Metrics {
    pub(super) fn new<'a>(accounts: impl Iterator<Item = &'a str>) -> Self {
        let mut registry = Registry::default();
        let webhooks = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let (events, ignored, unrouted) = (Family::default(), Family::default(), Family::default());
        register(&mut registry, "mediamill_webhooks_total", &webhooks);
        register(&mut registry, "mediamill_webhook_seconds", &seconds);
        register(&mut registry, "mediamill_webhook_events_total", &events);
        register(&mut registry, "mediamill_webhook_ignored_total", &ignored);
        register(&mut registry, "mediamill_webhook_unrouted_total", &unrouted);
        let accounts = accounts.map(str::to_owned).collect();
        Self { registry, accounts, webhooks, seconds, events, ignored, unrouted }
    }

    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        if encode(&mut text, &self.registry).is_err() { String::new() } else { text }
    }

    pub(super) fn answered(&self, account: &str, answer: Answer, took: Duration) {
        let account = if self.accounts.iter().any(|name| name == account) { account } else { NO_ACCOUNT }.to_owned();
        self.webhooks.get_or_create(&AnswerLabels { account: account.clone(), answer: answer.as_str() }).inc();
        self.seconds.get_or_create(&AccountLabels { account }).observe(took.as_secs_f64());
    }

    pub(super) fn published(&self, account: &str, kinds: &[String]) {
        for kind in kinds {
            self.events.get_or_create(&EventLabels { account: account.to_owned(), event: kind.clone() }).inc();
        }
    }

    pub(super) fn ignored(&self, account: &str, why: Ignored) {
        self.ignored.get_or_create(&IgnoredLabels { account: account.to_owned(), kind: why.as_str() }).inc();
    }

    pub(super) fn unrouted(&self, account: &str, count: usize) {
        self.unrouted.get_or_create(&AccountLabels { account: account.to_owned() }).inc_by(count as u64);
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, metric: &M) {
    let help = METRICS.iter().find(|described| described.0 == name).map_or("", |described| described.3);
    registry.register(name.trim_end_matches("_total"), help.trim_end_matches('.'), metric.clone());
}
