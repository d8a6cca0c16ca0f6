//! What an answer's head means for a fetch.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use crate::source::SourceError;

/// An answer that is no error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The body is the file.
    File,
    /// The file is there, it says.
    Redirect(String),
}

/// Reads an answer's head.
pub(super) fn read(response: &Response, host: &str, now: SystemTime) -> Result<Answer, SourceError> {
    by_head(response.status(), response.headers(), host, now)
}

fn by_head(status: StatusCode, headers: &HeaderMap, host: &str, now: SystemTime) -> Result<Answer, SourceError> {
    let origin = host.to_owned();
    match status.as_u16() {
        // 203 is a 200 that somebody on the way has changed.
        200 | 203 if is_encoded(headers) => {
            Err(SourceError::Invalid(format!("{host} sends the file compressed, which was not asked for")))
        }
        200 | 203 => Ok(Answer::File),
        301 | 302 | 303 | 307 | 308 => {
            let location = headers.get(LOCATION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
            let location = location.ok_or_else(|| SourceError::Invalid(format!("{host} redirects to nowhere")))?;
            Ok(Answer::Redirect(location.to_owned()))
        }
        401 | 402 | 403 | 451 => Err(SourceError::Forbidden { origin, detail: status.as_u16().to_string() }),
        404 | 410 => Err(SourceError::NotFound { origin }),
        408 | 425 | 429 | 500..=599 => Err(SourceError::Unavailable {
            detail: format!("{host} answers {}", status.as_u16()),
            retry_after: retry_after(headers, now),
        }),
        _ => Err(SourceError::Invalid(format!("{host} answers {}", status.as_u16()))),
    }
}

/// What changes the bytes of a body: IANA's registry of content codings with their old names, and one that is used without.
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

/// Whether the body is not the file's own bytes. Servers write much into this field that means nothing (`aws-chunked`,
/// `none`, `binary`, `utf-8`, nothing at all): what is no coding changes no byte.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let mut codings = codings.map(<[u8]>::trim_ascii);
    codings.any(|coding| CODINGS.iter().any(|known| coding.eq_ignore_ascii_case(known.as_bytes())))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
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
    use crate::error::{Code, Fault};

    fn head(status: u16, headers: &[(reqwest::header::HeaderName, &str)]) -> Result<Answer, SourceError> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        by_head(StatusCode::from_u16(status).expect("a status"), &headers, "example.org", now)
    }

    #[test]
    fn statuses_have_codes() {
        for (status, code) in [
            (401, Code::SourceForbidden),
            (403, Code::SourceForbidden),
            (404, Code::SourceNotFound),
            (410, Code::SourceNotFound),
            (204, Code::SourceInvalid),
            (206, Code::SourceInvalid),
            (302, Code::SourceInvalid),
            (304, Code::SourceInvalid),
            (400, Code::SourceInvalid),
            (416, Code::SourceInvalid),
        ] {
            let fault = Fault::from(head(status, &[]).expect_err("no file"));
            assert!(matches!(&fault, Fault::Rejected { code: actual, .. } if *actual == code), "{status}: {fault:?}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let fault = Fault::from(head(status, &[]).expect_err("no file"));
            assert!(
                matches!(fault, Fault::Transient { code: Code::SourceUnavailable, retry_after: None, .. }),
                "{status}"
            );
        }
        assert_eq!(head(307, &[(LOCATION, "/x")]).expect("a redirect"), Answer::Redirect("/x".to_owned()));
        assert_eq!(head(200, &[(CONTENT_ENCODING, "Identity")]).expect("a file"), Answer::File);
        for harmless in ["", "none", "aws-chunked", "aws-chunked,identity", "binary", "UTF-8", "x-unheard-of"] {
            assert_eq!(head(200, &[(CONTENT_ENCODING, harmless)]).expect(harmless), Answer::File);
        }
        for packed in ["gzip", "GZIP", "x-gzip", "br", "zstd", "deflate", "aws-chunked, gzip", "gzip,"] {
            let answer = head(200, &[(CONTENT_ENCODING, packed)]);
            assert!(matches!(answer, Err(SourceError::Invalid(_))), "{packed}: {answer:?}");
        }
        let twice = head(200, &[(CONTENT_ENCODING, "identity"), (CONTENT_ENCODING, "br")]);
        assert!(matches!(twice, Err(SourceError::Invalid(_))), "{twice:?}");
    }

    #[test]
    fn retry_after_is_a_number_or_a_date_in_any_of_its_forms() {
        let wish = |value| match head(429, &[(RETRY_AFTER, value)]) {
            Err(SourceError::Unavailable { retry_after, .. }) => retry_after.map(|wish| wish.as_secs()),
            other => panic!("{other:?}"),
        };
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
