//! The state of the simulated provider, and the requests and answers of its media API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::Value;

use super::faults::Occurrences;
use super::files::{Files, Sample};
use super::{Fault, Options};

/// A webhook to send.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    pub(super) content_type: &'static str,
    /// The headers besides the content type, such as the signature.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// A message that the gateway has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The provider's id of the message.
    pub message_id: String,
    /// The provider's id of the file, if it has one for each file of a message.
    pub part: Option<String>,
    /// The number or account id that it was sent to.
    pub account_id: String,
    /// The name of the file.
    pub file: String,
    /// How often its webhook was sent until it was accepted.
    pub attempts: u32,
}

/// The simulated provider.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) options: Options,
    pub(super) files: Arc<Files>,
    pub(super) address: SocketAddr,
    first_sent: u64,
    occurrences: Occurrences,
}

/// An answer of the media API.
pub(super) enum Answer {
    /// JSON with a status.
    Json(u16, Value),
    /// The bytes of the file with this id.
    File(String),
    /// A redirect.
    Redirect(u16, String),
}

/// A request to the media API.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    pub(super) api_key: Option<String>,
}

impl Asked {
    pub(super) fn read(request: &Request<Body>) -> Self {
        let header = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
        let query = request.uri().query().unwrap_or_default();
        Self {
            path: request.uri().path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            authorization: header(AUTHORIZATION.as_str()),
            api_key: header("d360-api-key"),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Played {
    pub(super) fn new(options: Options, files: Arc<Files>, address: SocketAddr) -> Self {
        let first_sent = options.first_sent.unwrap_or_else(unix_now);
        Self { options, files, address, first_sent, occurrences: Occurrences::default() }
    }

    /// Unix time at which the n-th message was sent. It depends on the options alone, so that a webhook that is sent again has
    /// the same content.
    pub(super) fn sent_at(&self, n: usize) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of messages is far below 2^52")]
        let after = if self.options.rate > 0.0 { n as f64 / self.options.rate } else { 0.0 };
        self.first_sent + Duration::from_secs_f64(after).as_secs()
    }

    /// [`Self::sent_at`] as RFC 3339.
    pub(super) fn sent_at_text(&self, n: usize) -> String {
        let seconds = i64::try_from(self.sent_at(n)).unwrap_or_default();
        Timestamp::from_second(seconds).unwrap_or_default().to_string()
    }

    /// The gateway's URL, as signatures cover it.
    pub(super) fn gateway_url(&self) -> &str {
        self.options.public_url.as_deref().or(self.options.webhook.as_deref()).unwrap_or_default()
    }

    /// The status of the answer while the provider refuses requests for this file: once that there were too many, twice that it
    /// is unavailable.
    pub(super) fn busy(&self, id: &str) -> Option<u16> {
        if self.occurs(Fault::Throttled, id, 1) {
            return Some(429);
        }
        self.occurs(Fault::Unavailable, id, 2).then_some(503)
    }

    /// The file of a message, by the number in its id.
    pub(super) fn sample(&self, id: &str) -> Option<&Sample> {
        let n: usize = id.parse().ok()?;
        (n < self.options.count.max(1)).then(|| self.files.of_message(n))
    }

    /// Whether this fault is enabled and occurs for this file now.
    pub(super) fn occurs(&self, fault: Fault, id: &str, times: u32) -> bool {
        self.options.faults.has(fault) && self.occurrences.occurs(fault, id, times)
    }
}

/// Unix time in seconds.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
