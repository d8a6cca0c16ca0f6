//! What can go wrong with a store, and what that means for a job.

use std::io;

use crate::error::{Code, Fault};

/// A store's error, classified where the backend's own error was at hand.
///
/// Texts name the action and the backend's error code, never a URL with a query, a credential or a body.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The `[store]` configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The store knows us not, or not for this.
    #[error("{action}: the store refuses access ({detail})")]
    Forbidden {
        /// What was being done.
        action: &'static str,
        /// The store's error code.
        detail: String,
    },
    /// The bucket or directory does not exist.
    #[error("{action}: no such bucket or directory")]
    Missing {
        /// What was being done.
        action: &'static str,
    },
    /// An object that was to be read does not exist. `get`, `head` and `delete` never say this.
    #[error("{action}: no such object")]
    NotFound {
        /// What was being done.
        action: &'static str,
    },
    /// There is an object of this name, and none was to be replaced.
    #[error("{action}: it exists")]
    Exists {
        /// What was being done.
        action: &'static str,
    },
    /// The bytes that arrived are not those that were sent, or not those that the caller promised.
    #[error("{action}: checksum mismatch ({detail})")]
    Checksum {
        /// What was being done.
        action: &'static str,
        /// Who noticed.
        detail: String,
    },
    /// The store could not be reached, was too slow, or answered with a passing error.
    #[error("{action}: {detail}")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// The store's error code, or what happened to the connection.
        detail: String,
    },
    /// The object is larger than is read into memory.
    #[error("the object has more than {limit_bytes} bytes")]
    TooLarge {
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file to be stored cannot be read.
    #[error("cannot read the file to be stored: {0}")]
    Scratch(#[source] io::Error),
}

impl StoreError {
    /// An IO error of the local store's directory.
    pub(crate) fn local(action: &'static str, err: &io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Forbidden { action, detail: err.kind().to_string() }
            }
            _ => Self::Unavailable { action, detail: err.to_string() },
        }
    }
}

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        let message = err.to_string();
        match err {
            StoreError::Config(_) => Self::broken(Code::WorkerBroken, message),
            StoreError::Forbidden { .. } => Self::broken(Code::StoreForbidden, message),
            StoreError::Missing { .. } => Self::broken(Code::StoreMissing, message),
            StoreError::Checksum { .. } => Self::transient(Code::StoreChecksum, message),
            StoreError::NotFound { .. } | StoreError::Exists { .. } | StoreError::Unavailable { .. } => {
                Self::transient(Code::StoreUnavailable, message)
            }
            StoreError::TooLarge { .. } => Self::broken(Code::StoreLimitBytes, message),
            StoreError::Scratch(_) => Self::transient(Code::WorkerScratch, message),
        }
    }
}
