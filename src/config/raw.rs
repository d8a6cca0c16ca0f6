//! The configuration as written: `default.toml` is the reference, and every struct here mirrors one of its tables.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Bucket, Catalog, Channel, Destination, Ledger, Links, Login, Privacy, Tenant};
use crate::secrets::Secret;

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
    /// Accounts of messaging channels, by name.
    pub channels: BTreeMap<String, Channel>,
    /// Buckets that media are fetched from, by name.
    pub buckets: BTreeMap<String, Bucket>,
    /// Where webhooks are taken.
    pub gateway: Gateway,
    /// The index of what is stored, and its doors.
    pub catalog: Catalog,
    /// What whoever has a role may do, by the role's name.
    pub access: BTreeMap<String, Access>,
    /// Where people of some tenants log in, by name.
    pub login: BTreeMap<String, Login>,
    /// Links that people and CRMs keep.
    pub links: Links,
    /// Who is known how, what may be stored, and for how long.
    pub privacy: Privacy,
    /// What differs for a tenant, by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// What was sent where.
    pub ledger: Ledger,
    /// Where outcomes go, by name.
    pub deliver: BTreeMap<String, Destination>,
    /// Health and metrics.
    pub http: Http,
    /// Where spans go.
    pub traces: Traces,
    /// Log output.
    pub log: Log,
}

impl Config {
    /// Every secret with its key. A test compares the list with what is serialized as a secret.
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, &Secret)> {
        let sections = [
            ("broker.url", &self.broker.url),
            ("store.access_key_id", &self.store.access_key_id),
            ("store.secret_access_key", &self.store.secret_access_key),
            ("privacy.key", &self.privacy.key),
            ("privacy.key_previous", &self.privacy.key_previous),
            ("privacy.audit_key", &self.privacy.audit_key),
            ("privacy.purge_token", &self.privacy.purge_token),
            ("store.gcs_credentials", &self.store.gcs_credentials),
            ("store.azure_key", &self.store.azure_key),
            ("store.azure_sas", &self.store.azure_sas),
            ("store.azure_client_secret", &self.store.azure_client_secret),
            ("ledger.url", &self.ledger.url),
        ];
        let sections = sections.into_iter().map(|(key, secret)| (key.to_owned(), secret));
        let channels = self.channels.iter().flat_map(|(name, channel)| {
            channel.secrets().into_iter().map(move |(key, secret)| (format!("channels.{name}.{key}"), secret))
        });
        let buckets = self.buckets.iter().flat_map(|(name, bucket)| {
            bucket.secrets().into_iter().map(move |(key, secret)| (format!("buckets.{name}.{key}"), secret))
        });
        let links = self
            .links
            .secrets()
            .into_iter()
            .chain(self.catalog.secrets())
            .map(|(key, secret)| (key.to_owned(), secret));
        let destinations = self.deliver.iter().flat_map(|(name, destination)| {
            destination.secrets().into_iter().map(move |(key, secret)| (format!("deliver.{name}.{key}"), secret))
        });
        let logins = self.login.iter().flat_map(|(name, login)| {
            login.secrets().into_iter().map(move |(key, secret)| (format!("login.{name}.{key}"), secret))
        });
        sections.chain(channels).chain(buckets).chain(links).chain(destinations).chain(logins).collect()
    }

    /// Keys whose values differ, and named tables that only one of the two has. Where only secrets differ, it is not told
    /// which.
    #[must_use]
    pub fn changed_keys(&self, other: &Self) -> Vec<String> {
        let keys = |config: &Self| serde_json::to_value(config).unwrap_or_default();
        let mut changed = Vec::new();
        differences("", &keys(self), &keys(other), &mut changed);
        // Secrets are written as asterisks, whatever they are.
        if changed.is_empty() && self != other {
            changed.push("a secret".to_owned());
        }
        changed
    }
}

/// Adds the dotted paths of what differs. Two maps of free keys, such as `store.tags`, are compared as wholes.
fn differences(path: &str, ours: &Value, theirs: &Value, changed: &mut Vec<String>) {
    let is_deeper = path.matches('.').count() < 2 && !["store.tags", "store.metadata"].contains(&path);
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) if is_deeper => {
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => differences(&inner, ours, theirs, changed),
                    _ => changed.push(inner),
                }
            }
        }
        _ if ours != theirs => changed.push(path.to_owned()),
        _ => {}
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
    pub gcs_credentials: Secret,
    pub azure_account: String,
    pub azure_key: Secret,
    pub azure_sas: Secret,
    pub azure_tenant_id: String,
    pub azure_client_id: String,
    pub azure_client_secret: Secret,
    pub sse: String,
    pub sse_kms_key_id: String,
    pub storage_class: String,
    pub class: String,
    pub class_roles: Vec<String>,
    pub tier_min_bytes: u64,
    pub checksums: String,
    pub tags: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
    pub cache_control: String,
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

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Gateway {
    pub listen: String,
    pub tls_certificate: std::path::PathBuf,
    pub tls_key: std::path::PathBuf,
    pub public_url: String,
    pub body_bytes: usize,
    pub head_bytes: usize,
    pub memory_bytes: usize,
    pub account_memory_bytes: usize,
    pub connections: usize,
    pub account_requests: usize,
    pub publishes: usize,
    pub head_timeout_s: u64,
    pub body_timeout_s: u64,
    pub publish_timeout_s: u64,
    pub drain_timeout_s: u64,
    pub forward_days: u64,
    pub forward_timeout_s: u64,
    pub forward_at_once: u16,
    pub forward_allow_plain: bool,
    pub forward_allow_hosts: Vec<String>,
    pub reconcile_s: u64,
    pub reconcile_back_s: u64,
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
