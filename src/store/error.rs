//! Errors of a store, and the kind of fault that each is for a job.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::error::{Code, Fault};

/// The error of the backend's own client, or of the operating system. Not part of any message: it may be long.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// How long a job waits before it looks again for an object that is being brought back from an archive: hours in all.
const ARCHIVE_WAIT: Duration = Duration::from_secs(900);

/// A store's error, classified where the backend's own error was known.
///
/// Messages name the action and the backend's error code, never a URL with a query, a credential or a body.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The `[store]` configuration cannot work with this store.
    #[error("{0}")]
    Config(String),
    /// The caller asked for something that no store can do: a text that is no key, an empty range, a link for ten years.
    #[error("{action}: {detail}")]
    Invalid {
        /// What was being done.
        action: &'static str,
        /// What is wrong with the request.
        detail: String,
    },
    /// The store does not accept the credentials, or they do not allow this action.
    #[error("{action}: the store refuses access ({detail})")]
    Forbidden {
        /// What was being done.
        action: &'static str,
        /// The store's error code.
        detail: String,
        /// The backend's own error.
        #[source]
        source: Option<Cause>,
    },
    /// The bucket or directory does not exist.
    #[error("{action}: the bucket or directory of the store does not exist")]
    Missing {
        /// What was being done.
        action: &'static str,
    },
    /// An object that was to be read does not exist. [`Store`](super::Store) answers `None` instead.
    #[error("{action}: the object does not exist")]
    NotFound {
        /// What was being done.
        action: &'static str,
    },
    /// An object with this key exists, and was not to be replaced. [`Store`](super::Store) answers `false` instead.
    #[error("{action}: an object with this key exists")]
    Exists {
        /// What was being done.
        action: &'static str,
    },
    /// The range that was to be read begins after the last byte of the object.
    #[error("read a range of an object: the range begins after the last byte")]
    Range,
    /// The bytes that arrived are not those that were sent, or not those that the caller announced.
    #[error("{action}: checksum mismatch ({detail})")]
    Checksum {
        /// What was being done.
        action: &'static str,
        /// Which comparison failed.
        detail: String,
    },
    /// The object is in an archive, and cannot be read before the store has brought it back, which was asked for.
    #[error("{action}: the object is archived; it is being brought back, which takes hours")]
    Archived {
        /// What was being done.
        action: &'static str,
    },
    /// The store could not be reached, was too slow, or answered with an error that may not come again.
    #[error("{action}: {detail}")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// The store's error code, or what happened to the connection.
        detail: String,
        /// The backend's own error.
        #[source]
        source: Option<Cause>,
    },
    /// The object is larger than the caller takes.
    #[error("the object has more than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file to be stored cannot be read, or the file to be filled cannot be written.
    #[error("cannot use the scratch file of a transfer: {0}")]
    Scratch(#[source] io::Error),
}

impl StoreError {
    /// [`StoreError::Unavailable`] where no other error is behind it.
    pub(super) fn unavailable(action: &'static str, detail: impl Into<String>) -> Self {
        Self::Unavailable { action, detail: detail.into(), source: None }
    }

    /// [`StoreError::Invalid`].
    pub(super) fn invalid(action: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { action, detail: detail.into() }
    }
}

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        let message = err.to_string();
        match err {
            StoreError::Config(_) | StoreError::Invalid { .. } | StoreError::Range => {
                Self::broken(Code::WorkerBroken, message)
            }
            StoreError::Forbidden { .. } => Self::broken(Code::StoreForbidden, message),
            StoreError::Missing { .. } => Self::broken(Code::StoreMissing, message),
            StoreError::Checksum { .. } => Self::transient(Code::StoreChecksum, message),
            StoreError::Archived { .. } => Self::Paused { code: Code::StoreArchived, message, wait: ARCHIVE_WAIT },
            StoreError::NotFound { .. } | StoreError::Exists { .. } | StoreError::Unavailable { .. } => {
                Self::transient(Code::StoreUnavailable, message)
            }
            StoreError::TooLarge { .. } => Self::broken(Code::StoreLimitBytes, message),
            StoreError::Scratch(_) => Self::transient(Code::WorkerScratch, message),
        }
    }
}
