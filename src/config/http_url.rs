//! Addresses of HTTP services.

use url::Url;

/// An address of a web server.
pub(super) fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// An address that more can be put behind, and that may be shown.
pub(super) fn is_bare_http(text: &str) -> bool {
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    is_http(text) && Url::parse(text).is_ok_and(|url| bare(&url) && url.query().is_none() && url.fragment().is_none())
}
