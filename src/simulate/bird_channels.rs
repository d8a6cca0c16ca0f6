//! Simulates Bird's Channels API: signatures over URL and body, and files behind a redirect to a signed link.
//!
//! Sources: <https://docs.bird.com/api/notifications-api/api-reference/webhook-subscriptions/verifying-a-webhook-subscription>,
//! and the vendor's pages on receiving WhatsApp messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Fault;
use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};
use super::sign;

/// The path of files with signed links. A request that also has an Authorization header is refused.
const SIGNED: &str = "/signed/";
/// How many seconds such a link is valid.
const LINK_LIFETIME_S: u64 = 900;

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let (sample, account) = (played.files.of_message(n), played.options.account_id.as_str());
    let message_id = format!("00000000-0000-4000-8000-{n:012x}");
    let url = format!("http://{}/workspaces/ws-1/messages/{message_id}/media/f-{n:x}", played.address);
    let file = json!({ "mediaUrl": url, "contentType": sample.mime_type, "filename": sample.name });
    let part = match sample.kind {
        "image" => json!({ "type": "image", "image": { "images": [file] } }),
        _ => json!({ "type": "file", "file": { "files": [file] } }),
    };
    let contact = json!({ "id": "ct-1", "identifierKey": "phonenumber", "identifierValue": "+5511999990000" });
    let body = json!({
        "service": "channels", "event": "whatsapp.inbound",
        "payload": {
            "id": message_id, "channelId": account, "direction": "incoming", "status": "delivered",
            "createdAt": played.sent_at_text(n), "sender": { "contact": contact },
            "receiver": { "connector": { "id": account } }, "body": part,
        },
    });
    let body = body.to_string().into_bytes();
    // A webhook that is sent again keeps the time of the first attempt.
    let sent = played.sent_at(n).to_string();
    let parts: [&[u8]; 5] = [sent.as_bytes(), b"\n", played.gateway_url().as_bytes(), b"\n", &Sha256::digest(&body)];
    let signature = STANDARD.encode(sign::sha256(played.options.secret.as_bytes(), &parts));
    let headers = vec![("messagebird-signature", signature), ("messagebird-request-timestamp", sent)];
    let (account_id, file) = (account.to_owned(), sample.name.clone());
    let delivered = Delivered { message_id, part: None, account_id, file, attempts: 0 };
    (delivered, Webhook { content_type: "application/json", headers, body })
}

pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let refused = |status: u16, code: &str| Answer::Json(status, json!({ "code": code, "message": code }));
    if let Some(id) = asked.path.strip_prefix(SIGNED) {
        let until: u64 = asked.parameter("until").and_then(|text| text.parse().ok()).unwrap_or_default();
        return match () {
            () if asked.authorization.is_some() => refused(400, "Only one auth mechanism allowed"),
            () if until < unix_now() => refused(403, "Request has expired"),
            () => Answer::File(id.to_owned()),
        };
    }
    if asked.authorization.as_deref() != Some(&*format!("AccessKey {}", played.options.token)) {
        return refused(401, "Unauthenticated");
    }
    let known = asked.path.rsplit_once("/media/f-").and_then(|(_, hex)| usize::from_str_radix(hex, 16).ok());
    let Some(n) = known.map(|n| n.to_string()).filter(|n| played.sample(n).is_some()) else {
        return refused(404, "NotFound");
    };
    if let Some(status) = played.busy(&n) {
        return refused(status, "TryAgainLater");
    }
    let until = if played.occurs(Fault::Expired, &n, 1) { unix_now() - 1 } else { unix_now() + LINK_LIFETIME_S };
    // Another origin than the API's, as with the real one.
    let host = played.address.to_string().replace("127.0.0.1", "localhost");
    Answer::Redirect(302, format!("http://{host}{SIGNED}{n}?until={until}&X-Amz-Signature=x"))
}
