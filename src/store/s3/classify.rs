//! From an error of the SDK to a [`StoreError`]: the only place that reads S3's status and error codes.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::StoreError;
use crate::store::error::Cause;

/// Longest error code and detail that are passed on.
const MAX_DETAIL_CHARS: usize = 120;

/// What an error of the SDK means for a store.
pub(super) fn classify<E>(action: &'static str, err: SdkError<E, HttpResponse>) -> StoreError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let meaning = meaning(&err);
    let source: Option<Cause> = Some(Box::new(err));
    match meaning {
        Meaning::Forbidden(detail) => StoreError::Forbidden { action, detail, source },
        Meaning::Missing => StoreError::Missing { action },
        Meaning::NotFound => StoreError::NotFound { action },
        Meaning::Checksum(detail) => StoreError::Checksum { action, detail },
        Meaning::Unavailable(detail) => StoreError::Unavailable { action, detail, source },
        Meaning::Config(detail) => StoreError::Config(format!("{action}: {detail}")),
    }
}

/// [`StoreError`] without the action and the cause. Where there is a text it is the detail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Forbidden(String),
    Missing,
    NotFound,
    Checksum(String),
    Unavailable(String),
    Config(String),
}

fn meaning<E>(err: &SdkError<E, HttpResponse>) -> Meaning
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match err {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            by_code(service.raw().status().as_u16(), &short(code))
        }
        SdkError::TimeoutError(_) => Meaning::Unavailable("no answer in time".to_owned()),
        SdkError::ResponseError(response) => {
            Meaning::Unavailable(format!("an answer that cannot be read ({})", response.raw().status()))
        }
        SdkError::ConstructionFailure(_) => Meaning::Config(short(&root_cause(err))),
        SdkError::DispatchFailure(_) => match credentials(err) {
            Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => {
                Meaning::Forbidden("no credentials were found".to_owned())
            }
            Some(_) => Meaning::Unavailable("the credentials cannot be loaded at the moment".to_owned()),
            None => Meaning::Unavailable(short(&root_cause(err))),
        },
        _ => Meaning::Unavailable(short(&root_cause(err))),
    }
}

/// By the answer's status and S3's error code, which is empty where the answer has no body.
fn by_code(status: u16, code: &str) -> Meaning {
    let detail = if code.is_empty() { status.to_string() } else { format!("{code}, {status}") };
    match (status, code) {
        (_, "NoSuchBucket") => Meaning::Missing,
        // Of bytes that were changed on their way, or of a body that came too slowly.
        (400, "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            Meaning::Checksum(detail)
        }
        (400, "RequestTimeout" | "IncompleteBody") => Meaning::Unavailable(detail),
        (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (401 | 403, _) => Meaning::Forbidden(detail),
        (404, _) => Meaning::NotFound,
        // Of two at the same time; of an object that changed while it was read.
        (408 | 409 | 412 | 425 | 429, _) => Meaning::Unavailable(detail),
        (501, _) | (300..=499, _) => Meaning::Config(format!(
            "the store does not support this request, or a setting of [store] in it ({detail})"
        )),
        _ => Meaning::Unavailable(detail),
    }
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
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;
    use crate::error::{Code, Fault};

    /// What a server's answer with this status and code becomes.
    fn service_error(status: u16, code: &str) -> StoreError {
        let answer = HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty());
        let error = GetObjectError::generic(ErrorMetadata::builder().code(code).build());
        classify("test", SdkError::service_error(error, answer))
    }

    #[test]
    fn answers_mean_what_s3_documents() {
        let fault = |status, code| Fault::from(service_error(status, code));
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
        assert!(matches!(service_error(404, "NoSuchKey"), StoreError::NotFound { .. }));
    }

    #[test]
    fn the_sdks_own_error_is_the_cause() {
        let error = service_error(403, "AccessDenied");
        assert_eq!(error.to_string(), "test: the store refuses access (AccessDenied, 403)");
        let causes: Vec<String> = chain(&error).skip(1).map(ToString::to_string).collect();
        assert!(causes.iter().any(|cause| cause.contains("AccessDenied")), "{causes:?}");
    }

    #[test]
    fn the_text_of_a_server_becomes_one_short_line() {
        assert_eq!(short("a\r\nb"), "ab");
        assert_eq!(short(&"x".repeat(500)).len(), MAX_DETAIL_CHARS);
    }
}
