//! Simulates MessageBird's Conversations API: webhooks signed by a JSON Web Token over URL and body, and public files.
//!
//! Sources: <https://developers.messagebird.com/api/conversations>, and for the token the vendor's SDKs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};
use super::sign;

/// The path of files.
const FILES: &str = "/v1/media/00000000-0000-4000-8000-";
/// How many seconds a token is valid.
const TOKEN_LIFETIME_S: u64 = 60;

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let (sample, account) = (played.files.of_message(n), played.options.account_id.as_str());
    let (message_id, sent_at) = (format!("{n:032x}"), played.sent_at_text(n));
    let kind = if sample.kind == "document" { "file" } else { sample.kind };
    let file = json!({ "url": format!("http://{}{FILES}{n:012x}", played.address) });
    let conversation = "c0000000000000000000000000000001";
    let body = json!({
        "type": "message.created",
        "message": {
            "id": message_id, "conversationId": conversation, "channelId": account, "platform": "whatsapp",
            "from": "+5511999990000", "to": "+15550000001", "direction": "received", "status": "received", "type": kind,
            "content": { kind: file }, "createdDatetime": sent_at, "updatedDatetime": sent_at,
        },
        "contact": { "id": "ct000000000000000000000000000001", "displayName": "Zoë 😀", "msisdn": 5_511_999_990_000_u64 },
        "conversation": { "id": conversation, "status": "active" },
    });
    let body = body.to_string().into_bytes();
    let headers = vec![("messagebird-signature-jwt", token(played, &body))];
    let (account_id, file) = (account.to_owned(), sample.name.clone());
    let delivered = Delivered { message_id, part: None, account_id, file, attempts: 0 };
    (delivered, Webhook { content_type: "application/json", headers, body })
}

/// A new token for each attempt.
fn token(played: &Played, body: &[u8]) -> String {
    let now = unix_now();
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let claims = json!({
        "iss": "MessageBird", "nbf": now, "exp": now + TOKEN_LIFETIME_S, "jti": uuid::Uuid::new_v4().to_string(),
        "url_hash": hash(played.gateway_url().as_bytes()), "payload_hash": hash(body),
    });
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let signed = format!("{}.{}", part(json!({ "alg": "HS256", "typ": "JWT" }).to_string()), part(claims.to_string()));
    let mac = sign::sha256(played.options.secret.as_bytes(), &[signed.as_bytes()]);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Files are public; a key that is sent all the same has to be right.
pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let refused = |status: u16, code: u32, description: &str| {
        let error = json!({ "code": code, "description": description, "parameter": null });
        Answer::Json(status, json!({ "errors": [error] }))
    };
    let key = format!("AccessKey {}", played.options.token);
    if asked.authorization.as_ref().is_some_and(|sent| *sent != key) {
        return refused(401, 2, "Request not allowed (incorrect access_key)");
    }
    let known = asked.path.strip_prefix(FILES).and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let Some(n) = known.map(|n| n.to_string()).filter(|n| played.sample(n).is_some()) else {
        return refused(404, 20, "not found");
    };
    match played.busy(&n) {
        Some(status) => refused(status, 9, "try again later"),
        None => Answer::File(n),
    }
}
