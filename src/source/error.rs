//! What can go wrong while fetching, and what that means for a job.

use std::io;
use std::time::Duration;

use crate::egress::EgressError;
use crate::error::{Code, Fault};
use crate::store::StoreError;

/// An error of fetching. Texts name the host at most, never a URL or a path: both may hold secrets or names.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The `[source]` configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The origin answers that there is no such file.
    #[error("{origin} has no such file")]
    NotFound {
        /// Which origin, without secrets.
        origin: String,
    },
    /// The bucket that the event names does not exist.
    #[error("the bucket that the event names does not exist")]
    NoBucket {
        /// Whether the event alone chose it, so that no operator can correct it.
        chosen_by_event: bool,
    },
    /// The origin refuses what the event gave us to ask with.
    ///
    /// For good: the signature in a URL that has expired never comes back, and nothing of the worker's own was refused.
    #[error("{origin} refuses access ({detail})")]
    Forbidden {
        /// Which origin, without secrets.
        origin: String,
        /// Its answer, as a status code or error code.
        detail: String,
    },
    /// The origin refuses the worker's own credentials: an operator can put that right.
    #[error("{origin} refuses the worker's credentials ({detail})")]
    Credentials {
        /// Which origin, without secrets.
        origin: String,
        /// Its answer, as a status code or error code.
        detail: String,
    },
    /// The configuration does not allow this origin.
    #[error("{0}")]
    Denied(String),
    /// The origin's answer is no usable file.
    #[error("{0}")]
    Invalid(String),
    /// The origin could not be reached or answered with a passing error.
    #[error("{detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// What the origin asked for.
        retry_after: Option<Duration>,
    },
    /// Requests of a channel account are stopped for a while. Nothing was tried, and nothing is wrong with the file.
    #[error("requests of the channel account {account} are stopped for {wait:.0?}: {why}")]
    Paused {
        /// Its name in the configuration.
        account: String,
        /// Why, in words that follow a colon.
        why: &'static str,
        /// For how long.
        wait: Duration,
    },
    /// The origin was too slow.
    #[error("{0}")]
    Timeout(String),
    /// There are no bytes.
    #[error("the file has no bytes")]
    Empty,
    /// There are too many bytes.
    #[error("the file has more than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is taken.
        limit_bytes: u64,
    },
    /// Not as many bytes as were declared.
    #[error("{declared_bytes} bytes were declared, {actual_bytes} arrived")]
    SizeMismatch {
        /// In the event.
        declared_bytes: u64,
        /// Fetched.
        actual_bytes: u64,
    },
    /// Not the bytes that were declared.
    #[error("the bytes have another SHA-256 than was declared")]
    HashMismatch {
        /// Of what arrived.
        actual: [u8; 32],
    },
    /// The declared hash is none.
    #[error("the declared sha256 is neither 64 hex digits nor 32 bytes in base64")]
    DeclaredHash,
    /// The scratch file cannot be written.
    #[error("cannot write the scratch file: {0}")]
    Scratch(#[source] io::Error),
    /// The object store as an origin.
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
            // From the `peers` of this fetch.
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
