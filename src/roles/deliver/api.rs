//! Sends the requests of a destination.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::call::{Body, Call, FileRef, Part, PartContent};
use super::destination::{Class, Failed};
use super::gate::Gate;
use super::ledger::Ledger;
use super::multipart::{self, Filled};
use crate::config;
use crate::egress::{Answer, CallOutcome, Credential, Egress, EgressError, Options, Request, Rules};
use crate::error::Code;
use crate::store::{Store, StoreError};

/// Most bytes of an answer that are read.
const ANSWER_BYTES: u64 = 4 << 20;
/// The wait where a destination asks for fewer requests and does not say for how long.
const THROTTLED: Duration = Duration::from_secs(10);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The way to one destination.
#[derive(Debug, Clone)]
pub struct Api {
    egress: Egress,
    timeout: Duration,
    gate: Arc<Gate>,
    store: Option<Store>,
    ledger: Option<Ledger>,
    name: String,
}

impl Api {
    /// The way to the destination of this table, which has this name. Without a store, files cannot be sent; without a ledger,
    /// tokens live as long as the process.
    #[must_use]
    pub fn new(
        name: &str,
        config: &config::Destination,
        gate: Arc<Gate>,
        (store, ledger): (Option<Store>, Option<Ledger>),
    ) -> Self {
        let mut rules = Rules::strict();
        if config.allow_private {
            let host = |text: &String| text.trim_start_matches("https://").trim_start_matches("http://").to_owned();
            let mut hosts: Vec<String> = config.hosts.iter().map(host).collect();
            let url = url::Url::parse(&config.url).ok();
            hosts.extend(url.as_ref().and_then(|url| url.host_str()).map(str::to_owned));
            rules = rules.with_plain(true).with_hosts(&hosts, "deliver.<name>.allow_private");
        }
        let timeout = Duration::from_secs(config.timeout_s);
        let options = Options { rules, connect_timeout: CONNECT, read_timeout: timeout, user_agent: String::new() };
        Self { egress: Egress::new(options), timeout, gate, store, ledger, name: name.to_owned() }
    }

    /// The state of the destination, for pauses.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The ledger, for tokens that must outlive the process.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a request and reads the whole answer, whatever its status is.
    ///
    /// # Errors
    /// Where there is no answer. It is not known then whether the request arrived, unless its address was refused here.
    pub async fn send(&self, call: &Call, credential: Option<Credential>) -> Result<Answer, Failed> {
        let mut request = Request::new(call.method, &call.url).timeout(self.timeout);
        for (name, value) in &call.headers {
            request = request.header(name, value).map_err(|error| never_sent(&error))?;
        }
        if let Some((content_type, body)) = self.body(&call.body).await? {
            request = request.header("content-type", &content_type).map_err(|error| never_sent(&error))?.body(body);
        }
        if let Some(credential) = credential {
            request = request.credential(credential);
        }
        let permit = self.gate.breaker().admit().map_err(|(_why, wait)| {
            Failed::new(Class::Pause(wait), Code::DeliverThrottled, "requests to the destination are paused")
        })?;
        let answer = self.egress.call(&request, ANSWER_BYTES).await;
        permit.ends(match &answer {
            Ok(answer) if matches!(answer.status, 500..) => CallOutcome::Error,
            Ok(_) => CallOutcome::Success,
            Err(EgressError::Unavailable(_) | EgressError::Timeout(_)) => CallOutcome::Error,
            Err(_) => CallOutcome::Unknown,
        });
        answer.map_err(|error| no_answer(&error))
    }

    async fn body(&self, body: &Body) -> Result<Option<(String, Bytes)>, Failed> {
        Ok(match body {
            Body::None => None,
            Body::Json(value) => Some(("application/json".to_owned(), value.to_string().into())),
            Body::Form(pairs) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(pairs);
                Some(("application/x-www-form-urlencoded".to_owned(), form.finish().into()))
            }
            Body::Multipart(parts) => Some(self.form(parts).await?),
            Body::File(file) => Some((file.mime_type.clone(), self.file(file).await?)),
            Body::Text(content_type, text) => Some((content_type.clone(), text.clone().into())),
        })
    }

    async fn form(&self, parts: &[Part]) -> Result<(String, Bytes), Failed> {
        let mut filled = Vec::with_capacity(parts.len());
        for part in parts {
            let (file_name, content_type, bytes) = match &part.content {
                PartContent::Text(text) => (None, None, text.clone().into()),
                PartContent::Typed(content_type, text) => (None, Some(content_type.as_str()), text.clone().into()),
                PartContent::File(file) => {
                    (Some(file.file_name.as_str()), Some(file.mime_type.as_str()), self.file(file).await?)
                }
            };
            filled.push(Filled { name: &part.name, file_name, content_type, bytes });
        }
        Ok(multipart::write(&filled))
    }

    /// The bytes of a file of the store.
    async fn file(&self, file: &FileRef) -> Result<Bytes, Failed> {
        let unset = || Failed::new(Class::Stop, Code::DeliverNoFile, "there is no object store that has the file");
        let store = self.store.as_ref().ok_or_else(unset)?;
        match store.get(&file.key).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => {
                let text = "the file that is to be attached is no longer in the object store";
                Err(Failed::new(Class::Park, Code::DeliverNoFile, text))
            }
            Err(StoreError::TooLarge { .. }) => {
                let text =
                    "the file that is to be attached is too large to be read at once: lower max_bytes of the map";
                Err(Failed::new(Class::Park, Code::DeliverNoFile, text))
            }
            Err(error) => Err(Failed::transient(Code::StoreUnavailable, error.to_string())),
        }
    }
}

/// What an answer without success means where the destination has nothing more to say about it. `may_have_written` is whether a
/// server that fails may have done what it was asked for.
#[must_use]
pub fn judged(answer: &Answer, detail: &str, may_have_written: bool) -> Failed {
    let wait = answer.retry_after(SystemTime::now());
    let said = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
    let text = format!("{} answers with status {}{said}", answer.host(), answer.status);
    match answer.status {
        401 | 403 => Failed::new(Class::Stop, Code::DeliverForbidden, text),
        410 => Failed::new(Class::Stop, Code::DeliverGone, text),
        408 | 425 => Failed::new(Class::Transient(wait), Code::DeliverUnavailable, text),
        409 | 423 => Failed::new(Class::Transient(wait), Code::DeliverLocked, text),
        429 => Failed::new(Class::Pause(wait.unwrap_or(THROTTLED)), Code::DeliverThrottled, text),
        500.. => {
            let failed = Failed::new(Class::Transient(wait), Code::DeliverUnavailable, text);
            if may_have_written { failed.unknown() } else { failed }
        }
        _ => Failed::new(Class::Mapping, Code::DeliverMapping, text),
    }
}

/// The JSON of an answer; null where it has none.
#[must_use]
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// A word of a vendor's own that may stand in messages: letters, digits, and what codes have between them.
#[must_use]
pub fn word(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let is_code = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if text.len() <= 80 && text.chars().all(is_code) { text.to_owned() } else { String::new() }
}

fn never_sent(error: &EgressError) -> Failed {
    Failed::new(Class::Stop, Code::DeliverDenied, error.to_string())
}

fn no_answer(error: &EgressError) -> Failed {
    match error {
        EgressError::Config(_) | EgressError::Denied(_) => never_sent(error),
        EgressError::Unavailable(_)
        | EgressError::Timeout(_)
        | EgressError::Invalid(_)
        | EgressError::TooLarge { .. }
        | EgressError::Stopped(_) => Failed::transient(Code::DeliverUnavailable, error.to_string()).unknown(),
    }
}
