//! A request.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::Body;
use crate::store::StoreError;

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub(in crate::store) struct Ask<'a> {
    pub(in crate::store) method: Method,
    pub(in crate::store) url: Url,
    pub(in crate::store) headers: HeaderMap,
    pub(in crate::store) body: Body<'a>,
}

impl<'a> Ask<'a> {
    pub(in crate::store) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Body::default() }
    }

    /// With a header. A value that no header can have is left out by nobody: it is an error.
    pub(in crate::store) fn header(mut self, name: &'static str, value: &str) -> Result<Self, StoreError> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| StoreError::Config(format!("{name}: a header cannot have this value")))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(in crate::store) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}
