//! Logins that come to nothing.

/// Why a login comes to nothing. The texts name no person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::roles::catalog) enum LoginFailure {
    /// The state does not match that of the cookie, or there is no cookie that is valid.
    #[error("the login was not begun in this browser, or more than 10 minutes ago: begin it again")]
    NotBegun,
    /// The provider lets nobody in, or the person has said no.
    #[error("the provider denies the login")]
    Denied,
    /// What came back is not what was asked for.
    #[error("what came back from the provider is not what was asked for ({0}): begin the login again")]
    NotGenuine(&'static str),
    /// The provider gives none of the roles that the configuration knows.
    #[error("the provider gives none of the roles that this server knows")]
    NoRole,
    /// The roles do not fit into a cookie.
    #[error("the provider gives more roles than a cookie holds")]
    TooManyRoles,
    /// The provider cannot be asked. The text is for the log.
    #[error("the provider cannot be asked now")]
    Unavailable(String),
    /// A cookie cannot be sealed.
    #[error("no cookie can be made")]
    Broken,
}
