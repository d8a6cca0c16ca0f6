//! Maps errors of the SDK to [`StoreError`]. Only this file reads S3's status and error codes.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::StoreError;
use crate::store::error::Cause;

/// Longest error code and detail that are copied from an answer.
const MAX_DETAIL_CHARS: usize = 120;

/// Maps an error of the SDK.
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
        Meaning::Archived => StoreError::Archived { action },
        Meaning::Checksum(detail) => StoreError::Checksum { action, detail },
        Meaning::Unavailable(detail) => StoreError::Unavailable { action, detail, source },
        Meaning::Config(detail) => StoreError::Config(format!("{action}: {detail}")),
    }
}

/// A [`StoreError`] without the action and the cause. A text is its detail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    Forbidden(String),
    Missing,
    NotFound,
    Archived,
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
            Meaning::Unavailable(format!("the answer is not valid ({})", response.raw().status()))
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

/// Maps the answer's status and S3's error code; the code is empty if the answer has no body.
fn by_code(status: u16, code: &str) -> Meaning {
    let detail = if code.is_empty() { status.to_string() } else { format!("{code}, {status}") };
    match (status, code) {
        (_, "NoSuchBucket") => Meaning::Missing,
        // The bytes were changed on their way, or the body arrived too slowly.
        (400, "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            Meaning::Checksum(detail)
        }
        (400, "RequestTimeout" | "IncompleteBody") => Meaning::Unavailable(detail),
        // Of what is in Glacier; a refusal has another code.
        (403, "InvalidObjectState") => Meaning::Archived,
        (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (401 | 403, _) => Meaning::Forbidden(detail),
        (404, _) => Meaning::NotFound,
        // Two requests at the same time, or an object that changed while it was read.
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

/// The innermost of a chain of causes. It says what happened, and names at most the address of the server.
pub(super) fn root_cause(err: &(dyn Error + 'static)) -> String {
    chain(err).last().map(ToString::to_string).unwrap_or_default()
}

/// One line of limited length without control characters, because the text comes from another machine.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL_CHARS).collect()
}

/// Whether the server does not implement the request, rather than refusing it.
pub(super) fn is_unknown(status: Option<u16>, code: Option<&str>) -> bool {
    matches!((status, code), (Some(501), _) | (_, Some("NotImplemented")) | (Some(405), Some("MethodNotAllowed")))
}

/// Whether a conditional PUT failed because the server does not support conditions: 501 or `NotImplemented`, or 400
/// with the header's name in the answer.
pub(super) fn has_no_conditions<E: ProvideErrorMetadata>(err: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::ServiceError(service) = err else { return false };
    let names_header = || {
        let body = String::from_utf8_lossy(service.raw().body().bytes().unwrap_or_default()).to_lowercase();
        let message = service.err().message().unwrap_or_default().to_lowercase();
        ["if-none-match", "if-match"].iter().any(|header| body.contains(header) || message.contains(header))
    };
    match (service.raw().status().as_u16(), service.err().code()) {
        (501, _) | (_, Some("NotImplemented")) => true,
        (400, _) => names_header(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;
    use crate::error::{Code, Fault};

    /// The error for an answer with this status and code.
    fn service_error(status: u16, code: &str) -> StoreError {
        let answer = HttpResponse::new(status.try_into().expect("a status"), SdkBody::empty());
        let error = GetObjectError::generic(ErrorMetadata::builder().code(code).build());
        classify("test", SdkError::service_error(error, answer))
    }

    #[test]
    fn answers_are_mapped_as_s3_documents_them() {
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
        let archived = fault(403, "InvalidObjectState");
        assert!(matches!(archived, Fault::Paused { code: Code::StoreArchived, .. }), "{archived}");
        assert!(matches!(service_error(404, "NoSuchKey"), StoreError::NotFound { .. }));
    }

    #[test]
    fn only_a_server_without_conditions_gets_an_unconditional_put() {
        let refused = |status: u16, code: &str, message: &str, body: &str| {
            let answer = HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body));
            let error = GetObjectError::generic(ErrorMetadata::builder().code(code).message(message).build());
            has_no_conditions(&SdkError::service_error(error, answer))
        };
        assert!(refused(501, "", "", ""));
        assert!(refused(501, "NotImplemented", "", "<Header>If-None-Match</Header>"));
        assert!(refused(400, "InvalidArgument", "If-Match is not supported", ""));
        assert!(refused(400, "InvalidArgument", "", "<ArgumentName>if-none-match</ArgumentName>"));
        assert!(!refused(400, "InvalidStorageClass", "", "<Error/>"));
        assert!(!refused(403, "AccessDenied", "If-Match", "") && !refused(301, "PermanentRedirect", "", ""));
        assert!(!refused(500, "InternalError", "", "") && !refused(412, "PreconditionFailed", "", "If-Match"));
        let lost: SdkError<GetObjectError, HttpResponse> = SdkError::timeout_error("late");
        assert!(!has_no_conditions(&lost));
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
