//! Simulates a provider that only data describe: webhooks in the shape of WAHA's, as `docs/channels/generic.md` configures them,
//! and files that ask for a bearer token.
//!
//! Source: <https://waha.devlike.pro/docs/how-to/events/>.

use serde_json::json;

use super::played::{Answer, Asked, Delivered, Played, Webhook, unix_now};
use super::sign;

/// The path of files.
const FILES: &str = "/api/files/";

pub(super) fn webhook(played: &Played, n: usize) -> (Delivered, Webhook) {
    let (sample, session) = (played.files.of_message(n), played.options.account_id.as_str());
    let message_id = format!("false_5511999990000@c.us_{n:032X}");
    let media = json!({
        "url": format!("http://{}{FILES}{n}", played.address), "mimetype": sample.mime_type, "filename": sample.name,
    });
    let body = json!({
        "event": "message", "session": session,
        "payload": {
            "id": message_id, "timestamp": played.sent_at(n), "from": "5511999990000@c.us", "fromMe": false, "body": "",
            "hasMedia": true, "media": media,
        },
    });
    let body = body.to_string().into_bytes();
    let signature = hex::encode(sign::sha512(played.options.secret.as_bytes(), &[&body]));
    let headers = vec![
        ("x-webhook-hmac", signature),
        ("x-webhook-hmac-algorithm", "sha512".to_owned()),
        ("x-webhook-timestamp", (unix_now() * 1000).to_string()),
    ];
    let (account_id, file) = (session.to_owned(), sample.name.clone());
    let delivered = Delivered { message_id, part: None, account_id, file, attempts: 0 };
    (delivered, Webhook { content_type: "application/json", headers, body })
}

pub(super) fn answer(played: &Played, asked: &Asked) -> Answer {
    let refused = |status: u16| Answer::Json(status, json!({ "statusCode": status }));
    if asked.authorization.as_deref() != Some(&*format!("Bearer {}", played.options.token)) {
        return refused(401);
    }
    let known = asked.path.strip_prefix(FILES).filter(|id| played.sample(id).is_some());
    let Some(n) = known else { return refused(404) };
    match played.busy(n) {
        Some(status) => refused(status),
        None => Answer::File(n.to_owned()),
    }
}
