//! A request: method, URL, headers, body, credential, timeout.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Credential, EgressError};

/// The methods that this program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: follows redirects if the rules allow it.
    Get,
    /// POST: never follows redirects, nor do the methods below.
    Post,
    /// PATCH.
    Patch,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// A request. Its headers are sent to the first server only: after a redirect to another scheme, host or port they are
/// left out. `Debug` shows only the method and the host, because paths, queries, headers and bodies may be personal or
/// secret.
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

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Adds a header. Secrets belong into a [`Credential`] instead.
    ///
    /// # Errors
    /// [`EgressError::Invalid`] if the name or the value is not valid in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, EgressError> {
        let wrong = |_: &dyn std::error::Error| {
            EgressError::Invalid("a header has characters that are not allowed in it".to_owned())
        };
        let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
        let value = HeaderValue::try_from(value).map_err(|error| wrong(&error))?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Adds a header whose value need not be text.
    ///
    /// # Errors
    /// [`EgressError::Invalid`] if the name or the value is not valid in a header.
    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Result<Self, EgressError> {
        let wrong = || EgressError::Invalid("a header has characters that are not allowed in it".to_owned());
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong())?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Sets the credential. If the URL does not lead to one of the credential's hosts, the request is refused.
    #[must_use]
    pub fn credential(self, credential: Credential) -> Self {
        Self { credential: Some(credential), ..self }
    }

    /// The time limit of [`super::Egress::call`], from the name look-up to the last byte of the body.
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
