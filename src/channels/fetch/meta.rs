//! Meta's answers: where a file is, and how much of a quota is used.

use std::time::Duration;

use serde_json_borrow::Value;
use url::Url;

use super::{Quota, Refused};
use crate::channels::value::{field, json, number, owned, sha256, text};
use crate::egress::Hosts;

/// The host that 360dialog names and that only Meta's own tokens open.
const LOOKASIDE: &str = "lookaside.fbsbx.com";
/// From so many percent of a quota on, requests are spread out. At 100 they fail.
const BUSY_PERCENT: u64 = 80;
/// Between two requests then; one more of it for each percent above.
const INTERVAL: Duration = Duration::from_millis(500);
/// For how long, unless the next answer says otherwise.
const LASTING: Duration = Duration::from_secs(60);
/// How long an account is left alone whose quota is used up, where no answer says how long that takes.
const REGAIN: Duration = Duration::from_secs(300);

/// Where a file is, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its URL, of one of the account's hosts.
    pub url: String,
    /// Its SHA-256, in hex or base64.
    pub sha256: Option<String>,
    /// Its size in bytes.
    pub size_bytes: Option<u64>,
    /// Its MIME type.
    pub mime_type: Option<String>,
}

/// Reads the answer to a request for an id. With `rewritten`, the host of the URL is replaced by that of the API, path and query
/// kept to the byte, as 360dialog asks for.
pub(super) fn resolved(body: &[u8], hosts: &Hosts, rewritten: Option<&String>) -> Result<Resolved, Refused> {
    let answer = json(body).map_err(|_| Refused::Answer("the provider's answer is no JSON"))?;
    let url = text(&answer, "url").ok_or(Refused::Answer("the provider's answer has no URL"))?;
    let url = match rewritten {
        Some(base) => match url.split_once("://").and_then(|(_, rest)| rest.strip_prefix(LOOKASIDE)) {
            Some(path) if path.starts_with('/') => format!("{base}{path}"),
            _ => url.to_owned(),
        },
        None => url.to_owned(),
    };
    let admitted = Url::parse(&url).is_ok_and(|url| hosts.admit(&url));
    if !admitted {
        return Err(Refused::Answer("the provider's answer names a host that is not the account's"));
    }
    Ok(Resolved {
        url,
        sha256: sha256(&answer, "sha256"),
        size_bytes: number(&answer, "file_size"),
        mime_type: owned(&answer, "mime_type"),
    })
}

/// What Meta's usage headers ask for: `X-App-Usage` and `X-Business-Use-Case-Usage`, JSON with percentages, and **minutes** until
/// access comes back.
#[must_use]
pub fn quota(app: Option<&str>, business: Option<&str>) -> Option<Quota> {
    let business = business.and_then(|text| json(text.as_bytes()).ok());
    let uses =
        business.iter().filter_map(Value::as_object).flat_map(|map| map.values()).filter_map(Value::as_array).flatten();
    let app = app.and_then(|text| json(text.as_bytes()).ok());
    let all: Vec<&Value<'_>> = uses.chain(&app).collect();
    let percent = |usage: &&Value<'_>| {
        let used = |name| field(usage, name).and_then(Value::as_f64).unwrap_or(0.0);
        used("call_count").max(used("total_cputime")).max(used("total_time"))
    };
    let most = all.iter().map(percent).fold(0.0, f64::max);
    let minutes = all.iter().filter_map(|usage| number(usage, "estimated_time_to_regain_access")).max().unwrap_or(0);
    if minutes > 0 {
        return Some(Quota::Stop(Duration::from_secs(minutes.saturating_mul(60))));
    }
    if most >= 100.0 {
        return Some(Quota::Stop(REGAIN));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100 here")]
    let above = (most as u64).checked_sub(BUSY_PERCENT)?;
    let times = u32::try_from(above + 1).unwrap_or(1);
    Some(Quota::Slow { interval: INTERVAL * times, lasting: LASTING })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_slows_down_and_stops_for_minutes() {
        let business = r#"{"900":[{"type":"whatsapp","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":7}]}"#;
        assert_eq!(quota(None, Some(business)), Some(Quota::Stop(Duration::from_secs(7 * 60))));
        let quiet = r#"{"call_count":10,"total_cputime":0,"total_time":0}"#;
        assert_eq!(quota(Some(quiet), None), None);
        let busy = quiet.replace("10", "85");
        assert_eq!(
            quota(Some(&busy), None),
            Some(Quota::Slow { interval: Duration::from_secs(3), lasting: Duration::from_secs(60) })
        );
        assert_eq!(quota(Some(&quiet.replace("10", "100")), None), Some(Quota::Stop(REGAIN)));
        for text in ["", "{", "[]", "7", r#"{"900":7}"#, r#"{"900":[7]}"#] {
            assert_eq!(quota(Some(text), Some(text)), None, "{text}");
        }
    }
}
