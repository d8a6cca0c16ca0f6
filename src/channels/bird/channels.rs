//! Bird's Channels API.
//!
//! Sources: <https://docs.bird.com/api/notifications-api/api-reference/webhook-subscriptions/verifying-a-webhook-subscription>,
//! <https://docs.bird.com/api/notifications-api/retries>, and its pages on receiving WhatsApp messages.

use jiff::Timestamp;
use serde_json_borrow::Value;
use sha2::{Digest, Sha256};

use crate::channels::signature::{from_base64, is_recent};
use crate::channels::value::{NULL, field, id, json, kind_of, list, owned, phone, text, time};
use crate::channels::{Account, Carrier, Channel, Denied, Ignored, Malformed, Media, Request, Scheme, Update};
use crate::events::{Declared, Kind, Message};

/// A repetition keeps the time of its first delivery, and deliveries are repeated for 8 hours.
const MAX_AGE_S: i64 = 24 * 3600;
/// How far the provider's clock may be ahead.
const MAX_AHEAD_S: i64 = 300;

/// A channel of Bird's.
#[derive(Debug)]
pub(in crate::channels) struct Channels {
    account: Account,
}

impl Channels {
    pub(in crate::channels) fn new(account: &Account) -> Self {
        Self { account: account.clone() }
    }
}

impl Channel for Channels {
    /// base64(HMAC-SHA256(signing key, time, LF, URL, LF, SHA-256 of the body)). The older generation has the same header
    /// with the query in the URL's place.
    fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
        let keys = &self.account.signing_keys;
        if keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let mac = from_base64(request.header("messagebird-signature").ok_or(Denied::Unsigned)?)?;
        let sent = request.header("messagebird-request-timestamp").ok_or(Denied::Unsigned)?;
        let hash = Sha256::digest(request.body);
        let parts: [&[u8]; 5] = [sent.as_bytes(), b"\n", request.url.as_bytes(), b"\n", &hash];
        keys.verify(Scheme::Sha256, &parts, &mac)?;
        let sent = sent.parse().map_err(|_| Denied::Unreadable)?;
        if is_recent(sent, now, MAX_AGE_S, MAX_AHEAD_S) { Ok(()) } else { Err(Denied::Stale) }
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        let webhook = json(request.body)?;
        let event = text(&webhook, "event").ok_or(Malformed::Shape("it has no event"))?;
        let ignored = |why| Ok(vec![Update::Ignored(why)]);
        let (platform, what) = event.split_once('.').unwrap_or((event, ""));
        let Some(payload) = field(&webhook, "payload") else { return ignored(Ignored::UNKNOWN) };
        match what {
            "inbound" if text(payload, "direction").is_none_or(|direction| direction == "incoming") => {}
            "inbound" | "outbound" => return ignored(Ignored::OUTBOUND),
            _ => return ignored(Ignored::UNKNOWN),
        }
        Ok(read(&self.account, platform, payload))
    }
}

/// Files and pictures are arrays: one update each.
fn read(account: &Account, platform: &str, payload: &Value<'_>) -> Vec<Update> {
    let ignored = |why| vec![Update::Ignored(why)];
    let body = field(payload, "body").unwrap_or(&NULL);
    let kind = text(body, "type").unwrap_or_default();
    let list_name = match kind {
        "image" => "images",
        "file" => "files",
        "text" | "location" | "reaction" => return ignored(Ignored::TEXT),
        "list" | "carousel" | "action" | "template" => return ignored(Ignored::INTERACTIVE),
        _ => return ignored(Ignored::UNKNOWN),
    };
    let part = field(body, kind).unwrap_or(&NULL);
    let Some(message_id) = id(payload, "id") else { return ignored(Ignored::UNKNOWN) };
    let account_id = id(payload, "channelId").unwrap_or_default();
    if !account.takes(&account_id) {
        return ignored(Ignored::OTHER_ACCOUNT);
    }
    let sent_at = time(field(payload, "createdAt"));
    let message = echoed(platform, payload, &message_id, sent_at);
    let files = list(part, list_name).iter().enumerate().filter_map(|(n, file)| {
        let reference = owned(file, "mediaUrl")?;
        let mut message = message.clone();
        message.caption = owned(file, "altText").or_else(|| owned(part, "text"));
        let carrier = Carrier {
            account_id: account_id.clone(),
            message_id: message_id.clone(),
            n: n.to_string(),
            message,
            sent_at,
        };
        let mime_type = owned(file, "contentType");
        let kind = kind_of(mime_type.as_deref()).or_else(|| (kind == "image").then_some(Kind::Image));
        let declared = Declared { mime_type, file_name: owned(file, "filename"), ..Declared::default() };
        Some(Update::Media(Box::new(Media { carrier, reference, declared, kind, is_history: false })))
    });
    let updates: Vec<_> = files.collect();
    if updates.is_empty() { ignored(Ignored::UNKNOWN) } else { updates }
}

fn echoed(platform: &str, payload: &Value<'_>, message_id: &str, sent_at: Option<Timestamp>) -> Message {
    let contact = field(payload, "sender").and_then(|sender| field(sender, "contact")).unwrap_or(&NULL);
    let identifier = text(contact, "identifierValue");
    Message {
        channel: Some(platform.to_owned()),
        direction: Some("inbound".to_owned()),
        message_id: Some(message_id.to_owned()),
        conversation_id: owned(payload, "conversationId"),
        phone: identifier.and_then(phone),
        user_id: owned(contact, "id"),
        contact_name: field(contact, "annotations").and_then(|notes| owned(notes, "name")),
        sent_at: sent_at.map(|at| at.to_string()),
        ..Message::default()
    }
}
