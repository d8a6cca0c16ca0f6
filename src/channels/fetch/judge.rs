//! What an answer of a provider means for the file, and for its account.

use std::time::Duration;

use crate::channels::Provider;
use crate::channels::value::{at, field, json, number};

/// How long an account is left alone that asks too much, where no answer says how long.
const THROTTLED: Duration = Duration::from_secs(60);
/// The same for 360dialog, which blocks a number for half an hour.
const BLOCKED: Duration = Duration::from_secs(1800);

/// Which request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Where is the file?
    Resolve,
    /// The file, please.
    Download,
}

/// The head of an answer, and the beginning of its body where it is an error.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Whether it comes from one of the account's hosts, with its credential: after a redirect to another host it does not.
    pub from_account: bool,
    /// `Content-Type` in lower case without parameters; empty where there is none.
    pub content_type: &'a str,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Some kilobytes of the body of an error.
    pub body: &'a [u8],
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The body is what was asked for.
    Here,
    /// There is no such file, for good.
    Gone,
    /// The URL is over, or what came is no file: begin again with the first request.
    Again,
    /// The file may come in some seconds.
    NotYet,
    /// The account asks too much.
    Throttled(Duration),
    /// The account's credential is refused: no file of the account can be fetched until an operator renews it, and jobs wait.
    Refused,
    /// The provider cannot answer now.
    Unavailable(Option<Duration>),
    /// An answer that the provider's documentation does not describe for a file, or that refuses this file alone. The tries of
    /// the job count; afterwards it has failed and can be replayed.
    Unexpected,
}

pub(super) fn judge(provider: Provider, step: Step, reply: &Reply<'_>) -> Judgement {
    match reply.status {
        200 | 203 if step == Step::Download && reply.content_type == "text/html" => return Judgement::Again,
        200 | 203 => return Judgement::Here,
        408 | 425 | 500..=599 => return Judgement::Unavailable(reply.retry_after),
        404 if provider == Provider::Twilio => return Judgement::NotYet,
        _ if !reply.from_account => return elsewhere(reply),
        _ => {}
    }
    match provider {
        Provider::WhatsappCloud => meta(step, reply).unwrap_or_else(|| by_status(step, reply)),
        Provider::Dialog360 => dialog360(step, reply),
        Provider::Twilio | Provider::BirdChannels | Provider::Messagebird | Provider::Bird | Provider::Generic => {
            by_status(step, reply)
        }
    }
}

/// An error of a host that got no credential, as behind a signed link. It says nothing about the account, and the link may have
/// expired: the first request gives a new one.
const fn elsewhere(reply: &Reply<'_>) -> Judgement {
    match reply.status {
        400..=404 | 410 | 451 => Judgement::Again,
        429 => Judgement::Unavailable(reply.retry_after),
        _ => Judgement::Unexpected,
    }
}

/// An error of a host of the account, which got its credential. 401 and 402 concern the account; 403 and 451 may concern one
/// file only.
fn by_status(step: Step, reply: &Reply<'_>) -> Judgement {
    match (reply.status, step) {
        (401 | 402, _) => Judgement::Refused,
        (404, Step::Download) | (410, _) => Judgement::Gone,
        (429, _) => Judgement::Throttled(reply.retry_after.unwrap_or(THROTTLED)),
        _ => Judgement::Unexpected,
    }
}

/// Graph's error codes; nothing where the answer has none, or where its status decides: the codes of missing permissions (3, 10,
/// 200 to 299, 131005) may concern one file.
fn meta(step: Step, reply: &Reply<'_>) -> Option<Judgement> {
    if step == Step::Download && matches!(reply.status, 403 | 404 | 410) {
        // The URL has expired: it is good for five minutes.
        return Some(Judgement::Again);
    }
    let answer = json(reply.body).ok()?;
    let error = field(&answer, "error")?;
    let throttled = || Judgement::Throttled(reply.retry_after.unwrap_or(THROTTLED));
    Some(match number(error, "code")? {
        100 if number(error, "error_subcode") == Some(33) => Judgement::Gone,
        190 | 368 | 131_031 | 131_042 => Judgement::Refused,
        4 | 17 | 32 | 613 | 80_007 | 130_429 | 131_048 | 131_056 | 133_016 => throttled(),
        1 | 2 | 131_000 | 131_016 | 131_057 => Judgement::Unavailable(reply.retry_after),
        _ => return None,
    })
}

/// Errors of 360dialog's own are texts, also with status 400; those of Meta pass through.
fn dialog360(step: Step, reply: &Reply<'_>) -> Judgement {
    let body = String::from_utf8_lossy(reply.body).to_ascii_lowercase();
    let blocked = || Judgement::Throttled(reply.retry_after.unwrap_or(BLOCKED));
    match reply.status {
        400 if body.contains("rate limit") => blocked(),
        400 if body.contains("disabled") || body.contains("unpaid") => Judgement::Refused,
        403 | 404 | 410 if step == Step::Download => Judgement::Again,
        429 => blocked(),
        // Without an error code of Meta's it is 360dialog's own block of the number.
        403 if !has_code(reply.body) => blocked(),
        _ => meta(step, reply).unwrap_or_else(|| by_status(step, reply)),
    }
}

fn has_code(body: &[u8]) -> bool {
    json(body).is_ok_and(|answer| at(&answer, "/error/code").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply<'_> {
        Reply { status, from_account: true, content_type: "application/json", retry_after: None, body: body.as_bytes() }
    }

    #[test]
    fn metas_errors_are_read_before_the_status_is_judged() {
        let judged = |status, code: &str| {
            let body = format!(r#"{{"error":{{"message":"x","code":{code}}}}}"#);
            judge(Provider::WhatsappCloud, Step::Resolve, &reply(status, &body))
        };
        assert_eq!(judged(400, r#"100,"error_subcode":33"#), Judgement::Gone);
        assert_eq!(judged(400, "100"), Judgement::Unexpected);
        for code in ["190", "368", "131031", "131042"] {
            assert_eq!(judged(401, code), Judgement::Refused, "{code}");
            assert_eq!(judged(400, code), Judgement::Refused, "{code}");
        }
        for code in ["3", "10", "200", "299", "131005"] {
            assert_eq!(judged(403, code), Judgement::Unexpected, "{code} may concern one file");
            assert_eq!(judged(400, code), Judgement::Unexpected, "{code}");
        }
        for code in ["4", "17", "32", "613", "80007", "130429"] {
            assert_eq!(judged(400, code), Judgement::Throttled(THROTTLED), "{code}");
        }
        assert_eq!(judged(404, "7"), Judgement::Unexpected, "only a code makes an id gone");
        assert_eq!(judged(410, "7"), Judgement::Gone);
        assert_eq!(judged(503, "2"), Judgement::Unavailable(None));
        assert_eq!(judged(400, "131016"), Judgement::Unavailable(None));
        assert_eq!(judge(Provider::WhatsappCloud, Step::Download, &reply(404, "")), Judgement::Again);
        assert_eq!(judge(Provider::WhatsappCloud, Step::Download, &reply(401, "")), Judgement::Refused);
    }

    #[test]
    fn what_360dialog_says_in_words_is_no_fault_of_the_file() {
        let judged = |status, body| judge(Provider::Dialog360, Step::Resolve, &reply(status, body));
        let limit = r#"{"error":"You have exceeded the endpoint rate limit."}"#;
        assert_eq!(judged(400, limit), Judgement::Throttled(BLOCKED));
        assert_eq!(judged(403, r#"{"error":"The endpoint is blocked"}"#), Judgement::Throttled(BLOCKED));
        assert_eq!(judged(401, "Invalid api_key"), Judgement::Refused);
        assert_eq!(judged(403, r#"{"error":{"code":10}}"#), Judgement::Unexpected, "one file");
        let gone = r#"{"error":{"code":100,"error_subcode":33}}"#;
        assert_eq!(judged(400, gone), Judgement::Gone);
    }

    #[test]
    fn a_page_in_the_place_of_a_file_and_a_link_that_is_over_begin_again() {
        let page = Reply { content_type: "text/html", ..reply(200, "") };
        assert_eq!(judge(Provider::Bird, Step::Download, &page), Judgement::Again);
        let elsewhere = Reply { from_account: false, ..reply(403, "") };
        assert_eq!(judge(Provider::BirdChannels, Step::Download, &elsewhere), Judgement::Again);
        assert_eq!(judge(Provider::Twilio, Step::Download, &elsewhere), Judgement::Again);
        assert_eq!(judge(Provider::Twilio, Step::Download, &reply(404, "")), Judgement::NotYet);
        assert_eq!(judge(Provider::Bird, Step::Download, &reply(410, "")), Judgement::Gone);
    }

    #[test]
    fn a_host_without_the_credential_says_nothing_about_the_account() {
        for provider in Provider::ALL {
            for status in [400, 401, 402, 403, 404, 410, 429, 451] {
                let elsewhere = Reply { from_account: false, ..reply(status, r#"{"error":{"code":190}}"#) };
                let judged = judge(provider, Step::Download, &elsewhere);
                let expected = match (provider, status) {
                    (Provider::Twilio, 404) => Judgement::NotYet,
                    (_, 429) => Judgement::Unavailable(None),
                    _ => Judgement::Again,
                };
                assert_eq!(judged, expected, "{provider:?} {status}");
            }
            for status in [204, 206, 405, 409, 421] {
                assert_eq!(judge(provider, Step::Download, &reply(status, "")), Judgement::Unexpected, "{status}");
            }
        }
    }
}
