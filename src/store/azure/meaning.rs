//! From an answer to a [`StoreError`]: the only place that reads the status and error codes of the Blob service. A code decides
//! where there is one: 409 alone may be an object that exists, that is archived, or that is leased.

use super::{Answer, StoreError, header, xml};

/// Longest code that is passed on.
const MAX_CODE_CHARS: usize = 80;

/// The service's error code; empty where there is none.
fn code(answer: &Answer) -> String {
    let told = header(&answer.headers, "x-ms-error-code").map(str::to_owned);
    let code = told.or_else(|| xml::first(&String::from_utf8_lossy(&answer.body), "Code")).unwrap_or_default();
    code.chars().filter(char::is_ascii_alphanumeric).take(MAX_CODE_CHARS).collect()
}

/// Whether an upload was refused because its condition was not met.
pub(super) fn is_condition(answer: &Answer) -> bool {
    match (answer.status, code(answer).as_str()) {
        (409, "BlobAlreadyExists") | (412, "ConditionNotMet" | "TargetConditionNotMet" | "") => true,
        // Of an object that was replaced, and is there no more.
        (404, "BlobNotFound") => true,
        _ => false,
    }
}

/// What an answer means that is no success.
pub(super) fn of(action: &'static str, answer: &Answer) -> StoreError {
    let (status, code) = (answer.status, code(answer));
    let detail = if code.is_empty() { status.to_string() } else { format!("{code}, {status}") };
    match (status, code.as_str()) {
        (_, "ContainerNotFound" | "ContainerDisabled" | "ContainerBeingDeleted" | "AccountBeingCreated") => {
            StoreError::Missing { action }
        }
        (_, "BlobArchived" | "BlobBeingRehydrated") => StoreError::Archived { action },
        (_, "Md5Mismatch" | "InvalidMd5" | "Crc64Mismatch") => StoreError::Checksum { action, detail },
        (_, "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" | "LeaseIdMissing") | (401 | 403, _) => {
            StoreError::Forbidden { action, detail, source: None }
        }
        (404, _) => StoreError::NotFound { action },
        (416, _) => StoreError::Range,
        (_, "BlobUsesCustomerSpecifiedEncryption") => unusable(action, &detail),
        // Of an object that changed or was being changed meanwhile.
        (408 | 409 | 412 | 425 | 429, _) => StoreError::unavailable(action, detail),
        (501 | 300..=499, _) => unusable(action, &detail),
        _ => StoreError::unavailable(action, detail),
    }
}

fn unusable(action: &str, detail: &str) -> StoreError {
    let problem = "the store does not support this request, or a setting of [store] in it";
    StoreError::Config(format!("{action}: {problem} ({detail})"))
}
