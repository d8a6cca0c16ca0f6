//! What a provider is asked to find out whether an account works, and what its answers mean. Everything here is pure.
//!
//! Sources: Meta's page *Permissions* (`debug_token` with the token itself as bearer) and `../docs/channels/` for the codes;
//! Twilio's REST API for the account resource; 360dialog's page on webhooks for `/v1/configs/webhook`. Where no answer of a
//! provider tells, the finding says so.

use jiff::Timestamp;
use serde_json_borrow::Value;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::fetch::Fetcher;
use super::value::{field, json, number, text};
use super::{AccountError, Provider};
use crate::config;

/// The permission without which Meta gives no media and sends no webhooks.
const MESSAGING: &str = "whatsapp_business_messaging";

/// One request. Its URL may hold the token, so that `Debug` does not show it.
pub struct Question {
    /// What is found out.
    pub about: &'static str,
    url: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    MetaNumber,
    MetaToken,
    Dialog360Webhook,
    TwilioAccount,
}

/// What an answer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It works.
    Works(String),
    /// It does not, and what to do about it.
    Fails(String, &'static str),
    /// The answer does not tell.
    Unknown(String),
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("about", &self.about).finish_non_exhaustive()
    }
}

/// What to ask about an account; nothing where the provider has no request whose answer tells.
///
/// # Errors
/// [`AccountError`] where a setting cannot work.
pub fn questions(channel: &config::Channel) -> Result<Vec<Question>, AccountError> {
    let fetcher = Fetcher::new(channel)?;
    let base = fetcher.api();
    let ask = |about, kind, url| Question { about, url, kind };
    Ok(match fetcher.provider() {
        Provider::WhatsappCloud => {
            let token: String = byte_serialize(channel.token.expose().as_bytes()).collect();
            let mut questions = vec![ask("token", Kind::MetaToken, format!("{base}/debug_token?input_token={token}"))];
            if is_id(&channel.account) {
                questions.push(ask("number", Kind::MetaNumber, format!("{base}/{}?fields=id", channel.account)));
            }
            questions
        }
        Provider::Dialog360 => vec![ask("webhook", Kind::Dialog360Webhook, format!("{base}/v1/configs/webhook"))],
        Provider::Twilio if is_id(&channel.account) => {
            let url = format!("{base}/2010-04-01/Accounts/{}.json", channel.account);
            vec![ask("account", Kind::TwilioAccount, url)]
        }
        Provider::Twilio | Provider::Messagebird | Provider::BirdChannels | Provider::Bird | Provider::Generic => {
            Vec::new()
        }
    })
}

/// What can stand in a path as it is.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Question {
    /// Where it is asked, with the account's credential.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What an answer shows. `callback` is the URL of the account's webhooks, where it is known.
    #[must_use]
    pub fn read(&self, status: u16, body: &[u8], callback: Option<&str>, now: Timestamp) -> Finding {
        let answer = json(body).unwrap_or_default();
        match (self.kind, status) {
            (Kind::MetaToken, 200) => meta_token(&answer, now),
            (Kind::MetaNumber, 200) => Finding::Works("the token may use this number".to_owned()),
            (Kind::MetaToken | Kind::MetaNumber, _) => meta_error(self.kind, status, &answer),
            (Kind::Dialog360Webhook, 200) => dialog360(&answer, callback),
            (Kind::TwilioAccount, 200) => twilio(&answer),
            (Kind::TwilioAccount, 401 | 403) => Finding::Fails(
                format!("Twilio answers {status}"),
                "token belongs to token_user, or to account where that is empty: an API key (SK…) goes with its own secret, \
                 the account (AC…) with the auth token",
            ),
            (Kind::TwilioAccount, 404) => {
                Finding::Fails("Twilio knows no such account".to_owned(), "account must be the account SID, AC…")
            }
            (Kind::Dialog360Webhook, 401 | 403) => {
                Finding::Fails(format!("360dialog answers {status}"), "token must be the API key of this number")
            }
            (Kind::Dialog360Webhook | Kind::TwilioAccount, _) => Finding::Unknown(format!("the answer is {status}")),
        }
    }
}

fn meta_token(answer: &Value<'_>, now: Timestamp) -> Finding {
    let Some(data) = field(answer, "data") else { return Finding::Unknown("the answer has no data".to_owned()) };
    if field(data, "is_valid").and_then(Value::as_bool) == Some(false) {
        return Finding::Fails(
            "Meta says that the token is not valid".to_owned(),
            "make a new token and write it to token",
        );
    }
    let Some(scopes) = field(data, "scopes").and_then(Value::as_array) else {
        return Finding::Unknown("the answer names no permissions".to_owned());
    };
    if !scopes.iter().any(|scope| scope.as_str() == Some(MESSAGING)) {
        return Finding::Fails(
            format!("the token lacks the permission {MESSAGING}"),
            "make a system user's token with this permission",
        );
    }
    let until = number(data, "expires_at").filter(|second| *second > 0);
    let until = until.and_then(|second| Timestamp::from_second(i64::try_from(second).ok()?).ok());
    Finding::Works(match until {
        Some(until) if until <= now => {
            return Finding::Fails(format!("the token ended at {until}"), "make a new token and write it to token");
        }
        Some(until) => format!("it has {MESSAGING}, and ends at {until}: a system user's token has no end"),
        None => format!("it has {MESSAGING}, and no end"),
    })
}

fn meta_error(kind: Kind, status: u16, answer: &Value<'_>) -> Finding {
    let error = field(answer, "error");
    let code = |name| error.and_then(|error| number(error, name));
    match (code("code"), code("error_subcode")) {
        (Some(190), _) => Finding::Fails(
            "the token has ended, was revoked, or is none of Meta's (code 190)".to_owned(),
            "make a new token and write it to token",
        ),
        (Some(100), Some(33)) if kind == Kind::MetaNumber => Finding::Fails(
            "there is no number of this id that the token may see (code 100)".to_owned(),
            "account must be the phone number id, and the system user must have the WhatsApp account among its assets",
        ),
        (Some(code @ (3 | 10 | 200..=299 | 131_005)), _) => Finding::Fails(
            format!("a permission is missing (code {code})"),
            "the token needs whatsapp_business_messaging, and whatsapp_business_management to be asked about its number",
        ),
        (Some(code @ (368 | 131_031 | 131_042)), _) => Finding::Fails(
            format!("Meta has stopped the account (code {code})"),
            "see the account in Meta's business settings",
        ),
        (Some(code), _) => Finding::Unknown(format!("the answer is {status} with code {code}")),
        (None, _) => Finding::Unknown(format!("the answer is {status}")),
    }
}

fn dialog360(answer: &Value<'_>, callback: Option<&str>) -> Finding {
    let set = text(answer, "url");
    match (set, callback) {
        (Some(set), Some(callback)) if set == callback => {
            Finding::Works("the key works, and webhooks come to this gateway".to_owned())
        }
        (Some(set), _) => {
            let host = Url::parse(set).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            Finding::Fails(
                format!("the key works, and webhooks go to another URL, on {host:?}"),
                "set the webhook at 360dialog to the URL that `mediamill channels` prints",
            )
        }
        (None, _) => Finding::Fails(
            "the key works, and no webhook is set".to_owned(),
            "set the webhook at 360dialog to the URL that `mediamill channels` prints",
        ),
    }
}

fn twilio(answer: &Value<'_>) -> Finding {
    match text(answer, "status") {
        Some("active") => Finding::Works("the credential works, and the account is active".to_owned()),
        Some(status @ ("suspended" | "closed")) => {
            Finding::Fails(format!("the account is {status}"), "see the account in Twilio's console")
        }
        Some(_) | None => Finding::Unknown("the answer does not say whether the account is active".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(provider: &str) -> config::Channel {
        let set = [
            ("channels.a.provider", provider),
            ("channels.a.tenant", "acme"),
            ("channels.a.account", "AC1"),
            ("channels.a.token", "t&k"),
            ("channels.a.hosts", "api.example"),
            ("channels.a.signature", "token"),
            ("channels.a.signature_header", "x"),
            ("channels.a.at_id", "/id"),
            ("channels.a.at_url", "/url"),
        ];
        let set: Vec<_> = set.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        config::load(None, [], &set).expect("a configuration").channels.remove("a").expect("an account")
    }

    fn found(provider: &str, about: &str, status: u16, body: &str) -> Finding {
        let questions = questions(&channel(provider)).expect("an account");
        let question = questions.iter().find(|question| question.about == about).expect("asked");
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        question.read(status, body.as_bytes(), Some("https://gw.example/v1/channels/a"), now)
    }

    #[test]
    fn a_token_is_asked_about_with_itself_and_is_not_shown() {
        let questions = questions(&channel("whatsapp-cloud")).expect("an account");
        assert!(questions[0].url().ends_with("/v24.0/debug_token?input_token=t%26k"), "{}", questions[0].url());
        assert!(!format!("{questions:?}").contains("t%26k"));
    }

    #[test]
    fn the_missing_permission_is_named() {
        let body = |scopes: &str, more: &str| format!(r#"{{"data":{{"is_valid":true,"scopes":[{scopes}]{more}}}}}"#);
        let token = |body: &str| found("whatsapp-cloud", "token", 200, body);
        let good = r#""public_profile","whatsapp_business_messaging""#;
        assert!(matches!(token(&body(good, "")), Finding::Works(text) if text.ends_with("no end")));
        assert!(matches!(token(&body(good, r#","expires_at":0"#)), Finding::Works(_)));
        assert!(
            matches!(token(&body(good, r#","expires_at":1790000001"#)), Finding::Works(text) if text.contains("ends at"))
        );
        assert!(matches!(token(&body(good, r#","expires_at":1789999999"#)), Finding::Fails(..)));
        assert!(matches!(token(&body("", "")), Finding::Fails(text, _) if text.contains(MESSAGING)));
        assert!(matches!(token(r#"{"data":{"is_valid":false}}"#), Finding::Fails(..)));
        assert!(matches!(token("no JSON"), Finding::Unknown(_)));
    }

    #[test]
    fn answers_are_told_apart() {
        let error = |code: &str| format!(r#"{{"error":{{"code":{code}}}}}"#);
        for (provider, about, status, body) in [
            ("whatsapp-cloud", "number", 401, error("190")),
            ("whatsapp-cloud", "number", 400, error(r#"100,"error_subcode":33"#)),
            ("whatsapp-cloud", "number", 403, error("200")),
            ("whatsapp-cloud", "token", 400, error("131031")),
            ("360dialog", "webhook", 401, String::new()),
            ("360dialog", "webhook", 200, r#"{"url":"https://other.example/"}"#.to_owned()),
            ("360dialog", "webhook", 200, "{}".to_owned()),
            ("twilio", "account", 401, String::new()),
            ("twilio", "account", 404, String::new()),
            ("twilio", "account", 200, r#"{"status":"suspended"}"#.to_owned()),
        ] {
            assert!(matches!(found(provider, about, status, &body), Finding::Fails(..)), "{provider} {status} {body}");
        }
        for (provider, about, body) in [
            ("whatsapp-cloud", "number", r#"{"id":"AC1"}"#),
            ("360dialog", "webhook", r#"{"url":"https://gw.example/v1/channels/a"}"#),
            ("twilio", "account", r#"{"status":"active"}"#),
        ] {
            assert!(matches!(found(provider, about, 200, body), Finding::Works(_)), "{provider}");
            assert!(matches!(found(provider, about, 503, ""), Finding::Unknown(_)), "{provider}");
        }
        for provider in ["messagebird", "bird-channels", "bird", "generic"] {
            assert!(questions(&channel(provider)).expect("an account").is_empty(), "{provider}");
        }
    }
}
