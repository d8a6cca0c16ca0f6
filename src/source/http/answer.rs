//! Decides by status and headers whether an HTTP answer is the requested file.

use std::time::{Duration, SystemTime};

use crate::egress::Response;
use crate::source::SourceError;

/// Fails if the body of the answer is not the file.
pub(super) fn judge(response: &Response, now: SystemTime) -> Result<(), SourceError> {
    by_head(response.status(), response.is_encoded(), response.retry_after(now), response.host())
}

fn by_head(status: u16, encoded: bool, retry_after: Option<Duration>, host: &str) -> Result<(), SourceError> {
    let origin = host.to_owned();
    match status {
        // 203 is a 200 whose content a proxy has changed.
        200 | 203 if encoded => {
            Err(SourceError::Invalid(format!("{host} sends the file compressed although no compression was requested")))
        }
        200 | 203 => Ok(()),
        401 | 402 | 403 | 451 => Err(SourceError::Forbidden { origin, detail: status.to_string() }),
        404 | 410 => Err(SourceError::NotFound { origin }),
        408 | 425 | 429 | 500..=599 => {
            Err(SourceError::Unavailable { detail: format!("{host} answers {status}"), retry_after })
        }
        _ => Err(SourceError::Invalid(format!("{host} answers {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Fault};

    fn head(status: u16) -> Result<(), SourceError> {
        by_head(status, false, None, "example.org")
    }

    #[test]
    fn each_status_has_its_code() {
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
            let fault = Fault::from(head(status).expect_err("no file"));
            assert!(matches!(&fault, Fault::Rejected { code: actual, .. } if *actual == code), "{status}: {fault:?}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let fault = Fault::from(head(status).expect_err("no file"));
            assert!(
                matches!(fault, Fault::Transient { code: Code::SourceUnavailable, retry_after: None, .. }),
                "{status}"
            );
        }
        assert!(head(200).is_ok() && head(203).is_ok());
        let packed = by_head(200, true, None, "example.org");
        assert!(matches!(packed, Err(SourceError::Invalid(_))), "{packed:?}");
        let wish = Some(Duration::from_secs(120));
        let throttled = by_head(429, false, wish, "example.org");
        assert!(matches!(throttled, Err(SourceError::Unavailable { retry_after, .. }) if retry_after == wish));
    }
}
