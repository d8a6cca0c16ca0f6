//! Simulates Twilio's media resource and webhooks.
//!
//! Sources: <https://www.twilio.com/docs/messaging/api/media-resource>, <https://www.twilio.com/docs/messaging/guides/webhook-request>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha1::Sha1;

use super::Fault;
use super::URL_LIFETIME;
use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};

/// The path of files with signed URLs. A request that also has an Authorization header is refused.
const CDN: &str = "/cdn/";

fn sid(prefix: &str, n: usize) -> String {
    format!("{prefix}{n:032x}")
}

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let sample = played.files.of_message(n);
    let options = &played.options;
    let (account, message, media) = (options.account_id.as_str(), sid("MM", n), sid("ME", n));
    let base = format!("http://{}/2010-04-01/Accounts/{account}", played.address);
    let mut fields = vec![
        ("MessageSid", message.clone()),
        ("SmsMessageSid", message.clone()),
        ("SmsSid", message.clone()),
        ("AccountSid", account.to_owned()),
        ("From", "whatsapp:+5511999990000".to_owned()),
        ("To", "whatsapp:+14155238886".to_owned()),
        ("Body", String::new()),
        ("NumMedia", "1".to_owned()),
        ("NumSegments", "1".to_owned()),
        ("SmsStatus", "received".to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("MediaContentType0", sample.mime_type.clone()),
        ("MediaUrl0", format!("{base}/Messages/{message}/Media/{media}")),
        ("MessageType", sample.kind.to_owned()),
        ("ProfileName", "Zoë 😀".to_owned()),
        ("WaId", "5511999990000".to_owned()),
        ("ReferralNumMedia", "0".to_owned()),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    fields.sort();
    let signed: String = std::iter::once(played.gateway_url().to_owned())
        .chain(fields.into_iter().map(|(name, value)| format!("{name}{value}")))
        .collect();
    let headers =
        vec![("x-twilio-signature", signature(&options.secret, &signed)), ("i-twilio-idempotency-token", sid("", n))];
    let delivered = Delivered {
        message_id: message,
        part: Some(media),
        account_id: account.to_owned(),
        file: sample.name.clone(),
        attempts: 0,
    };
    (delivered, Webhook { content_type: "application/x-www-form-urlencoded", headers, body: body.into_bytes() })
}

fn signature(secret: &str, text: &str) -> String {
    // An HMAC takes a key of any length.
    let Ok(mut hmac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    hmac.update(text.as_bytes());
    STANDARD.encode(hmac.finalize().into_bytes())
}

pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let refused = |status: u16, code: u32, message: &str| {
        Answer::Json(status, json!({ "code": code, "message": message, "status": status }))
    };
    if let Some(id) = asked.path.strip_prefix(CDN) {
        let until: u64 = asked.parameter("Expires").and_then(|text| text.parse().ok()).unwrap_or_default();
        return match () {
            () if asked.authorization.is_some() => refused(400, 0, "Only one auth mechanism allowed"),
            () if until < unix_now() => refused(403, 0, "Request has expired"),
            () => Answer::File(id.to_owned()),
        };
    }
    let credentials = format!("{}:{}", played.options.account_id, played.options.token);
    if asked.authorization.as_deref() != Some(&*format!("Basic {}", STANDARD.encode(credentials))) {
        return refused(401, 20003, "Authenticate");
    }
    let known = asked.path.rsplit_once("/Media/ME").and_then(|(_, hex)| usize::from_str_radix(hex, 16).ok());
    let Some(n) = known.map(|n| n.to_string()).filter(|n| played.sample(n).is_some()) else {
        return refused(404, 20404, "The requested resource was not found");
    };
    if played.occurs(Fault::NotYet, &n, 2) {
        return refused(404, 20404, "The requested resource was not found");
    }
    if played.occurs(Fault::Throttled, &n, 1) {
        return refused(429, 20429, "Too many concurrent requests");
    }
    if played.occurs(Fault::Unavailable, &n, 2) {
        return refused(503, 20503, "Service unavailable");
    }
    let until = if played.occurs(Fault::Expired, &n, 1) { unix_now() - 1 } else { unix_now() + URL_LIFETIME.as_secs() };
    // Another origin than the API's, as with the real Twilio.
    let host = played.address.to_string().replace("127.0.0.1", "localhost");
    Answer::Redirect(307, format!("http://{host}{CDN}{n}?Expires={until}&Signature=x&Key-Pair-Id=y"))
}
