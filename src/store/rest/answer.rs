//! An answer, read to its end.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;

/// An answer, read to its end.
#[derive(Debug)]
pub(in crate::store) struct Answer {
    pub(in crate::store) status: u16,
    pub(in crate::store) headers: HeaderMap,
    pub(in crate::store) body: Bytes,
}

impl Answer {
    /// Whether the request was carried out.
    pub(in crate::store) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = header(&self.headers, "retry-after").and_then(|text| text.trim().parse().ok());
        seconds.map(Duration::from_secs)
    }
}

/// A header's value where there is one that is text.
pub(in crate::store) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
