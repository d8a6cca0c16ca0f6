//! The SDK's errors, understood once.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::StoreError;

/// Longest error code and detail that are passed on.
const MAX_DETAIL_CHARS: usize = 120;

/// What an error of the SDK means for a store.
pub(super) fn classify<E>(action: &'static str, err: SdkError<E, HttpResponse>) -> StoreError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match &err {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            by_code(action, service.raw().status().as_u16(), &short(code))
        }
        SdkError::TimeoutError(_) => unavailable(action, "no answer in time"),
        SdkError::ResponseError(response) => {
            unavailable(action, &format!("an answer that cannot be read ({})", response.raw().status()))
        }
        SdkError::ConstructionFailure(_) => StoreError::Config(format!("{action}: {}", short(&root_cause(&err)))),
        SdkError::DispatchFailure(_) => match credentials(&err) {
            Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
                StoreError::Forbidden { action, detail: "no credentials are to be found".to_owned() }
            }
            Some(_) => unavailable(action, "the credentials cannot be loaded at the moment"),
            None => unavailable(action, &root_cause(&err)),
        },
        _ => unavailable(action, &root_cause(&err)),
    }
}

/// By the answer's status and S3's error code, which is empty where the answer has no body.
fn by_code(action: &'static str, status: u16, code: &str) -> StoreError {
    let detail = if code.is_empty() { status.to_string() } else { format!("{code}, {status}") };
    match (status, code) {
        (_, "NoSuchBucket") => StoreError::Missing { action },
        // Of bytes that were changed on their way, or of a body that came too slowly.
        (400, "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            StoreError::Checksum { action, detail }
        }
        (400, "RequestTimeout" | "IncompleteBody") => StoreError::Unavailable { action, detail },
        (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (401 | 403, _) => {
            StoreError::Forbidden { action, detail }
        }
        (404, _) => StoreError::NotFound { action },
        // Of two at the same time; of an object that changed while it was read.
        (408 | 409 | 412 | 425 | 429, _) => StoreError::Unavailable { action, detail },
        (501, _) | (300..=499, _) => StoreError::Config(format!("{action}: the store does not take this ({detail})")),
        _ => StoreError::Unavailable { action, detail },
    }
}

fn unavailable(action: &'static str, detail: &str) -> StoreError {
    StoreError::Unavailable { action, detail: short(detail) }
}

fn chain<'a>(err: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(err), |err| (*err).source())
}

fn credentials<'a>(err: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    chain(err).find_map(|err| err.downcast_ref())
}

/// The last of a chain of causes says what happened, and names nothing but the machine at the other end.
pub(super) fn root_cause(err: &(dyn Error + 'static)) -> String {
    chain(err).last().map(ToString::to_string).unwrap_or_default()
}

/// One line of limited length without control characters: it comes from another machine.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Fault};

    #[test]
    fn answers_mean_what_s3_documents() {
        let fault = |status, code| Fault::from(by_code("test", status, code));
        for (status, code) in [(403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (401, ""), (400, "ExpiredToken")]
        {
            assert!(matches!(fault(status, code), Fault::Broken { code: Code::StoreForbidden, .. }), "{status} {code}");
        }
        for (status, code) in
            [(500, "InternalError"), (503, "SlowDown"), (429, ""), (409, "OperationAborted"), (502, "")]
        {
            let fault = fault(status, code);
            assert!(matches!(fault, Fault::Transient { code: Code::StoreUnavailable, .. }), "{status} {code}: {fault}");
        }
        assert!(matches!(fault(404, "NoSuchBucket"), Fault::Broken { code: Code::StoreMissing, .. }));
        assert!(matches!(fault(400, "BadDigest"), Fault::Transient { code: Code::StoreChecksum, .. }));
        for (status, code) in [(400, "InvalidStorageClass"), (301, "PermanentRedirect"), (501, "NotImplemented")] {
            assert!(matches!(fault(status, code), Fault::Broken { code: Code::WorkerBroken, .. }), "{status} {code}");
        }
        assert!(matches!(by_code("test", 404, "NoSuchKey"), StoreError::NotFound { .. }));
    }

    #[test]
    fn what_another_machine_says_stays_one_short_line() {
        assert_eq!(short("a\r\nb"), "ab");
        assert_eq!(short(&"x".repeat(500)).len(), MAX_DETAIL_CHARS);
    }
}
