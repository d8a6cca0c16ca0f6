//! What an answer of a provider means for the file, and for its account.

use std::time::Duration;

use serde_json::Value;

use crate::channels::Provider;
use crate::channels::value::number;

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
    /// The account's credential is refused, or its rights are too few: an operator is needed, and files wait.
    Refused,
    /// The provider has a passing trouble.
    Unavailable(Option<Duration>),
    /// An answer that nobody expects.
    Unexpected,
}

pub(super) fn judge(provider: Provider, step: Step, reply: &Reply<'_>) -> Judgement {
    match reply.status {
        200 | 203 if step == Step::Download && reply.content_type == "text/html" => return Judgement::Again,
        200 | 203 => return Judgement::Here,
        408 | 425 | 500..=599 => return Judgement::Unavailable(reply.retry_after),
        _ => {}
    }
    match provider {
        Provider::WhatsappCloud => meta(step, reply).unwrap_or_else(|| by_status(step, reply)),
        Provider::Dialog360 => dialog360(step, reply),
        Provider::Twilio => match reply.status {
            404 if reply.from_account => Judgement::NotYet,
            400 | 403 if !reply.from_account => Judgement::Again,
            _ => by_status(step, reply),
        },
        // A link that another host signed is over, or was asked for in two ways at once.
        Provider::BirdChannels if !reply.from_account && matches!(reply.status, 400 | 403) => Judgement::Again,
        Provider::BirdChannels | Provider::Messagebird | Provider::Bird | Provider::Generic => by_status(step, reply),
    }
}

fn by_status(step: Step, reply: &Reply<'_>) -> Judgement {
    match (reply.status, step) {
        (401 | 402 | 403 | 451, _) => Judgement::Refused,
        (404 | 410, _) => Judgement::Gone,
        (429, _) => Judgement::Throttled(reply.retry_after.unwrap_or(THROTTLED)),
        _ => Judgement::Unexpected,
    }
}

/// Graph's error codes; nothing where the answer has none.
fn meta(step: Step, reply: &Reply<'_>) -> Option<Judgement> {
    if step == Step::Download && matches!(reply.status, 403 | 404 | 410) {
        // The URL has expired: five minutes are soon over.
        return Some(Judgement::Again);
    }
    let answer: Value = serde_json::from_slice(reply.body).ok()?;
    let error = answer.get("error")?;
    let throttled = || Judgement::Throttled(reply.retry_after.unwrap_or(THROTTLED));
    Some(match number(error, "code")? {
        100 if number(error, "error_subcode") == Some(33) => Judgement::Gone,
        190 | 3 | 10 | 200..=299 | 131_005 | 368 | 131_031 | 131_042 => Judgement::Refused,
        4 | 80_007 | 130_429 | 131_048 | 131_056 | 133_016 => throttled(),
        1 | 2 | 131_000 | 131_016 | 131_057 => Judgement::Unavailable(reply.retry_after),
        131_052 => Judgement::Gone,
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
        403 | 429 => blocked(),
        _ => meta(step, reply).unwrap_or_else(|| by_status(step, reply)),
    }
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
        for code in ["190", "10", "200", "299", "131031"] {
            assert_eq!(judged(401, code), Judgement::Refused, "{code}");
            assert_eq!(judged(400, code), Judgement::Refused, "{code}");
        }
        for code in ["4", "80007", "130429"] {
            assert_eq!(judged(400, code), Judgement::Throttled(THROTTLED), "{code}");
        }
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
}
