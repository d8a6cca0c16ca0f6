//! What answers of Zoho mean. Success is said for each record: a status of 2xx may hold errors only.

use std::time::Duration;

use serde_json::Value;

use super::super::api::{json, judged, word};
use super::super::destination::{Class, Failed};
use crate::egress::Answer;
use crate::error::Code;

/// The quota is counted over the last 24 hours: it comes back slowly.
const QUOTA_PAUSE: Duration = Duration::from_secs(900);
/// Too many at the same time, or none left: Zoho does not say which, and not for how long.
const TOO_MANY: Duration = Duration::from_secs(30);
/// A person's process holds the record: for hours.
const HELD: Duration = Duration::from_secs(1800);

fn class_of(code: &str) -> Option<(Class, Code)> {
    Some(match code {
        "INVALID_TOKEN"
        | "AUTHENTICATION_FAILURE"
        | "OAUTH_SCOPE_MISMATCH"
        | "NO_PERMISSION"
        | "AUTHORIZATION_FAILED" => (Class::Stop, Code::DeliverForbidden),
        "TOO_MANY_REQUESTS" => (Class::Pause(TOO_MANY), Code::DeliverThrottled),
        "RECORD_LOCKED" | "RECORD_IN_BLUEPRINT" | "NOT_APPROVED" => (Class::Transient(Some(HELD)), Code::DeliverLocked),
        "INTERNAL_ERROR" | "INTERNAL_SERVER_ERROR" | "REQUEST_TIMEOUT" => {
            (Class::Transient(None), Code::DeliverUnavailable)
        }
        "DUPLICATE_DATA" | "VIRUS_DETECTED" | "FILE_SIZE_MORE_THAN_ALLOWED_SIZE" => (Class::Park, Code::DeliverRefused),
        "STORAGE_SPACE_EXCEEDED" => (Class::Stop, Code::DeliverRefused),
        "MANDATORY_NOT_FOUND"
        | "INVALID_DATA"
        | "DEPENDENT_FIELD_MISSING"
        | "PATTERN_NOT_MATCHED"
        | "EXPECTED_FIELD_MISSING"
        | "REQUIRED_PARAM_MISSING"
        | "INVALID_MODULE"
        | "INVALID_QUERY" => (Class::Mapping, Code::DeliverMapping),
        _ => return None,
    })
}

/// The part that says what happened: the first record, or the body itself.
fn said(body: &Value) -> &Value {
    body.pointer("/data/0").unwrap_or(body)
}

/// Zoho's code and the name of the field; no value.
fn detail(body: &Value) -> String {
    let said = said(body);
    let at = |pointer: &str| word(said.pointer(pointer).unwrap_or(&Value::Null));
    let length = said.pointer("/details/maximum_length").and_then(Value::as_u64);
    let length = length.map(|most| format!("at most {most} characters"));
    let words = [at("/code"), at("/details/api_name"), at("/details/expected_data_type")].into_iter().chain(length);
    words.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The body of an answer whose every record is a success; empty where nothing was found (204).
pub(super) fn done(answer: &Answer, writes: bool) -> Result<Value, Failed> {
    let body = json(answer);
    let records = body.get("data").and_then(Value::as_array);
    let refused =
        records.into_iter().flatten().any(|record| record.get("status").and_then(Value::as_str) == Some("error"));
    let alone = body.get("status").and_then(Value::as_str) == Some("error");
    if answer.is_success() && !refused && !alone { Ok(body) } else { Err(failed(answer, writes)) }
}

/// An answer without success.
pub(super) fn failed(answer: &Answer, writes: bool) -> Failed {
    let body = json(answer);
    let mut failed = judged(answer, &detail(&body), writes);
    match (class_of(&word(said(&body).get("code").unwrap_or(&Value::Null))), answer.status) {
        // A record that is named by its id and not there any more.
        (_, 400 | 404) if is_gone(&body) => {
            (failed.class, failed.code, failed.is_unknown) = (Class::Park, Code::DeliverNoRecord, false);
        }
        (Some((class, code)), _) => (failed.class, failed.code, failed.is_unknown) = (class, code, false),
        (None, 404) => (failed.class, failed.code) = (Class::Park, Code::DeliverNoRecord),
        _ => {}
    }
    failed
}

/// Whether the id in the path, or of a parent, is no record.
fn is_gone(body: &Value) -> bool {
    let said = said(body);
    let details = said.get("details");
    let has = |name: &str| details.is_some_and(|details| details.get(name).is_some());
    let is_invalid = said.get("code").and_then(Value::as_str) == Some("INVALID_DATA");
    is_invalid
        && (has("resource_path_index") || has("id") || details.and_then(|it| it.get("api_name")) == Some(&"id".into()))
}

/// The id of what was made.
pub(super) fn id_of(body: &Value) -> Result<String, Failed> {
    let id = body.pointer("/data/0/details/id");
    let id = id.and_then(|id| id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string())));
    let is_id = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    id.filter(is_id).ok_or_else(|| {
        Failed::transient(Code::DeliverUnavailable, "Zoho answers without the id of what it made").unknown()
    })
}

/// How long to wait where few credits are left. They are told from the half on only, without how many there are: the share is of
/// the smallest paid edition's 50,000.
pub(super) fn quota_wait(answer: &Answer, percent: u8) -> Option<Duration> {
    let left: u64 = answer.header("x-api-credits-remaining")?.trim().parse().ok()?;
    let least = 50_000 * u64::from(100_u8.saturating_sub(percent)) / 100;
    (left < least).then_some(QUOTA_PAUSE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_that_is_refused_is_named_without_its_value() {
        let body = json!({ "data": [{
            "code": "INVALID_DATA", "status": "error", "message": "invalid data",
            "details": { "api_name": "Note_Content", "maximum_length": 32000 },
        }] });
        assert_eq!(detail(&body), "INVALID_DATA Note_Content at most 32000 characters");
        assert!(!is_gone(&body));
        assert!(is_gone(&json!({ "code": "INVALID_DATA", "details": { "resource_path_index": 1 } })));
        assert_eq!(id_of(&json!({ "data": [{ "details": { "id": "7" } }] })), Ok("7".to_owned()));
        assert!(id_of(&json!({ "data": [{ "details": { "id": "7/../8" } }] })).is_err());
    }
}
