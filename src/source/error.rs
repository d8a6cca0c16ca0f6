//! Errors of fetching, and what each means for a job.

use std::io;
use std::time::Duration;

use crate::egress::EgressError;
use crate::error::{Code, Fault};
use crate::store::StoreError;

/// An error of fetching. The texts name at most the host, never a URL or a path, because both may contain secrets or
/// names.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The `[source]` configuration is invalid.
    #[error("{0}")]
    Config(String),
    /// The origin answers that the file does not exist.
    #[error("{origin} has no such file")]
    NotFound {
        /// The origin, without secrets.
        origin: String,
    },
    /// The bucket that the event names does not exist.
    #[error("the bucket that the event names does not exist")]
    NoBucket {
        /// Whether only the event chose the bucket, so that no operator can correct it.
        chosen_by_event: bool,
    },
    /// The origin refuses the credentials that came with the event.
    ///
    /// Final: an expired signature in a URL does not become valid again, and the worker's own credentials were not
    /// refused.
    #[error("{origin} refuses access ({detail})")]
    Forbidden {
        /// The origin, without secrets.
        origin: String,
        /// The status code or error code of its answer.
        detail: String,
    },
    /// The origin refuses the worker's own credentials; an operator can correct that.
    #[error("{origin} refuses the worker's credentials ({detail})")]
    Credentials {
        /// The origin, without secrets.
        origin: String,
        /// The status code or error code of its answer.
        detail: String,
    },
    /// The configuration does not allow this origin.
    #[error("{0}")]
    Denied(String),
    /// The origin's answer is not a usable file.
    #[error("{0}")]
    Invalid(String),
    /// The origin could not be reached, or answered with a temporary error.
    #[error("{detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// The time after which the origin wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Requests of a channel account are stopped for a while. No request was made, and nothing is wrong with the file.
    #[error("requests of the channel account {account} are stopped for {wait:.0?}: {why}")]
    Paused {
        /// The account's name in the configuration.
        account: String,
        /// The reason, as the end of a sentence behind a colon.
        why: &'static str,
        /// How long they are stopped.
        wait: Duration,
    },
    /// The origin did not deliver in time.
    #[error("{0}")]
    Timeout(String),
    /// The file is empty.
    #[error("the file has no bytes")]
    Empty,
    /// The file is too large.
    #[error("the file has more than {limit_bytes} bytes")]
    TooLarge {
        /// The largest size that is allowed, in bytes.
        limit_bytes: u64,
    },
    /// The size differs from the declared one.
    #[error("the event declares {declared_bytes} bytes, but {actual_bytes} arrived")]
    SizeMismatch {
        /// The size that the event declares.
        declared_bytes: u64,
        /// The size that arrived.
        actual_bytes: u64,
    },
    /// The bytes have another hash than the declared one.
    #[error("the file's SHA-256 differs from the declared one")]
    HashMismatch {
        /// The hash of the bytes that arrived.
        actual: [u8; 32],
    },
    /// The declared hash is not a SHA-256.
    #[error("the declared sha256 is neither 64 hex digits nor 32 bytes in base64")]
    DeclaredHash,
    /// The scratch file cannot be written.
    #[error("cannot write the scratch file: {0}")]
    Scratch(#[source] io::Error),
    /// An error of the object store that the origin is in.
    #[error(transparent)]
    Store(StoreError),
}

impl From<EgressError> for SourceError {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::Config(text) => Self::Config(text),
            EgressError::Invalid(text) => Self::Invalid(text),
            EgressError::Denied(text) => Self::Denied(text),
            EgressError::Unavailable(detail) => Self::Unavailable { detail, retry_after: None },
            EgressError::Timeout(text) => Self::Timeout(text),
            EgressError::TooLarge { limit_bytes, .. } => Self::TooLarge { limit_bytes },
            // The error that the `peers` of this fetch returned.
            EgressError::Stopped(error) => match error.downcast() {
                Ok(error) => *error,
                Err(other) => Self::Unavailable { detail: other.to_string(), retry_after: None },
            },
        }
    }
}

impl From<SourceError> for Fault {
    fn from(err: SourceError) -> Self {
        let message = err.to_string();
        match err {
            SourceError::Config(_) => Self::broken(Code::WorkerBroken, message),
            SourceError::NotFound { .. } => Self::rejected(Code::SourceNotFound, message),
            SourceError::NoBucket { chosen_by_event: true } => Self::rejected(Code::SourceNoBucket, message),
            SourceError::NoBucket { chosen_by_event: false } => Self::broken(Code::SourceNoBucket, message),
            SourceError::Forbidden { .. } => Self::rejected(Code::SourceForbidden, message),
            SourceError::Credentials { .. } => Self::broken(Code::SourceForbidden, message),
            SourceError::Denied(_) => Self::rejected(Code::SourceDenied, message),
            SourceError::Invalid(_) => Self::rejected(Code::SourceInvalid, message),
            SourceError::Unavailable { retry_after, .. } => {
                Self::Transient { code: Code::SourceUnavailable, message, retry_after }
            }
            SourceError::Paused { wait, .. } => Self::Paused { code: Code::SourcePaused, message, wait },
            SourceError::Timeout(_) => Self::transient(Code::SourceTimeout, message),
            SourceError::Empty => Self::rejected(Code::MediaEmpty, message),
            SourceError::TooLarge { .. } => Self::rejected(Code::LimitBytes, message),
            SourceError::SizeMismatch { .. } => Self::rejected(Code::SourceSizeMismatch, message),
            SourceError::HashMismatch { .. } => Self::rejected(Code::SourceHashMismatch, message),
            SourceError::DeclaredHash => Self::rejected(Code::EventInvalid, message),
            SourceError::Scratch(_) => Self::transient(Code::WorkerScratch, message),
            SourceError::Store(err) => Self::from(err),
        }
    }
}
