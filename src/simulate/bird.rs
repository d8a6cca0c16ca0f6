//! Simulates Bird's platform of 2026: Standard Webhooks, and files that ask for a bearer token.
//!
//! Sources: the vendor's SDKs (`bird-sdk-python`, `bird-sdk-go`),
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};
use super::sign;

/// The key in a secret of the form `whsec_<base64>`.
pub(super) fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok().filter(|key| !key.is_empty())
}

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let (sample, account) = (played.files.of_message(n), played.options.account_id.as_str());
    let (message_id, file_id) = (format!("wam_{n:026}"), format!("waf_{n:026}"));
    let url = format!("http://{}/v1/whatsapp/messages/{message_id}/media/{file_id}", played.address);
    let mut file = json!({ "id": file_id, "url": url, "mime_type": sample.mime_type });
    match sample.kind {
        "audio" => file["voice"] = true.into(),
        "document" => file["filename"] = sample.name.clone().into(),
        _ => {}
    }
    let body = json!({
        "type": "whatsapp.received", "timestamp": played.sent_at_text(n),
        "data": {
            "whatsapp_id": message_id, "workspace_id": account, "direction": "inbound", "from": "+5511999990000",
            "to": "+15550000001", sample.kind: file,
        },
    });
    let body = body.to_string().into_bytes();
    // The id of the event stays the same when it is sent again; the time is that of the attempt.
    let (event_id, sent) = (format!("msg_{n:026}"), unix_now().to_string());
    let key = key(&played.options.secret).unwrap_or_default();
    let mac = sign::sha256(&key, &[event_id.as_bytes(), b".", sent.as_bytes(), b".", &body]);
    let signature = format!("v1,{}", STANDARD.encode(mac));
    let headers = vec![("webhook-id", event_id), ("webhook-timestamp", sent), ("webhook-signature", signature)];
    let (account_id, file) = (account.to_owned(), sample.name.clone());
    let delivered = Delivered { message_id, part: None, account_id, file, attempts: 0 };
    (delivered, Webhook { content_type: "application/json", headers, body })
}

pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let refused = |status: u16, code: &str| Answer::Json(status, json!({ "error": { "code": code } }));
    if asked.authorization.as_deref() != Some(&*format!("Bearer {}", played.options.token)) {
        return refused(401, "unauthorized");
    }
    let known = asked.path.rsplit_once("/media/waf_").and_then(|(_, digits)| digits.parse::<usize>().ok());
    let Some(n) = known.map(|n| n.to_string()).filter(|n| played.sample(n).is_some()) else {
        return refused(404, "not_found");
    };
    match played.busy(&n) {
        Some(status) => refused(status, "try_again_later"),
        None => Answer::File(n),
    }
}
