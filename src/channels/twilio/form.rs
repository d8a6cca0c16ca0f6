//! Twilio's form of an incoming message.

use std::collections::HashMap;

use super::signature::is_form;
use crate::channels::value::{kind_of, phone};
use crate::channels::{Account, Carrier, Ignored, Malformed, Media, Request, Update};
use crate::events::{Declared, Message};

/// An MMS has at most 10 files; more than that are read of no message.
const MAX_FILES: usize = 100;
/// More parameters are no message: Twilio sends some forty.
const MAX_PARAMETERS: usize = 1_000;

pub(super) fn parse(account: &Account, request: &Request<'_>) -> Result<Vec<Update>, Malformed> {
    let encoded = match () {
        () if request.is_get => request.query().as_bytes(),
        () if is_form(request) => request.body,
        () => return Err(Malformed::Shape("it is no form")),
    };
    let mut fields = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        if fields.len() > MAX_PARAMETERS {
            return Err(Malformed::TooMany);
        }
    }
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let account_id = field("AccountSid").ok_or(Malformed::Shape("it has no AccountSid"))?;
    let message_id = field("MessageSid").or_else(|| field("SmsMessageSid")).or_else(|| field("SmsSid"));
    let Some(message_id) = message_id else { return Ok(vec![Update::Ignored(Ignored::UNKNOWN)]) };
    // The files that are there count, not the number that says how many there are.
    let urls: Vec<(usize, &str)> = (0..MAX_FILES).filter_map(|n| Some((n, field(&format!("MediaUrl{n}"))?))).collect();
    if urls.is_empty() {
        let is_status =
            field("MessageStatus").is_some() || field("SmsStatus").is_some_and(|status| status != "received");
        return Ok(vec![Update::Ignored(if is_status { Ignored::STATUS } else { Ignored::TEXT })]);
    }
    let to = field("To").map(|to| to.split_once(':').map_or(to, |(_, number)| number));
    if !account.takes(account_id) && !to.is_some_and(|to| account.takes(to)) {
        return Ok(vec![Update::Ignored(Ignored::OTHER_ACCOUNT)]);
    }
    let message = echoed(message_id, &field);
    let media = urls.into_iter().map(|(n, url)| {
        let mime_type = field(&format!("MediaContentType{n}")).map(str::to_owned);
        let kind = kind_of(mime_type.as_deref());
        let carrier = Carrier {
            account_id: account_id.to_owned(),
            message_id: message_id.to_owned(),
            n: media_sid(url).map_or_else(|| n.to_string(), str::to_owned),
            message: message.clone(),
            sent_at: None,
        };
        let declared = Declared { mime_type, ..Declared::default() };
        Update::Media(Box::new(Media { carrier, reference: url.to_owned(), declared, kind, is_history: false }))
    });
    Ok(media.collect())
}

/// `From` is `whatsapp:+5511999990000`, or a bare number where it is an SMS or MMS.
fn echoed<'a>(message_id: &str, field: &impl Fn(&str) -> Option<&'a str>) -> Message {
    let from = field("From").unwrap_or_default();
    let (channel, contact) = from.split_once(':').unwrap_or(("sms", from));
    let number = phone(contact).or_else(|| field("WaId").and_then(phone));
    let user_id = field("ExternalUserId").or_else(|| Some(contact).filter(|id| !id.is_empty() && phone(id).is_none()));
    Message {
        channel: Some(channel.to_owned()),
        direction: Some("inbound".to_owned()),
        message_id: Some(message_id.to_owned()),
        caption: field("Body").map(str::to_owned),
        phone: number,
        user_id: user_id.map(str::to_owned),
        contact_name: field("ProfileName").map(str::to_owned),
        ..Message::default()
    }
}

/// The provider's own id of the file: `…/Media/ME<32 hex digits>`.
fn media_sid(url: &str) -> Option<&str> {
    let sid = url.split(['?', '#']).next()?.rsplit_once("/Media/")?.1;
    let digits = sid.strip_prefix("ME")?;
    (digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(sid)
}
