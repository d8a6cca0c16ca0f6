//! One message of the Cloud API.

use serde_json_borrow::Value;

use crate::channels::value::{field, id, kind_of, list, number, owned, phone, sha256, text, time};
use crate::channels::{Carrier, Edit, Ignored, Media, Undelivered, Update};
use crate::events::{Declared, Kind, Message};

/// Types that are nothing but text, a place or a reaction.
const TEXT: [&str; 4] = ["text", "location", "contacts", "reaction"];
/// Types that people answer with a tap.
const INTERACTIVE: [&str; 6] = ["interactive", "button", "order", "poll", "request_welcome", "product"];
/// Kinds of unsupported messages that are a file: Meta's reference of the unsupported message webhook lists them among kinds
/// that are none, such as polls, pins and reactions.
const UNSUPPORTED_FILES: [&str; 7] = ["media_placeholder", "image", "gif", "video", "audio", "document", "sticker"];
/// Errors of a message that say that there is a file: it could not be downloaded or is too large, it is not on Meta's servers.
const FILE_ERRORS: [u64; 2] = [131_052, 131_060];

/// What a message does not say itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// `metadata.phone_number_id`.
    pub account_id: &'a str,
    /// `contacts[]` of the same change.
    pub contacts: &'a [Value<'a>],
    /// Whether it is from us to the customer.
    pub is_outbound: bool,
    /// Whether it is of an old chat.
    pub is_history: bool,
}

/// What a message is.
pub(super) fn read(message: &Value<'_>, context: &Context<'_>) -> Update {
    let kind = text(message, "type").unwrap_or_default();
    if kind == "edit" {
        return edit(message, context);
    }
    if kind == "revoke" {
        return revoke(message, context);
    }
    let file = field(message, kind).filter(|part| is_file(kind, part));
    let failed = list(message, "errors").iter().find(|error| is_file_error(error));
    match (file, failed) {
        (Some(file), None) if id(file, "id").is_some() && text(file, "status") != Some("undownloaded") => {
            media(message, kind, file, context)
        }
        (Some(_), failed) => undelivered(message, context, failed),
        (None, failed) if kind == "unsupported" && (failed.is_some() || is_unsupported_file(message)) => {
            undelivered(message, context, failed)
        }
        (None, Some(error)) => undelivered(message, context, Some(error)),
        (None, None) if TEXT.contains(&kind) => Update::Ignored(Ignored::TEXT),
        (None, None) if INTERACTIVE.contains(&kind) => Update::Ignored(Ignored::INTERACTIVE),
        (None, None) if kind == "system" => Update::Ignored(Ignored::SYSTEM),
        (None, None) => Update::Ignored(Ignored::UNKNOWN),
    }
}

/// Whether a part is a file: by its name, and of a type that is not known yet by what every file has.
fn is_file(kind: &str, part: &Value<'_>) -> bool {
    let known = ["audio", "voice", "image", "video", "document", "sticker"].contains(&kind);
    part.is_object() && (known || (id(part, "id").is_some() && text(part, "mime_type").is_some()))
}

fn is_file_error(error: &Value<'_>) -> bool {
    number(error, "code").is_some_and(|code| FILE_ERRORS.contains(&code))
}

fn is_unsupported_file(message: &Value<'_>) -> bool {
    let kind = field(message, "unsupported").and_then(|unsupported| text(unsupported, "type"));
    kind.is_some_and(|kind| UNSUPPORTED_FILES.contains(&kind))
}

fn media(message: &Value<'_>, kind: &str, file: &Value<'_>, context: &Context<'_>) -> Update {
    let reference = id(file, "id").unwrap_or_default();
    let mut carrier = carrier(message, id(message, "id").unwrap_or_else(|| reference.clone()), context);
    carrier.message.caption = owned(file, "caption");
    carrier.message.voice = match field(file, "voice").and_then(Value::as_bool) {
        Some(voice) => Some(voice),
        None => (kind == "voice").then_some(true),
    };
    let declared = Declared {
        mime_type: owned(file, "mime_type"),
        sha256: sha256(file, "sha256"),
        size_bytes: number(file, "file_size"),
        file_name: owned(file, "filename"),
    };
    let kind = media_kind(kind, declared.mime_type.as_deref());
    let is_history = context.is_history;
    Update::Media(Box::new(Media { carrier, reference, declared, kind: Some(kind), is_history }))
}

/// Only the lane depends on it.
fn media_kind(kind: &str, mime_type: Option<&str>) -> Kind {
    match kind {
        "audio" | "voice" => Kind::Audio,
        "video" => Kind::Video,
        "image" | "sticker" => Kind::Image,
        "document" => Kind::Document,
        _ => kind_of(mime_type).unwrap_or(Kind::Document),
    }
}

fn undelivered(message: &Value<'_>, context: &Context<'_>, error: Option<&Value<'_>>) -> Update {
    let Some(message_id) = id(message, "id") else { return Update::Ignored(Ignored::ERROR) };
    let why = match error.and_then(|error| number(error, "code")) {
        Some(131_052) => "WhatsApp could not download the file, or it is too large (error 131052)".to_owned(),
        Some(131_060) => {
            "the file is on the sender's phone and did not reach WhatsApp's servers (error 131060)".to_owned()
        }
        Some(code) => format!("WhatsApp does not deliver the file (error {code})"),
        None => "WhatsApp does not deliver files of this kind".to_owned(),
    };
    Update::Undelivered(Box::new(Undelivered { carrier: carrier(message, message_id, context), why }))
}

/// Only the text under a file is of interest: what was text before is text after it.
fn edit(message: &Value<'_>, context: &Context<'_>) -> Update {
    let Some(edit) = field(message, "edit") else { return Update::Ignored(Ignored::UNKNOWN) };
    let (Some(original), Some(inner)) = (id(edit, "original_message_id"), field(edit, "message")) else {
        return Update::Ignored(Ignored::UNKNOWN);
    };
    let kind = text(inner, "type").unwrap_or_default();
    let Some(file) = field(inner, kind).filter(|part| is_file(kind, part)) else {
        return Update::Ignored(if TEXT.contains(&kind) { Ignored::TEXT } else { Ignored::UNKNOWN });
    };
    let mut carrier = carrier(message, original, context);
    carrier.message.caption = owned(file, "caption");
    carrier.message.sent_at = None;
    let change_id = id(message, "id").unwrap_or_default();
    Update::Edited(Box::new(Edit { carrier, change_id }))
}

fn revoke(message: &Value<'_>, context: &Context<'_>) -> Update {
    let original = field(message, "revoke").and_then(|revoke| id(revoke, "original_message_id"));
    let Some(original) = original else { return Update::Ignored(Ignored::UNKNOWN) };
    let mut carrier = carrier(message, original, context);
    carrier.message.sent_at = None;
    // A message can be taken back once.
    Update::Revoked(Box::new(Edit { carrier, change_id: String::new() }))
}

/// One file a message: its number is always 0. Meta's id of the file is not used, as an edit and a message without a file
/// have to lead to the same media id.
fn carrier(message: &Value<'_>, message_id: String, context: &Context<'_>) -> Carrier {
    let sent_at = time(field(message, "timestamp"));
    let contact_id = if context.is_outbound { id(message, "to") } else { id(message, "from") };
    let named = |contact: &&Value<'_>| {
        let same = |name, other: &Option<String>| other.is_some() && id(contact, name) == *other;
        same("wa_id", &contact_id) || same("user_id", &id(message, "from_user_id"))
    };
    // A single contact is the sender's, also where its number is written in another way than the message's.
    let contact = match context.contacts {
        [only] => Some(only),
        several => several.iter().find(named),
    };
    let user_id = owned(message, "from_user_id").filter(|_| !context.is_outbound);
    let user_id = user_id.or_else(|| contact.and_then(|contact| owned(contact, "user_id")));
    let number = contact_id.as_deref().and_then(phone);
    let echoed = Message {
        channel: Some("whatsapp".to_owned()),
        direction: Some(if context.is_outbound { "outbound" } else { "inbound" }.to_owned()),
        message_id: Some(message_id.clone()),
        conversation_id: owned(message, "group_id"),
        phone: number.or_else(|| contact.and_then(|contact| id(contact, "wa_id")).as_deref().and_then(phone)),
        user_id,
        contact_name: contact.and_then(|contact| field(contact, "profile")).and_then(|profile| owned(profile, "name")),
        sent_at: sent_at.map(|at| at.to_string()),
        ..Message::default()
    };
    Carrier { account_id: context.account_id.to_owned(), message_id, n: "0".to_owned(), message: echoed, sent_at }
}
