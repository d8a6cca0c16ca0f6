//! One request: method, URL, headers, body, credential, time.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Credential, EgressError};

/// The methods that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Follows redirects where the rules say so.
    Get,
    /// Never follows redirects, as do the others below.
    Post,
    /// A change of a part.
    Patch,
    /// A replacement.
    Put,
    /// A deletion.
    Delete,
}

/// A request. Headers of the caller go to the first server only; after a redirect to another scheme, host or port they are
/// left out. `Debug` shows the method and the host only: paths, queries, headers and bodies may be personal or secret.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) credential: Option<Credential>,
    pub(super) timeout: Option<Duration>,
}

impl Request {
    /// A request without body, headers and credential.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new(), credential: None, timeout: None }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A POST with a body.
    #[must_use]
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::Post, url).body(body)
    }

    /// The body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// One more header. What authorizes belongs into a [`Credential`].
    ///
    /// # Errors
    /// [`EgressError::Invalid`] where name or value cannot stand in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, EgressError> {
        let wrong =
            |_: &dyn std::error::Error| EgressError::Invalid("a header has characters that it cannot have".to_owned());
        let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
        let value = HeaderValue::try_from(value).map_err(|error| wrong(&error))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// One more header, with bytes that need not be text.
    ///
    /// # Errors
    /// [`EgressError::Invalid`] where name or value cannot stand in a header.
    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Result<Self, EgressError> {
        let wrong = || EgressError::Invalid("a header has characters that it cannot have".to_owned());
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong())?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// What authorizes it. The URL must lead to one of the credential's hosts, or the request is refused.
    #[must_use]
    pub fn credential(self, credential: Credential) -> Self {
        Self { credential: Some(credential), ..self }
    }

    /// How long [`super::Egress::call`] may take from the look-up of the name to the last byte of the body.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        f.debug_struct("Request").field("method", &self.method).field("host", &host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_method_and_the_host_only() {
        let request = Request::post("https://user:pass@api.example:8443/path?query=1", "body");
        let request = request.header("x-name", "value").expect("a header");
        assert_eq!(format!("{request:?}"), r#"Request { method: Post, host: "api.example", .. }"#);
        assert_eq!(format!("{:?}", Request::get("no URL")), r#"Request { method: Get, host: "", .. }"#);
    }
}
