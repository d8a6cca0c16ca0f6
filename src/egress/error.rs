//! Errors of outgoing requests.

use std::error::Error;

/// A request that got no usable answer. The texts name at most the host, never a URL or a header, because both may
/// contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The HTTP library cannot be set up, or the credential has characters that a header cannot contain.
    #[error("{0}")]
    Config(String),
    /// The URL is not valid, or a redirect has no valid target.
    #[error("{0}")]
    Invalid(String),
    /// The rules do not allow this URL or address, or the credential may not be sent to this host.
    #[error("{0}")]
    Denied(String),
    /// The server could not be reached, or closed the connection early.
    #[error("{0}")]
    Unavailable(String),
    /// The server did not answer within the time limit.
    #[error("{0}")]
    Timeout(String),
    /// The body is larger than the caller allows.
    #[error("{host} answers with more than {limit_bytes} bytes")]
    TooLarge {
        /// The host that answered.
        host: String,
        /// The largest size that is allowed, in bytes.
        limit_bytes: u64,
    },
    /// The request's [`super::Peers`] refused an address.
    #[error("{0}")]
    Stopped(#[source] Box<dyn Error + Send + Sync>),
}
