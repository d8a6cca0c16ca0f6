//! An answer: as a stream, or read as a whole if it is small.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER};

use super::EgressError;
use super::library_error::meaning;

/// The content codings that change the bytes of a body: IANA's registry with old names, and one that is used without
/// being registered.
const CODINGS: [&str; 13] = [
    "gzip",
    "x-gzip",
    "deflate",
    "compress",
    "x-compress",
    "br",
    "zstd",
    "dcb",
    "dcz",
    "exi",
    "pack200-gzip",
    "aes128gcm",
    "bzip2",
];

/// The head of an answer whose body has not been read yet. `Debug` shows only the status and the host.
pub struct Response {
    pub(super) inner: reqwest::Response,
    pub(super) host: String,
    pub(super) with_credential: bool,
}

/// A whole answer. `Debug` shows only the status and the host.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    host: String,
    headers: HeaderMap,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, host) = (self.status(), &self.host);
        f.debug_struct("Response").field("status", &status).field("host", host).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, host, .. } = self;
        f.debug_struct("Answer").field("status", status).field("host", host).finish_non_exhaustive()
    }
}

impl Response {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// The host of the last server that was asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the credential was sent to the last server. It is not sent after a redirect to a host that is not one of
    /// its own.
    #[must_use]
    pub const fn had_credential(&self) -> bool {
        self.with_credential
    }

    /// The value of a header, if it is present and text. `name` is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.inner.headers(), name)
    }

    /// The size of the body in bytes, if the server announces it.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.inner.content_length()
    }

    /// Whether the body is compressed, although the request did not ask for that.
    #[must_use]
    pub fn is_encoded(&self) -> bool {
        is_encoded(self.inner.headers())
    }

    /// `Retry-After` as a duration from `now`.
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        retry_after(self.inner.headers(), now)
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`EgressError::Timeout`] if no byte arrives within the read timeout, [`EgressError::Unavailable`] if the
    /// connection ends early.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        self.inner.chunk().await.map_err(|error| meaning(&error, &self.host))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`EgressError::TooLarge`] above `limit_bytes`, [`EgressError::Invalid`] if the body is compressed, and the
    /// errors of [`Response::chunk`].
    pub async fn whole(mut self, limit_bytes: u64) -> Result<Answer, EgressError> {
        let too_large = || EgressError::TooLarge { host: self.host.clone(), limit_bytes };
        if self.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(too_large());
        }
        if self.is_encoded() {
            let text = format!("{} sends a compressed body although none was requested", self.host);
            return Err(EgressError::Invalid(text));
        }
        let mut body = BytesMut::new();
        while let Some(bytes) = self.inner.chunk().await.map_err(|error| meaning(&error, &self.host))? {
            if (body.len() + bytes.len()) as u64 > limit_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&bytes);
        }
        let (status, headers) = (self.status(), std::mem::take(self.inner.headers_mut()));
        Ok(Answer { status, body: body.freeze(), host: self.host, headers })
    }
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        StatusCode::from_u16(self.status).is_ok_and(|status| status.is_success())
    }

    /// The host of the last server that was asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The value of a header, if it is present and text. `name` is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// `Retry-After` as a duration from `now`.
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        retry_after(&self.headers, now)
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the body is compressed. Servers also write other words into this header (`aws-chunked`, `none`, `binary`,
/// `utf-8`, or nothing): a word that is not a content coding does not change the bytes.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii);
    codings.any(|coding| CODINGS.iter().any(|known| coding.eq_ignore_ascii_case(known.as_bytes())))
}

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: reqwest::header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn only_codings_change_the_bytes_of_a_body() {
        let encoded = |values: &[&str]| is_encoded(&headers(CONTENT_ENCODING, values));
        for harmless in
            ["Identity", "", "none", "aws-chunked", "aws-chunked,identity", "binary", "UTF-8", "x-unheard-of"]
        {
            assert!(!encoded(&[harmless]), "{harmless}");
        }
        for packed in ["gzip", "GZIP", "x-gzip", "br", "zstd", "deflate", "aws-chunked, gzip", "gzip,"] {
            assert!(encoded(&[packed]), "{packed}");
        }
        assert!(encoded(&["identity", "br"]));
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_in_any_of_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wish = |value| retry_after(&headers(RETRY_AFTER, &[value]), now).map(|wish| wish.as_secs());
        assert_eq!(wish("120"), Some(120));
        // 60 s after the clock of this test, in the three forms of RFC 9110, 5.6.7.
        for date in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"] {
            assert_eq!(wish(date), Some(60), "{date}");
        }
        assert_eq!(wish("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "in the past");
        for text in ["soon", "-5", "1.5", ""] {
            assert_eq!(wish(text), None, "{text:?}");
        }
    }
}
