//! A provider that is not built in, described by data: a signature or a token in a header, and JSON pointers.

use jiff::Timestamp;
use serde_json_borrow::Value;

use super::signature::{from_base64, from_hex};
use super::value::{as_id, at, json, kind_of, phone, time};
use super::{
    Account, AccountError, Carrier, Channel, Credential, Denied, GenericRules, Ignored, MAX_UPDATES, Malformed, Media,
    Request, Update,
};
use crate::events::{Declared, Message};

/// An account that is described by data.
#[derive(Debug)]
pub(super) struct Generic {
    account: Account,
    rules: GenericRules,
}

impl Generic {
    pub(super) fn new(account: &Account) -> Result<Self, AccountError> {
        let rules = account.generic.clone().ok_or(AccountError::Missing("generic"))?;
        let pointers = [
            ("messages", &rules.messages),
            ("id", &rules.id),
            ("url", &rules.url),
            ("mime_type", &rules.mime_type),
            ("file_name", &rules.file_name),
            ("caption", &rules.caption),
            ("contact", &rules.contact),
            ("contact_name", &rules.contact_name),
            ("time", &rules.time),
            ("account_id", &rules.account_id),
            ("from_me", &rules.from_me),
        ];
        if let Some((name, _)) = pointers.into_iter().find(|(_, it)| !it.is_empty() && !it.starts_with('/')) {
            return Err(AccountError::Wrong(name, "is no JSON pointer: those begin with a slash"));
        }
        for (name, value) in [("id", &rules.id), ("url", &rules.url), ("header", &rules.header)] {
            if value.is_empty() {
                return Err(AccountError::Missing(name));
            }
        }
        if rules.account.is_empty() && rules.account_id.is_empty() {
            // Ids of media are made of it: the name of the table may change, and they may not.
            return Err(AccountError::Missing("account or at_account"));
        }
        Ok(Self { account: account.clone(), rules })
    }
}

impl Channel for Generic {
    fn verify(&self, request: &Request<'_>, _now: Timestamp) -> Result<(), Denied> {
        let keys = &self.account.signing_keys;
        if keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let header = request.header(&self.rules.header).ok_or(Denied::Unsigned)?;
        match &self.rules.credential {
            Credential::Token => keys.equals(header.as_bytes()),
            Credential::Hmac { scheme, is_base64, prefix } => {
                let text = header.strip_prefix(prefix.as_str()).ok_or(Denied::Unreadable)?;
                let mac = if *is_base64 { from_base64(text)? } else { from_hex(text, "")? };
                keys.verify(*scheme, &[request.body], &mac)
            }
        }
    }

    fn parse(&self, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
        let webhook = json(request.body)?;
        let account_id = id_at(&webhook, &self.rules.account_id)
            .or_else(|| Some(self.rules.account.clone()).filter(|account| !account.is_empty()))
            .ok_or(Malformed::Shape("at_account leads to no account, and account is empty"))?;
        let one = std::slice::from_ref(&webhook);
        let messages = if self.rules.messages.is_empty() {
            one
        } else {
            match at(&webhook, &self.rules.messages) {
                Some(Value::Array(messages)) => messages.as_slice(),
                Some(message) => std::slice::from_ref(message),
                None => &[],
            }
        };
        if messages.len() > MAX_UPDATES {
            return Err(Malformed::TooMany);
        }
        if messages.is_empty() {
            return Ok(vec![Update::Ignored(Ignored::UNKNOWN)]);
        }
        Ok(messages.iter().map(|message| self.read(message, &account_id)).collect())
    }
}

impl Generic {
    fn read(&self, message: &Value<'_>, account_id: &str) -> Update {
        let rules = &self.rules;
        let text = |pointer: &str| found(message, pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let is_outbound = found(message, &rules.from_me).and_then(Value::as_bool).unwrap_or(false);
        let Some(reference) = text(&rules.url) else { return Update::Ignored(Ignored::TEXT) };
        let Some(message_id) = id_at(message, &rules.id) else { return Update::Ignored(Ignored::UNKNOWN) };
        if is_outbound && !self.account.echoes {
            return Update::Ignored(Ignored::OUTBOUND);
        }
        if !self.account.takes(account_id) {
            return Update::Ignored(Ignored::OTHER_ACCOUNT);
        }
        let contact = id_at(message, &rules.contact);
        let number = contact.as_deref().and_then(|contact| phone(contact.split('@').next().unwrap_or_default()));
        let sent_at = time(found(message, &rules.time));
        let channel = if rules.channel.is_empty() { "generic" } else { &rules.channel };
        let echoed = Message {
            channel: Some(channel.to_owned()),
            direction: Some(if is_outbound { "outbound" } else { "inbound" }.to_owned()),
            message_id: Some(message_id.clone()),
            caption: text(&rules.caption).map(str::to_owned),
            user_id: contact.filter(|_| number.is_none()),
            phone: number,
            contact_name: text(&rules.contact_name).map(str::to_owned),
            sent_at: sent_at.map(|at| at.to_string()),
            ..Message::default()
        };
        let mime_type = text(&rules.mime_type).map(str::to_owned);
        let kind = kind_of(mime_type.as_deref());
        let carrier =
            Carrier { account_id: account_id.to_owned(), message_id, n: "0".to_owned(), message: echoed, sent_at };
        let declared =
            Declared { mime_type, file_name: text(&rules.file_name).map(str::to_owned), ..Declared::default() };
        let reference = reference.to_owned();
        Update::Media(Box::new(Media { carrier, reference, declared, kind, is_history: false }))
    }
}

/// Where a pointer leads; nowhere where it is empty, which stands for a value that the provider does not send.
fn found<'v, 'a>(value: &'v Value<'a>, pointer: &str) -> Option<&'v Value<'a>> {
    at(value, pointer).filter(|_| !pointer.is_empty())
}

fn id_at(value: &Value<'_>, pointer: &str) -> Option<String> {
    found(value, pointer).and_then(as_id)
}
