//! What can go wrong with a request.

use std::error::Error;

/// A request without a usable answer. Texts name the host at most, never a URL or a header: both may contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The HTTP library cannot be set up, or the credential has characters that a header cannot have.
    #[error("{0}")]
    Config(String),
    /// The URL cannot be read, or a redirect leads to none.
    #[error("{0}")]
    Invalid(String),
    /// The rules do not allow this URL or address, or the credential is not for this host.
    #[error("{0}")]
    Denied(String),
    /// The server could not be reached, or ended the connection early.
    #[error("{0}")]
    Unavailable(String),
    /// The server was too slow.
    #[error("{0}")]
    Timeout(String),
    /// The body has more bytes than the caller takes.
    #[error("{host} answers with more than {limit_bytes} bytes")]
    TooLarge {
        /// Who answers.
        host: String,
        /// The most that is taken.
        limit_bytes: u64,
    },
    /// The [`super::Peers`] of the request do not let it connect.
    #[error("{0}")]
    Stopped(#[source] Box<dyn Error + Send + Sync>),
}
