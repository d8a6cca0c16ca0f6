//! From an answer to a [`StoreError`]: the only place that reads the status and reasons of Google Cloud Storage.

use serde_json::Value;

use super::{Answer, StoreError};

/// Longest reason that is passed on.
const MAX_REASON_CHARS: usize = 80;

/// What an answer means that is no success.
pub(super) fn of(action: &'static str, answer: &Answer) -> StoreError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (reason, message) = (text("/error/errors/0/reason"), text("/error/message"));
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    let detail = if reason.is_empty() { answer.status.to_string() } else { format!("{reason}, {}", answer.status) };
    match answer.status {
        // Wrong bytes are "invalid" as much else is; the sentence tells.
        400 if message.contains("hash") || message.contains("CRC32C") => StoreError::Checksum { action, detail },
        // The service gives a reason for each refusal: this is an answer of something in between, or one that was damaged.
        400 if reason.is_empty() => StoreError::unavailable(action, detail),
        403 if reason.to_lowercase().contains("ratelimit") => StoreError::unavailable(action, detail),
        401 | 403 => StoreError::Forbidden { action, detail, source: None },
        404 => StoreError::NotFound { action },
        // Of an object that changed meanwhile.
        408 | 409 | 412 | 425 | 429 => StoreError::unavailable(action, detail),
        416 => StoreError::Range,
        501 | 300..=499 => StoreError::Config(format!(
            "{action}: the store does not support this request, or a setting of [store] in it ({detail})"
        )),
        _ => StoreError::unavailable(action, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Fault};
    use crate::store::rest::HeaderMap;

    fn fault(status: u16, reason: &str, message: &str) -> Fault {
        let errors = serde_json::json!([{ "domain": "global", "reason": reason, "message": message }]);
        let body = serde_json::json!({ "error": { "code": status, "message": message, "errors": errors } });
        of("test", &Answer { status, headers: HeaderMap::new(), body: body.to_string().into() }).into()
    }

    #[test]
    fn answers_mean_what_google_documents() {
        for (status, reason) in [(401, "authError"), (403, "forbidden"), (403, "retentionPolicyNotMet")] {
            assert!(matches!(fault(status, reason, ""), Fault::Broken { code: Code::StoreForbidden, .. }), "{reason}");
        }
        for (status, reason) in [
            (403, "userRateLimitExceeded"),
            (429, "rateLimitExceeded"),
            (503, "backendError"),
            (412, "conditionNotMet"),
            (400, ""),
        ] {
            let fault = fault(status, reason, "");
            assert!(matches!(fault, Fault::Transient { code: Code::StoreUnavailable, .. }), "{reason}: {fault}");
        }
        let wrong = fault(400, "invalid", "Provided MD5 hash \"a\" doesn't match calculated MD5 hash \"b\".");
        assert!(matches!(wrong, Fault::Transient { code: Code::StoreChecksum, .. }), "{wrong}");
        for (status, reason) in [(400, "invalid"), (400, "invalidStorageClass"), (501, "notImplemented"), (308, "")] {
            assert!(matches!(fault(status, reason, "x"), Fault::Broken { code: Code::WorkerBroken, .. }), "{reason}");
        }
        let shown = fault(403, "forbidden", "person@example.test does not have access").to_string();
        assert!(!shown.contains("person"), "{shown}");
    }
}
