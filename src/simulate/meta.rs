//! Simulates Meta's Graph API and webhooks, and 360dialog's variant of both.
//!
//! Sources: <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media>,
//! <https://docs.360dialog.com/partner/messaging/media-messages/upload-retrieve-delete-media>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};
use super::{Fault, Provider, URL_LIFETIME};

/// The path of files, on any host.
const ATTACHMENTS: &str = "/whatsapp_business/attachments/";
/// The number that ids of files start from; the number of the message is added.
const FILE_ID: u64 = 700_000_000_000_000;

/// `wamid.` and base64 of a phone number and a number, like a real message id.
fn message_id(n: usize) -> String {
    format!("wamid.{}", STANDARD.encode(format!("5511999990000-{n:08}")))
}

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let sample = played.files.of_message(n);
    let mut file = json!({
        "id": (FILE_ID + n as u64).to_string(), "mime_type": sample.mime_type, "sha256": STANDARD.encode(sample.sha256),
    });
    if sample.kind == "document" {
        file["filename"] = sample.name.clone().into();
    }
    if sample.kind == "audio" {
        file["voice"] = true.into();
    }
    let (message_id, sent_at) = (message_id(n), played.sent_at(n).to_string());
    let mut messages = vec![json!({
        "from": "5511999990000", "from_user_id": "BR.1000000000000000001", "id": message_id,
        "timestamp": sent_at, "type": sample.kind, sample.kind: file,
    })];
    let mut changes = Vec::new();
    if played.options.faults.has(Fault::Noise) {
        let text = json!({ "body": "Olá, tudo bem? ana@example.test 😀" });
        let id = format!("{message_id}T");
        messages.push(json!({ "from": "5511999990000", "id": id, "timestamp": sent_at, "type": "text", "text": text }));
        let status = json!({ "id": message_id, "status": "read", "timestamp": sent_at });
        changes.push(change(played, json!({ "statuses": [status] })));
    }
    let contact = json!({ "profile": { "name": "Ana", "username": "ana" }, "wa_id": "5511999990000" });
    changes.push(change(played, json!({ "contacts": [contact], "messages": messages })));
    let body =
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "900000000000001", "changes": changes }] });
    let body = escaped(&body.to_string()).into_bytes();
    let signature = format!("sha256={}", signature(&played.options.secret, &body));
    let header =
        if played.options.provider == Provider::Dialog360 { "x-360dialog-signature" } else { "x-hub-signature-256" };
    let delivered = Delivered {
        message_id,
        part: None,
        account_id: played.options.account_id.clone(),
        file: sample.name.clone(),
        attempts: 0,
    };
    (delivered, Webhook { content_type: "application/json", headers: vec![(header, signature)], body })
}

fn change(played: &Played, mut value: Value) -> Value {
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] = json!({ "display_phone_number": "15550000001", "phone_number_id": played.options.account_id });
    json!({ "field": "messages", "value": value })
}

fn signature(secret: &str, body: &[u8]) -> String {
    // An HMAC takes a key of any length.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    hmac.update(body);
    hex::encode(hmac.finalize().into_bytes())
}

/// JSON in the form that Meta writes and signs: `\uXXXX` in lower case for everything outside of ASCII and for `@`, `<`
/// and `%`; `\/` for a slash.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    for c in json.chars() {
        match c {
            '/' => text.push_str("\\/"),
            '@' | '<' | '%' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c.is_ascii() => text.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
}

pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let is_known = match played.options.provider {
        Provider::Dialog360 => {
            asked.api_key.as_deref() == Some(&*played.options.token) && asked.authorization.is_none()
        }
        _ => asked.authorization.as_deref() == Some(&*format!("Bearer {}", played.options.token)),
    };
    if !is_known {
        return graph_error(401, 190, None, "Error validating access token");
    }
    if asked.path == ATTACHMENTS { attachment(played, asked) } else { resolve(played, asked) }
}

/// `GET /<version>/<id>`; without the version for 360dialog.
fn resolve(played: &Played, asked: &Asked) -> Answer {
    let id = asked.path.rsplit('/').next().unwrap_or_default();
    let known = id.parse().ok().and_then(|id: u64| id.checked_sub(FILE_ID)).map(|n| n.to_string());
    let Some((n, sample)) = known.and_then(|n| played.sample(&n).map(|sample| (n.clone(), sample))) else {
        return graph_error(400, 100, Some(33), "Unsupported get request. Object does not exist");
    };
    if played.occurs(Fault::Throttled, &n, 1) {
        return match played.options.provider {
            Provider::Dialog360 => Answer::Json(400, json!({ "error": "You have exceeded the endpoint rate limit." })),
            _ => graph_error(400, 80_007, None, "Rate limit issues"),
        };
    }
    if played.occurs(Fault::Unavailable, &n, 2) {
        return graph_error(503, 2, None, "Service temporarily unavailable");
    }
    let is_expired = played.occurs(Fault::Expired, &n, 1);
    let until = if is_expired { unix_now() - 1 } else { unix_now() + URL_LIFETIME.as_secs() };
    // 360dialog returns URLs with Meta's host, which only Meta's own tokens can request.
    let host = match played.options.provider {
        Provider::Dialog360 => "https://lookaside.fbsbx.com".to_owned(),
        _ => format!("http://{}", played.address),
    };
    Answer::Json(
        200,
        json!({
            "messaging_product": "whatsapp", "url": format!("{host}{ATTACHMENTS}?mid={n}&ext={until}&hash=ARn0"),
            "mime_type": sample.mime_type, "sha256": hex::encode(sample.sha256), "file_size": sample.size_bytes, "id": id,
        }),
    )
}

fn attachment(played: &Played, asked: &Asked) -> Answer {
    let until: u64 = asked.parameter("ext").and_then(|text| text.parse().ok()).unwrap_or_default();
    let id = asked.parameter("mid").unwrap_or_default().to_owned();
    if until < unix_now() || played.occurs(Fault::NotYet, &id, 2) {
        return Answer::Json(404, json!({ "error": "not found" }));
    }
    Answer::File(id)
}

fn graph_error(status: u16, code: u64, subcode: Option<u64>, message: &str) -> Answer {
    let mut error = json!({ "message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1" });
    if let Some(subcode) = subcode {
        error["error_subcode"] = subcode.into();
    }
    Answer::Json(status, json!({ "error": error }))
}
