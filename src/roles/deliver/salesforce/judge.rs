//! What answers of Salesforce mean.

use std::time::Duration;

use serde_json::Value;

use super::super::api::{json, judged, word};
use super::super::destination::{Class, Failed};
use crate::egress::Answer;
use crate::error::Code;

/// The quota is counted over the last 24 hours: it comes back slowly.
const QUOTA_PAUSE: Duration = Duration::from_secs(900);
/// Row locks last as long as somebody's transaction.
const LOCKED: Duration = Duration::from_secs(5);

/// What one of Salesforce's codes means.
fn class_of(code: &str) -> Option<(Class, Code)> {
    Some(match code {
        "INVALID_SESSION_ID" => (Class::Stop, Code::DeliverForbidden),
        "REQUEST_LIMIT_EXCEEDED" => (Class::Pause(QUOTA_PAUSE), Code::DeliverThrottled),
        "UNABLE_TO_LOCK_ROW" => (Class::Transient(Some(LOCKED)), Code::DeliverLocked),
        "QUERY_TIMEOUT" | "SERVER_UNAVAILABLE" => (Class::Transient(None), Code::DeliverUnavailable),
        "STRING_TOO_LONG"
        | "INVALID_FIELD"
        | "INVALID_FIELD_FOR_INSERT_UPDATE"
        | "INVALID_TYPE"
        | "INVALID_TYPE_ON_FIELD_IN_RECORD"
        | "REQUIRED_FIELD_MISSING"
        | "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        | "FIELD_INTEGRITY_EXCEPTION"
        | "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        | "JSON_PARSER_ERROR"
        | "MALFORMED_ID"
        | "MALFORMED_QUERY"
        | "MALFORMED_SEARCH"
        | "NUMBER_OUTSIDE_VALID_RANGE"
        | "NOT_FOUND" => (Class::Mapping, Code::DeliverMapping),
        // A trigger of the customer's org failed, or a rule of theirs wants no second one.
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
        | "DUPLICATES_DETECTED"
        | "DUPLICATE_VALUE"
        | "EXCEEDED_MAX_SIZE_REQUEST" => (Class::Park, Code::DeliverRefused),
        "STORAGE_LIMIT_EXCEEDED" => (Class::Stop, Code::DeliverRefused),
        "ENTITY_IS_DELETED" | "INVALID_CROSS_REFERENCE_KEY" => (Class::Park, Code::DeliverNoRecord),
        "API_DISABLED_FOR_ORG" | "API_CURRENTLY_DISABLED" => (Class::Stop, Code::DeliverForbidden),
        other if other.starts_with("INSUFFICIENT_ACCESS") => (Class::Stop, Code::DeliverForbidden),
        _ => return None,
    })
}

/// Salesforce's code of an error: errors are a list.
pub(super) fn code_of(body: &Value) -> String {
    word(body.pointer("/0/errorCode").unwrap_or(&Value::Null))
}

/// The code, the names of fields, and the length that a text may have: no value, which the message would hold.
fn detail(body: &Value) -> String {
    let fields = body.pointer("/0/fields").and_then(Value::as_array);
    let fields = fields.into_iter().flatten().map(word);
    let message = body.pointer("/0/message").and_then(Value::as_str).unwrap_or_default();
    let length =
        message.split_once("(max length=").and_then(|(_, rest)| rest.split_once(')')).map(|(digits, _)| digits);
    let length = length.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let length = length.map(|digits| format!("at most {digits} characters"));
    let words = [code_of(body)].into_iter().chain(fields).chain(length);
    words.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An answer without success.
pub(super) fn failed(answer: &Answer, writes: bool) -> Failed {
    let body = json(answer);
    let mut failed = judged(answer, &detail(&body), writes);
    match (class_of(&code_of(&body)), answer.status) {
        (Some((class, code)), _) => (failed.class, failed.code, failed.is_unknown) = (class, code, false),
        // An own status for an org that is being moved.
        (None, 420) => (failed.class, failed.code) = (Class::Transient(None), Code::DeliverUnavailable),
        (None, 300) => (failed.class, failed.code) = (Class::Park, Code::DeliverAmbiguous),
        (None, 404) => (failed.class, failed.code) = (Class::Park, Code::DeliverNoRecord),
        _ => {}
    }
    failed
}

/// A part of a composite answer without success.
pub(super) fn part_failed(status: u64, body: &Value) -> Failed {
    let text = format!("Salesforce answers a part of a request with status {status} ({})", detail(body));
    match class_of(&code_of(body)) {
        Some((class, code)) => Failed::new(class, code, text),
        None if status >= 500 => Failed::transient(Code::DeliverUnavailable, text),
        None => Failed::mapping(text),
    }
}

/// Whether a new token would not help: the session is of a kind that this API does not take.
pub(super) fn is_hopeless(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body);
    ["not valid for use with the REST API", "is not attached to Agent"].iter().any(|words| text.contains(words))
}

/// How long to wait where more than this share of the quota is used: `api-usage=903/15000`.
pub(super) fn quota_wait(answer: &Answer, percent: u8) -> Option<Duration> {
    let (_, rest) = answer.header("sforce-limit-info")?.split_once("api-usage=")?;
    let (used, rest) = rest.split_once('/')?;
    let most: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (used, most) = (used.parse::<u64>().ok()?, most.parse::<u64>().ok()?);
    (most > 0 && used.saturating_mul(100) > most.saturating_mul(percent.into())).then_some(QUOTA_PAUSE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_names_fields_and_lengths_and_no_values() {
        let body = json!([{
            "message": "Subject: data value too large: Ann's secret (max length=255)",
            "errorCode": "STRING_TOO_LONG",
            "fields": ["Subject"],
        }]);
        assert_eq!(detail(&body), "STRING_TOO_LONG Subject at most 255 characters");
        assert_eq!(part_failed(400, &body).class, Class::Mapping);
        assert_eq!(detail(&json!({ "error": "x" })), "");
        assert_eq!(detail(&json!([{ "errorCode": "Ann <ann@example.test>" }])), "", "no code looks so");
    }

    #[test]
    fn codes_have_classes() {
        for (code, class) in [
            ("UNABLE_TO_LOCK_ROW", Class::Transient(Some(LOCKED))),
            ("REQUEST_LIMIT_EXCEEDED", Class::Pause(QUOTA_PAUSE)),
            ("INVALID_FIELD", Class::Mapping),
            ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", Class::Park),
            ("STORAGE_LIMIT_EXCEEDED", Class::Stop),
            ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Class::Stop),
        ] {
            assert_eq!(part_failed(400, &json!([{ "errorCode": code }])).class, class, "{code}");
        }
        assert_eq!(part_failed(503, &json!(null)).class, Class::Transient(None));
    }
}
