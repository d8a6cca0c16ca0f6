//! Signed webhooks: Standard Webhooks 1.0.0 around structured CloudEvents, with links and never bytes.

pub mod sign;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::api::{Api, judged};
use super::call::{Body, Call};
use super::destination::{Applied, Class, Destination, Failed, Ids, Residue, Step, Work};
use super::ledger::{MediaKey, Row};
use crate::config::{self, Handshake};
use crate::egress::{Answer, Method};
use crate::error::Code;

/// The longest `Retry-After` that is followed: the last step of the ladder.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
/// What Make answers with status 400 while it takes no more (unverified).
const QUEUE_IS_FULL: &[u8] = b"Queue is full";

/// An endpoint that takes webhooks.
#[derive(Debug)]
pub struct Webhook {
    config: config::Destination,
    api: Api,
    /// The endpoint has agreed, or need not be asked.
    is_agreed: AtomicBool,
}

impl Webhook {
    /// The endpoint of this table.
    ///
    /// # Errors
    /// What is wrong with a key of the table, with its name.
    pub fn new(config: config::Destination, api: Api) -> Result<Self, String> {
        for (name, secret) in [("signing_key", &config.signing_key), ("signing_key_next", &config.signing_key_next)] {
            let may_be_empty = name == "signing_key_next";
            if !(may_be_empty && secret.is_empty()) {
                sign::key(secret).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        let is_agreed = AtomicBool::new(config.handshake == Handshake::Off);
        Ok(Self { config, api, is_agreed })
    }

    fn request(&self, work: &Work<'_>, timestamp: i64) -> Result<Call, Failed> {
        let body = self.body(work);
        if body.len() > self.config.body_bytes {
            let text =
                format!("the event has {} bytes, more than the {} of body_bytes", body.len(), self.config.body_bytes);
            return Err(Failed::new(Class::Park, Code::DeliverLimitBytes, text));
        }
        // The newer key first: receivers that look at one signature look at the first.
        let secrets = [&self.config.signing_key_next, &self.config.signing_key];
        let keys: Vec<_> = secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .filter_map(|secret| sign::key(secret).ok())
            .collect();
        if keys.is_empty() {
            let text = "there is no signing key that can be used: webhooks are not sent unsigned";
            return Err(Failed::new(Class::Stop, Code::DeliverDenied, text));
        }
        let id = webhook_id(&work.event.id);
        let signature = sign::signatures(&keys, &id, timestamp, body.as_bytes());
        let mut call = Call {
            body: Body::Text(self.config.content_type.clone(), body),
            ..Call::new(Method::Post, &self.config.url)
        };
        for (name, value) in &self.config.headers {
            call = call.header(name, value);
        }
        if self.config.handshake != Handshake::Off {
            call = call.header("webhook-request-origin", origin(&self.config));
        }
        Ok(call
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature))
    }

    /// The event in structured mode. Links are made at each attempt, so that they are as fresh as it.
    fn body(&self, work: &Work<'_>) -> String {
        let mut event: Value = serde_json::from_slice(&work.event.to_structured()).unwrap_or_default();
        if self.config.links
            && !work.links.is_empty()
            && let Some(data) = event.get_mut("data").and_then(Value::as_object_mut)
        {
            let links: Map<String, Value> =
                work.links.iter().map(|(role, url)| (role.clone(), url.as_str().into())).collect();
            data.insert("links".to_owned(), links.into());
        }
        event.to_string()
    }

    async fn post(&self, work: &Work<'_>) -> Result<Applied, Failed> {
        self.agree().await?;
        let call = self.request(work, Timestamp::now().as_second())?;
        let answer = self.api.send(&call, None).await?;
        if answer.is_success() {
            return Ok(Applied::Done(String::new()));
        }
        Err(refusal(&answer))
    }

    /// Asks the endpoint whether it wants webhooks (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md>,
    /// section 4).
    async fn agree(&self) -> Result<(), Failed> {
        if self.is_agreed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let own = origin(&self.config);
        let ask = Call::new(Method::Options, &self.config.url).header("webhook-request-origin", own.clone());
        let said = self.api.send(&ask, None).await;
        let agrees = |answer: &Answer| {
            answer
                .header("webhook-allowed-origin")
                .is_some_and(|origin| origin == "*" || origin.eq_ignore_ascii_case(&own))
        };
        match said {
            Ok(answer) if agrees(&answer) => self.is_agreed.store(true, Ordering::Relaxed),
            // The status proves nothing, and most receivers know no such question.
            Ok(_) | Err(_) if self.config.handshake == Handshake::Try => self.is_agreed.store(true, Ordering::Relaxed),
            Ok(_) => {
                let text =
                    "the endpoint has not agreed to webhooks (no WebHook-Allowed-Origin), and handshake is required";
                return Err(Failed::transient(Code::DeliverRefused, text));
            }
            Err(failed) => return Err(failed),
        }
        Ok(())
    }
}

impl Destination for Webhook {
    fn keeps(&self) -> bool {
        false
    }

    fn plan(&self, _work: &Work<'_>) -> Result<Vec<Step>, Failed> {
        // The receiver knows a repetition by webhook-id.
        Ok(vec![Step::harmless("event", "post")])
    }

    fn requests(&self, _step: &Step, work: &Work<'_>, _ids: &Ids) -> Result<Vec<Call>, Failed> {
        Ok(vec![self.request(work, Timestamp::now().as_second())?])
    }

    fn apply<'a>(
        &'a self,
        _step: &'a Step,
        work: &'a Work<'a>,
        _ids: &'a Ids,
    ) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(self.post(work))
    }

    fn erase<'a>(&'a self, _media: MediaKey<'a>, _rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>> {
        // The receiver is told by the erased event itself.
        Box::pin(async { Ok(Vec::new()) })
    }

    fn setup(&self) -> String {
        "The receiver needs the signing key, and a library of Standard Webhooks that verifies with it.\n".to_owned()
    }
}

/// The event's id. The signed text is divided by dots, so that an id with one is replaced by a digest of it.
fn webhook_id(event_id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !event_id.is_empty() && event_id.len() <= 200 && event_id.chars().all(is_plain) {
        return event_id.to_owned();
    }
    format!("msg_{}", &hex::encode(Sha256::digest(event_id))[..32])
}

/// The name that this program has for receivers: that of its user agent.
fn origin(config: &config::Destination) -> String {
    if config.account.is_empty() { "mediamill".to_owned() } else { config.account.clone() }
}

/// What a receiver's answer without success means. Everything but a few statuses is tried again along the ladder, since receivers
/// are mended.
fn refusal(answer: &Answer) -> Failed {
    let wait = answer.retry_after(SystemTime::now()).map(|wait| wait.min(MAX_WAIT));
    let text = format!("{} answers with status {}", answer.host(), answer.status);
    if answer.header("webhook-delivery").is_some_and(|said| said == "abort-message") {
        return Failed::new(Class::Abort, Code::DeliverAborted, format!("{text} and webhook-delivery: abort-message"));
    }
    match answer.status {
        410 | 429 | 500.. => match judged(answer, "", true) {
            // The event waits in a delay queue, and others go on: receivers are slowed by event, not by account.
            Failed { class: Class::Pause(_), code, message, .. } => Failed::new(Class::Transient(wait), code, message),
            failed => failed,
        },
        400 if answer.body.starts_with(QUEUE_IS_FULL) => {
            Failed::new(Class::Transient(wait), Code::DeliverThrottled, text)
        }
        300..400 => Failed::transient(Code::DeliverRefused, format!("{text}: webhooks follow no redirects")),
        _ => Failed::new(Class::Transient(wait), Code::DeliverRefused, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_dot_becomes_one_without() {
        assert_eq!(webhook_id("6c108181-d7d2-592e-afee-894179822c5a"), "6c108181-d7d2-592e-afee-894179822c5a");
        let other = webhook_id("wamid.HBg");
        assert!(other.starts_with("msg_") && !other.contains('.') && other == webhook_id("wamid.HBg"));
    }
}
