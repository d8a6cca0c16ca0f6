//! The configuration as written: `default.toml` is the reference, and every struct here mirrors one of its tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::{Limits, SandboxMode};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// RabbitMQ.
    pub broker: Broker,
    /// The object store for assets.
    pub store: Store,
    /// Where originals may come from.
    pub source: Source,
    /// What one job may use.
    pub limits: Limits,
    /// What holds the decoder.
    pub sandbox: Sandbox,
    /// Slots, scratch space, shutdown.
    pub worker: Worker,
    /// Health and metrics.
    pub http: Http,
    /// Where spans go.
    pub traces: Traces,
    /// Log output.
    pub log: Log,
}

impl Config {
    /// Keys whose values differ. Where only secrets do, it is not told which.
    #[must_use]
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let keys = |config: &Self| match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(sections)) => sections,
            Ok(_) | Err(_) => serde_json::Map::new(),
        };
        let (ours, theirs) = (keys(self), keys(other));
        let mut changed = Vec::new();
        for (section, values) in ours.iter().filter_map(|(section, values)| Some((section, values.as_object()?))) {
            let differs = |key: &&String| theirs.get(section).and_then(|it| it.get(key.as_str())) != values.get(*key);
            changed.extend(values.keys().filter(differs).map(|key| format!("{section}.{key}")));
        }
        // Secrets are written as asterisks, whatever they are.
        if changed.is_empty() && self != other {
            changed.push("a secret".to_owned());
        }
        changed
    }
}

/// `[broker]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Broker {
    pub url: Secret,
    pub nodes: Vec<String>,
    pub exchange: String,
    pub retry_delays_s: Vec<u64>,
    pub delivery_limit: u32,
    pub ack_timeout_s: u64,
    pub confirm_timeout_s: u64,
    pub connect_timeout_s: u64,
    pub heartbeat_s: u16,
    pub reconnect_min_ms: u64,
    pub reconnect_max_ms: u64,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Store {
    pub url: String,
    pub endpoint: String,
    pub path_style: bool,
    pub region: String,
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    pub sse: String,
    pub sse_kms_key_id: String,
    pub storage_class: String,
    pub checksums: String,
    pub tags: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
    pub multipart_bytes: u64,
    pub connect_timeout_s: u64,
    pub attempt_timeout_s: u64,
    pub operation_timeout_s: u64,
    pub max_attempts: u32,
}

/// `[source]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Source {
    pub file_roots: Vec<std::path::PathBuf>,
    pub s3_buckets: Vec<String>,
    pub http_allow_plain: bool,
    pub http_allow_hosts: Vec<String>,
    pub http_max_redirects: u32,
    pub connect_timeout_s: u64,
    pub read_timeout_s: u64,
    pub total_timeout_s: u64,
    pub min_bytes_per_s: u64,
    pub min_rate_window_s: u64,
}

/// `[sandbox]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Sandbox {
    pub mode: SandboxMode,
}

/// `[worker]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Worker {
    pub slots: usize,
    pub audio_slots: usize,
    pub fetches: usize,
    pub scratch_dir: std::path::PathBuf,
    pub scratch_min_free_bytes: u64,
    pub scratch_max_bytes: u64,
    pub grace_s: u64,
    pub profile: String,
    pub profiles_dir: std::path::PathBuf,
    pub event_source: String,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Http {
    pub listen: String,
}

/// `[traces]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Traces {
    pub endpoint: String,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A value that is never printed, not even as JSON.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    const fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "***" }
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}
