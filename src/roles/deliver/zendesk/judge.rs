//! What answers of Zendesk mean.

use std::time::Duration;

use serde_json::Value;

use super::super::api::{json, judged, word};
use super::super::destination::{Class, Failed};
use crate::egress::Answer;
use crate::error::Code;

/// Zendesk's word for an error: a text, or an object with a title.
pub(super) fn error_of(body: &Value) -> String {
    let error = body.get("error").unwrap_or(&Value::Null);
    word(if error.is_object() { error.get("title").unwrap_or(&Value::Null) } else { error })
}

/// Names of the fields that were refused: no values.
fn fields(body: &Value) -> String {
    let details = body.get("details").and_then(Value::as_object);
    let names = details.into_iter().flatten().map(|(name, _)| word(&Value::from(name.as_str())));
    names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An answer without success.
pub(super) fn failed(answer: &Answer, writes: bool) -> Failed {
    let body = json(answer);
    let words = [error_of(&body), fields(&body)];
    let detail = words.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut failed = judged(answer, &detail, writes);
    match answer.status {
        404 => (failed.class, failed.code) = (Class::Park, Code::DeliverNoRecord),
        413 => (failed.class, failed.code) = (Class::Park, Code::DeliverRefused),
        _ => {}
    }
    failed
}

/// Whether a ticket is closed: then nothing in it can be changed any more.
pub(super) fn is_closed(answer: &Answer) -> bool {
    answer.status == 422 && json(answer).pointer("/details/status").is_some()
}

/// How long to wait where more than this share of a minute's requests is used.
pub(super) fn quota_wait(answer: &Answer, percent: u8) -> Option<Duration> {
    let number = |name: &str| answer.header(name)?.trim().parse::<u64>().ok();
    let (most, left) = (number("ratelimit-limit")?, number("ratelimit-remaining")?);
    let used = most.saturating_sub(left).saturating_mul(100);
    let reset = number("ratelimit-reset").unwrap_or(60).clamp(1, 60);
    (most > 0 && used > most.saturating_mul(percent.into())).then(|| Duration::from_secs(reset))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_texts_or_objects_and_details_are_named_without_values() {
        assert_eq!(error_of(&json!({ "error": "RecordInvalid" })), "RecordInvalid");
        assert_eq!(error_of(&json!({ "error": { "title": "Forbidden", "message": "Ann may not" } })), "Forbidden");
        assert_eq!(error_of(&json!({ "error": "Couldn't authenticate you" })), "", "no code");
        let body = json!({ "details": { "status": [{ "description": "x" }], "a b": [] } });
        assert_eq!(fields(&body), "status");
    }
}
