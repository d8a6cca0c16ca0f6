//! Tokens that are none.

/// Why a token is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenDenied {
    /// It cannot be read, is not signed by a known key, not for us, not yet or no longer valid.
    #[error("the token is not valid")]
    Invalid,
    /// The key set cannot be read, so that nobody can tell.
    #[error("the keys of tokens cannot be read now")]
    NoKeys,
}
