//! Bird's platform of 2026. Source: the vendor's SDKs (`bird-sdk-python`, `bird-sdk-go`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json_borrow::Value;

use crate::channels::signature::is_recent;
use crate::channels::value::{NULL, field, id, json, owned, phone, text, time};
use crate::channels::{
    Account, AccountError, Carrier, Channel, Denied, Ignored, Keys, Malformed, Media, Request, Scheme, Undelivered,
    Update,
};
use crate::events::{Declared, Kind, Message};

/// The tolerance of Standard Webhooks, to either side.
const TOLERANCE_S: i64 = 300;
/// Parts of a message that are files, and what they are.
const FILES: [(&str, Kind); 5] = [
    ("audio", Kind::Audio),
    ("video", Kind::Video),
    ("image", Kind::Image),
    ("sticker", Kind::Image),
    ("document", Kind::Document),
];

/// A workspace of Bird's platform.
#[derive(Debug)]
pub(in crate::channels) struct Platform {
    account: Account,
    keys: Keys,
}

impl Platform {
    pub(in crate::channels) fn new(account: &Account) -> Result<Self, AccountError> {
        let keys = account.signing_keys.encoded();
        if !keys.are_readable() {
            return Err(AccountError::Wrong("app_secret", "is no secret of the form whsec_<base64>"));
        }
        Ok(Self { account: account.clone(), keys })
    }
}

impl Channel for Platform {
    /// Standard Webhooks 1.0: `v1,<base64>` for HMAC-SHA256 over id, time and body with dots between, more than one where
    /// keys change. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
        if self.keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let header = |name| request.header(name).ok_or(Denied::Unsigned);
        let (message_id, sent) = (header("webhook-id")?, header("webhook-timestamp")?);
        let parts: [&[u8]; 5] = [message_id.as_bytes(), b".", sent.as_bytes(), b".", request.body];
        let mut result = Err(Denied::Unreadable);
        for signature in header("webhook-signature")?.split(' ') {
            let Some(Ok(mac)) = signature.strip_prefix("v1,").map(|mac| STANDARD.decode(mac)) else { continue };
            result = match self.keys.verify(Scheme::Sha256, &parts, &mac) {
                Ok(()) => Ok(()),
                Err(denied) => result.or(Err(denied)),
            };
        }
        result?;
        let sent = sent.parse().map_err(|_| Denied::Unreadable)?;
        if is_recent(sent, now, TOLERANCE_S, TOLERANCE_S) { Ok(()) } else { Err(Denied::Stale) }
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        let webhook = json(request.body)?;
        let kind = text(&webhook, "type").ok_or(Malformed::Shape("it has no type"))?;
        let Some(data) = field(&webhook, "data").filter(|_| kind == "whatsapp.received") else {
            let why = if kind.starts_with("whatsapp.") { Ignored::STATUS } else { Ignored::UNKNOWN };
            return Ok(vec![Update::Ignored(why)]);
        };
        if text(data, "direction").is_some_and(|direction| direction != "inbound") {
            return Ok(vec![Update::Ignored(Ignored::OUTBOUND)]);
        }
        Ok(vec![read(&self.account, data, time(field(&webhook, "timestamp")))])
    }
}

fn read(account: &Account, data: &Value<'_>, sent_at: Option<Timestamp>) -> Update {
    let account_id = id(data, "workspace_id").unwrap_or_default();
    if !account.takes(&account_id) && !text(data, "to").is_some_and(|to| account.takes(to)) {
        return Update::Ignored(Ignored::OTHER_ACCOUNT);
    }
    let file = FILES.iter().find_map(|&(name, kind)| Some((field(data, name).filter(|part| part.is_object())?, kind)));
    let Some(message_id) = id(data, "whatsapp_id") else { return Update::Ignored(Ignored::UNKNOWN) };
    let carrier = |part: &Value<'_>| Carrier {
        account_id: account_id.clone(),
        message_id: message_id.clone(),
        n: "0".to_owned(),
        message: Message {
            channel: Some("whatsapp".to_owned()),
            direction: Some("inbound".to_owned()),
            message_id: Some(message_id.clone()),
            caption: owned(part, "caption"),
            voice: field(part, "voice").and_then(Value::as_bool),
            phone: text(data, "from").and_then(phone),
            user_id: text(data, "from").filter(|from| phone(from).is_none()).map(str::to_owned),
            sent_at: sent_at.map(|at| at.to_string()),
            ..Message::default()
        },
        sent_at,
    };
    match file {
        Some((part, kind)) => {
            let carrier = carrier(part);
            let Some(reference) = owned(part, "url") else {
                let why = "Bird could not get the file from WhatsApp".to_owned();
                return Update::Undelivered(Box::new(Undelivered { carrier, why }));
            };
            let declared = Declared {
                mime_type: owned(part, "mime_type"),
                file_name: owned(part, "filename"),
                ..Declared::default()
            };
            Update::Media(Box::new(Media { carrier, reference, declared, kind: Some(kind), is_history: false }))
        }
        None => match field(data, "unsupported").and_then(|part| text(part, "type")) {
            Some("media_placeholder" | "image" | "gif") => {
                let why = "WhatsApp does not deliver files of this kind".to_owned();
                Update::Undelivered(Box::new(Undelivered { carrier: carrier(&NULL), why }))
            }
            Some(_) => Update::Ignored(Ignored::UNKNOWN),
            None if field(data, "text").is_some() || field(data, "location").is_some() => {
                Update::Ignored(Ignored::TEXT)
            }
            None => Update::Ignored(Ignored::UNKNOWN),
        },
    }
}
