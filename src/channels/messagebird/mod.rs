//! MessageBird's Conversations API, the oldest of Bird's three generations.
//!
//! Sources: <https://developers.messagebird.com/api/conversations>, and for both signatures the vendor's SDKs.

mod jwt;

use jiff::Timestamp;
use serde_json_borrow::Value;
use sha2::{Digest, Sha256};

use super::signature::{from_base64, is_recent};
use super::value::{NULL, field, id, json, owned, phone, text, time};
use super::{Account, Carrier, Channel, Denied, Ignored, Malformed, Media, Request, Scheme, Update};
use crate::events::{Declared, Kind, Message};

/// The older signature has a time in it. SDKs allow 5, 10 and 100 seconds; clocks differ more than that.
const MAX_AGE_S: i64 = 300;

/// An account of the Conversations API.
#[derive(Debug)]
pub(super) struct Messagebird {
    account: Account,
}

impl Messagebird {
    pub(super) fn new(account: &Account) -> Self {
        Self { account: account.clone() }
    }

    /// base64(HMAC-SHA256(signing key, time, LF, sorted query, LF, SHA-256 of the body)).
    fn verify_older(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
        let mac = from_base64(request.header("messagebird-signature").ok_or(Denied::Unsigned)?)?;
        let sent = request.header("messagebird-request-timestamp").ok_or(Denied::Unsigned)?;
        let hash = Sha256::digest(request.body);
        let mut result = Err(Denied::Wrong);
        for query in [sorted(request.query()), sorted_anew(request)] {
            let parts: [&[u8]; 5] = [sent.as_bytes(), b"\n", query.as_bytes(), b"\n", &hash];
            result = result.or(self.account.signing_keys.verify(Scheme::Sha256, &parts, &mac));
        }
        result?;
        let sent = sent.parse().map_err(|_| Denied::Unreadable)?;
        if is_recent(sent, now, MAX_AGE_S, MAX_AGE_S) { Ok(()) } else { Err(Denied::Stale) }
    }
}

/// The query sorted by name, encoded as it came.
fn sorted(query: &str) -> String {
    let mut parameters: Vec<&str> = query.split('&').filter(|parameter| !parameter.is_empty()).collect();
    parameters.sort_by_key(|parameter| parameter.split('=').next());
    parameters.join("&")
}

/// The query sorted by name, encoded anew, as the SDKs do.
fn sorted_anew(request: &Request<'_>) -> String {
    let mut parameters: Vec<_> = request.parameters().collect();
    parameters.sort_by(|one, other| one.0.cmp(&other.0));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

impl Channel for Messagebird {
    /// `MessageBird-Signature-JWT`, and where that is not sent the older `MessageBird-Signature`.
    fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
        let keys = &self.account.signing_keys;
        if keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        if request.headers.iter().any(|(name, _)| name == jwt::HEADER) {
            return jwt::verify(keys, request, now);
        }
        self.verify_older(request, now)
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        let webhook = json(request.body)?;
        let kind = text(&webhook, "type").ok_or(Malformed::Shape("it has no type"))?;
        Ok(vec![match (kind, field(&webhook, "message")) {
            ("message.created", Some(message)) if text(message, "direction") == Some("received") => {
                read(&self.account, &webhook, message)
            }
            ("message.created", Some(_)) => Update::Ignored(Ignored::OUTBOUND),
            ("message.updated", _) => Update::Ignored(Ignored::STATUS),
            _ => Update::Ignored(Ignored::UNKNOWN),
        }])
    }
}

fn read(account: &Account, webhook: &Value<'_>, message: &Value<'_>) -> Update {
    let kind = text(message, "type").unwrap_or_default();
    let (media_kind, link) = match kind {
        "audio" => (Some(Kind::Audio), "url"),
        "video" => (Some(Kind::Video), "url"),
        "image" => (Some(Kind::Image), "url"),
        "file" => (Some(Kind::Document), "url"),
        "whatsappSticker" => (Some(Kind::Image), "link"),
        "text" | "location" | "contacts" | "whatsappText" => return Update::Ignored(Ignored::TEXT),
        "interactive" | "button" | "whatsappOrder" => return Update::Ignored(Ignored::INTERACTIVE),
        _ => return Update::Ignored(Ignored::UNKNOWN),
    };
    let part = field(message, "content").and_then(|content| field(content, kind));
    let (Some(part), Some(message_id)) = (part, id(message, "id")) else { return Update::Ignored(Ignored::UNKNOWN) };
    let Some(reference) = owned(part, link) else { return Update::Ignored(Ignored::UNKNOWN) };
    let account_id = id(message, "channelId").unwrap_or_default();
    if !account.takes(&account_id) {
        return Update::Ignored(Ignored::OTHER_ACCOUNT);
    }
    let contact = field(webhook, "contact").unwrap_or(&NULL);
    let number = text(message, "from").and_then(phone).or_else(|| id(contact, "msisdn").as_deref().and_then(phone));
    let sent_at = time(field(message, "createdDatetime"));
    let echoed = Message {
        channel: Some(text(message, "platform").unwrap_or("messagebird").to_owned()),
        direction: Some("inbound".to_owned()),
        message_id: Some(message_id.clone()),
        conversation_id: owned(message, "conversationId"),
        caption: owned(part, "caption"),
        phone: number,
        user_id: owned(contact, "id"),
        contact_name: owned(contact, "displayName"),
        sent_at: sent_at.map(|at| at.to_string()),
        ..Message::default()
    };
    let carrier = Carrier { account_id, message_id, n: "0".to_owned(), message: echoed, sent_at };
    let declared = Declared::default();
    Update::Media(Box::new(Media { carrier, reference, declared, kind: media_kind, is_history: false }))
}
