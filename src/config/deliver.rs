//! `[ledger]`, and `[deliver.<name>]`: one destination of outcomes each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::egress::Hosts;
use crate::secrets::Secret;

/// Most requests at the same time to one destination: above that, quotas and locks of CRMs make more of them slower.
const MAX_CONCURRENCY: u16 = 32;
/// 49 days: RabbitMQ's longest time to live.
const MAX_DELAY_S: u64 = 49 * 24 * 3600;
/// Headers that a request has by itself, or that would change what is sent to whom.
const OWN_HEADERS: [&str; 9] = [
    "authorization",
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// `[ledger]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Ledger {
    pub url: Secret,
    pub retry_delays_s: Vec<u64>,
    pub retry_jitter_percent: u8,
    pub keep_s: u64,
}

/// Who a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationKind {
    /// Nobody is named, which [`crate::config::load`] refuses.
    #[serde(rename = "")]
    Unset,
    /// An endpoint that takes signed webhooks.
    Webhook,
    /// HubSpot.
    Hubspot,
    /// Salesforce.
    Salesforce,
    /// Zoho CRM.
    Zoho,
    /// Zendesk.
    Zendesk,
    /// Chatwoot.
    Chatwoot,
}

impl DestinationKind {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "",
            Self::Webhook => "webhook",
            Self::Hubspot => "hubspot",
            Self::Salesforce => "salesforce",
            Self::Zoho => "zoho",
            Self::Zendesk => "zendesk",
            Self::Chatwoot => "chatwoot",
        }
    }
}

/// What is done where the receiver of webhooks can be asked whether it wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// It is not asked.
    Off,
    /// It is asked, and gets webhooks whatever it answers.
    Try,
    /// It is asked, and gets none before it has agreed.
    Require,
}

/// `[deliver.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Destination {
    pub kind: DestinationKind,
    pub map: String,
    pub outcomes: Vec<String>,
    pub kinds: Vec<String>,
    pub tenants: Vec<String>,
    pub tags: Vec<String>,
    pub url: String,
    pub account: String,
    pub user: String,
    pub token: Secret,
    pub client_id: String,
    pub client_secret: Secret,
    pub refresh_token: Secret,
    pub private_key: Secret,
    pub signing_key: Secret,
    pub signing_key_next: Secret,
    pub api_version: String,
    pub hosts: Vec<String>,
    pub allow_private: bool,
    pub region: String,
    pub content_type: String,
    pub headers: BTreeMap<String, String>,
    pub links: bool,
    pub handshake: Handshake,
    pub body_bytes: usize,
    pub concurrency: u16,
    pub timeout_s: u64,
    pub max_age_s: u64,
    pub max_errors: u32,
    pub error_window_s: u64,
    pub error_pause_s: u64,
    pub quota_percent: u8,
    pub mapping_errors: u32,
    pub disable_after_s: u64,
    pub read_back_lag_s: u64,
}

impl Ledger {
    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let url = self.url.expose();
        // Whether it can be used is for whoever opens it: a build without databases knows nothing of their addresses.
        let schemes = ["sqlite:", "postgres:", "postgresql:"];
        if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
            problems.push(("url", "must be sqlite:/path/of/a/file or a postgres:// URL".to_owned()));
        }
        let delays_ok = self.retry_delays_s.iter().all(|delay| (1..=MAX_DELAY_S).contains(delay));
        if !delays_ok || self.retry_delays_s.is_empty() {
            problems.push(("retry_delays_s", format!("must have delays of 1 to {MAX_DELAY_S}")));
        }
        if self.retry_jitter_percent > 100 {
            problems.push(("retry_jitter_percent", "must be at most 100".to_owned()));
        }
        if self.keep_s == 0 {
            problems.push(("keep_s", "must be more than 0".to_owned()));
        }
        problems
    }
}

impl Destination {
    /// The secrets of a destination, each with its key.
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 6] {
        [
            ("token", &self.token),
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
            ("private_key", &self.private_key),
            ("signing_key", &self.signing_key),
            ("signing_key_next", &self.signing_key_next),
        ]
    }

    /// What is wrong with a destination, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key, problem: &str| {
            if !holds {
                problems.push((key, problem.to_owned()));
            }
        };
        let kinds = "must be webhook, hubspot, salesforce, zoho, zendesk or chatwoot";
        expect(self.kind != DestinationKind::Unset, "kind", kinds);
        let url_ok = self.url.is_empty() || is_endpoint(&self.url);
        expect(url_ok, "url", "must be an http:// or https:// URL without user, password and fragment, or empty");
        expect(self.kind != DestinationKind::Webhook || !self.url.is_empty(), "url", "must be there for a webhook");
        let hosts = Hosts::new(&self.hosts).map(|_hosts| ()).map_err(|error| error.to_string());
        expect(hosts.is_ok(), "hosts", hosts.as_ref().err().map_or("", String::as_str));
        let outcomes = ["normalized", "rejected", "failed", "erased", "transcribed", "edited", "alert"];
        let outcomes_ok = self.outcomes.iter().all(|word| outcomes.contains(&word.as_str()));
        expect(outcomes_ok, "outcomes", &format!("may have {}", outcomes.join(", ")));
        let media = ["audio", "video", "image", "document"];
        let media_ok = self.kinds.iter().all(|word| media.contains(&word.as_str()));
        expect(media_ok, "kinds", &format!("may have {}", media.join(", ")));
        let region_ok = self.region.is_empty()
            || (self.region.len() == 2 && self.region.bytes().all(|byte| byte.is_ascii_uppercase()));
        expect(region_ok, "region", "must be two capital letters, such as BR, or empty");
        let types = ["application/cloudevents+json", "application/json"];
        expect(types.contains(&self.content_type.as_str()), "content_type", &format!("must be {}", types.join(" or ")));
        let header_ok = |(name, value): (&String, &String)| {
            let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            let free = !OWN_HEADERS.contains(&name.as_str())
                && !["content-", "webhook-", "ce-"].iter().any(|prefix| name.starts_with(prefix));
            !name.is_empty() && name.bytes().all(lower) && free && value.bytes().all(|b| (b' '..=b'~').contains(&b))
        };
        let problem = "names are in lower case, values printable ASCII; not authorization, host, content-*, webhook-*, \
                       ce-* or what belongs to the connection";
        expect(self.headers.iter().all(header_ok), "headers", problem);
        let size = |value: usize| (1024..=4 << 20).contains(&value);
        expect(size(self.body_bytes), "body_bytes", "must be 1024 to 4194304");
        let concurrency_ok = (1..=MAX_CONCURRENCY).contains(&self.concurrency);
        expect(concurrency_ok, "concurrency", &format!("must be 1 to {MAX_CONCURRENCY}"));
        expect((1..=600).contains(&self.timeout_s), "timeout_s", "must be 1 to 600");
        for (key, value) in [
            ("max_age_s", self.max_age_s),
            ("max_errors", self.max_errors.into()),
            ("error_window_s", self.error_window_s),
            ("error_pause_s", self.error_pause_s),
            ("mapping_errors", self.mapping_errors.into()),
            ("disable_after_s", self.disable_after_s),
        ] {
            expect(value > 0, key, "must be more than 0");
        }
        expect((1..=100).contains(&self.quota_percent), "quota_percent", "must be 1 to 100");
        expect(self.read_back_lag_s <= 3600, "read_back_lag_s", "must be at most 3600");
        problems
    }
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare
    })
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    #[test]
    fn headers_that_a_request_has_by_itself_are_refused() {
        let refused = |header: &str| {
            let flags = [("kind", "hubspot"), ("headers", header)];
            let flags = flags.map(|(key, value)| (format!("deliver.a.{key}"), value.to_owned()));
            load(None, [], &flags).is_err_and(|errors| errors.to_string().contains("deliver.a.headers"))
        };
        for header in
            ["host=other", "webhook-id=1", "content-type=x", "ce-id=1", "authorization=x", "X-Upper=1", "x=\u{fc}"]
        {
            assert!(refused(header), "{header}");
        }
        assert!(!refused("x-team=media"));
    }
}
