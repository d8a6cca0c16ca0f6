//! What answers of HubSpot mean.

use std::time::Duration;

use serde_json::Value;

use super::super::api::{json, judged, word};
use super::super::destination::{Class, Failed};
use super::policy_wait;
use crate::egress::Answer;
use crate::error::Code;

/// A locked record is locked for at least so long.
const LOCKED: Duration = Duration::from_secs(2);

/// An answer without success. Texts have the words of HubSpot's categories and codes, and names of properties: no values.
pub(super) fn failed(answer: &Answer, writes: bool) -> Failed {
    let body = json(answer);
    let category = word(body.get("category").unwrap_or(&Value::Null));
    let errors = body.get("errors").and_then(Value::as_array);
    let code = errors.into_iter().flatten().find_map(|error| error.get("code")).map(word).unwrap_or_default();
    let names = body.pointer("/errors/0/context/propertyName/0").map(word).unwrap_or_default();
    let words: Vec<&str> =
        [&category, &code, &names].into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let detail = words.join(" ");
    let mut failed = judged(answer, &detail, writes);
    match answer.status {
        404 => (failed.class, failed.code) = (Class::Park, Code::DeliverNoRecord),
        423 => failed.class = Class::Transient(Some(LOCKED)),
        // A migration of the account between data centres.
        477 => {
            let wait = answer.retry_after(std::time::SystemTime::now()).unwrap_or(Duration::from_secs(60));
            (failed.class, failed.code) = (Class::Pause(wait), Code::DeliverUnavailable);
        }
        429 => {
            let policy = word(body.get("policyName").unwrap_or(&Value::Null));
            failed.class = Class::Pause(policy_wait(&policy));
        }
        409 => (failed.class, failed.code) = (Class::Transient(None), Code::DeliverLocked),
        _ => {}
    }
    failed
}

/// The id in "Contact already exists. Existing ID: 123".
pub(super) fn existing_id(answer: &Answer) -> Option<String> {
    let body = json(answer);
    let (_, rest) = body.get("message")?.as_str()?.split_once("Existing ID: ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// How long to wait where more than this share of the quota of an interval is used. Answers of the search have no such headers.
pub(super) fn quota_wait(answer: &Answer, percent: u8) -> Option<Duration> {
    let number = |name: &str| answer.header(name)?.parse::<u64>().ok();
    let (most, left) = (number("x-hubspot-ratelimit-max")?, number("x-hubspot-ratelimit-remaining")?);
    let used = most.saturating_sub(left).saturating_mul(100);
    let interval = number("x-hubspot-ratelimit-interval-milliseconds").unwrap_or(10_000);
    (most > 0 && used > most.saturating_mul(percent.into())).then(|| Duration::from_millis(interval.min(60_000)))
}
