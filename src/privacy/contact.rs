//! How people are known: by a keyed hash of each identifier. Without the key nobody can tell whose it is; a plain hash of a
//! telephone number would be undone by trying all of them.

use hmac::{Hmac, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::config;
use crate::events::{ContactIds, Message};
use crate::secrets::Secret;

/// HMAC-SHA256 of tenant, kind and identifier, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ContactHash(String);

impl ContactHash {
    /// Of its text; nothing where that is not 64 hex digits in lower case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    /// As text: 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of identifier it is. The same text as another kind is another hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A telephone number: its digits count, and nothing else.
    Phone,
    /// The channel's id of a person.
    User,
    /// The CRM's id of a person, deal or ticket.
    Contact,
    /// A conversation.
    Conversation,
}

impl IdKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::User => "user",
            Self::Contact => "contact",
            Self::Conversation => "conversation",
        }
    }

    /// The identifier as it is hashed; nothing where there is none in it.
    fn normal(self, value: &str) -> Option<String> {
        let value = match self {
            Self::Phone => value.chars().filter(char::is_ascii_digit).collect(),
            Self::User | Self::Contact | Self::Conversation => value.trim().to_owned(),
        };
        (!value.is_empty()).then_some(value)
    }
}

/// Who sent a message, in hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// Phone number and user id: one person's.
    pub person: Vec<ContactHash>,
    /// The CRM's id, which need not be a person's: it selects, and connects nothing.
    pub contact: Vec<ContactHash>,
    /// The conversation.
    pub conversation: Vec<ContactHash>,
}

impl Sender {
    /// All hashes of the person and the CRM's contact.
    pub fn contacts(&self) -> impl Iterator<Item = &ContactHash> {
        self.person.iter().chain(&self.contact)
    }
}

/// The key that hashes are made with, and the one before it.
#[derive(Debug, Clone)]
pub struct ContactKey {
    current: Secret,
    previous: Secret,
}

impl ContactKey {
    /// The configured key; nothing where there is none.
    #[must_use]
    pub fn new(config: &config::Privacy) -> Option<Self> {
        let key = Self { current: config.key.clone(), previous: config.key_previous.clone() };
        (!key.current.is_empty()).then_some(key)
    }

    /// What an identifier is known as: under the current key, and then under the previous one where there is one. Nothing
    /// where the identifier has nothing in it.
    #[must_use]
    pub fn known_as(&self, tenant: &str, kind: IdKind, value: &str) -> Vec<ContactHash> {
        let Some(value) = kind.normal(value) else { return Vec::new() };
        let keys = Secret::expose_together([&self.current, &self.previous]);
        keys.iter().filter(|key| !key.is_empty()).filter_map(|key| hash(key, tenant, kind, &value)).collect()
    }

    /// All that the identifiers of one person are known as.
    #[must_use]
    pub fn person(&self, tenant: &str, ids: &ContactIds) -> Vec<ContactHash> {
        let ContactIds { phone, user_id, contact_id } = ids;
        let ids = [(IdKind::Phone, phone), (IdKind::User, user_id), (IdKind::Contact, contact_id)];
        ids.into_iter().flat_map(|(kind, id)| self.optional(tenant, kind, id.as_deref())).collect()
    }

    /// All that the sender of a message and its conversation are known as.
    #[must_use]
    pub fn sender(&self, tenant: &str, message: &Message) -> Sender {
        let known = |kind, id: &Option<String>| self.optional(tenant, kind, id.as_deref());
        Sender {
            person: [known(IdKind::Phone, &message.phone), known(IdKind::User, &message.user_id)].concat(),
            contact: known(IdKind::Contact, &message.contact_id),
            conversation: known(IdKind::Conversation, &message.conversation_id),
        }
    }

    fn optional(&self, tenant: &str, kind: IdKind, id: Option<&str>) -> Vec<ContactHash> {
        id.map(|id| self.known_as(tenant, kind, id)).unwrap_or_default()
    }
}

fn hash(key: &str, tenant: &str, kind: IdKind, value: &str) -> Option<ContactHash> {
    // An HMAC takes a key of any length.
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    for part in ["mediamill contact 1", tenant, kind.as_str(), value] {
        // With its length in front, so that no two lists of parts are the same bytes.
        hmac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hmac.update(part.as_bytes());
    }
    Some(ContactHash(hex::encode(hmac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(current: &str, previous: &str) -> ContactKey {
        ContactKey { current: Secret::parse(current), previous: Secret::parse(previous) }
    }

    #[test]
    fn an_identifier_has_one_hash_and_others_have_others() {
        let key = key("k1", "");
        let one = key.known_as("acme", IdKind::Phone, "+55 (11) 99999-0000");
        assert_eq!(one, key.known_as("acme", IdKind::Phone, "5511999990000"));
        assert_eq!(one[0].as_str().len(), 64);
        let others = [
            key.known_as("acm", IdKind::Phone, "5511999990000"),
            key.known_as("acme", IdKind::User, "5511999990000"),
            key.known_as("acme", IdKind::Phone, "5511999990001"),
            self::key("k2", "").known_as("acme", IdKind::Phone, "5511999990000"),
        ];
        assert!(others.iter().all(|other| *other != one));
        assert_eq!(key.known_as("acme", IdKind::Phone, "none"), []);
    }

    #[test]
    fn the_previous_key_finds_what_was_written_under_it() {
        let (old, new) = (key("old", ""), key("new", "old"));
        let was = old.known_as("acme", IdKind::User, "u");
        let is = new.known_as("acme", IdKind::User, "u");
        assert_eq!((is.len(), &is[1]), (2, &was[0]));
        assert_ne!(is[0], was[0]);
    }

    #[test]
    fn a_crm_contact_is_not_connected_with_the_person() {
        let key = key("k", "");
        let message: Message = serde_json::from_value(serde_json::json!({
            "phone": "+1 555 0100", "user_id": "u", "contact_id": "deal-7", "conversation_id": "c",
        }))
        .expect("a message");
        let sender = key.sender("acme", &message);
        assert_eq!((sender.person.len(), sender.contact.len(), sender.conversation.len()), (2, 1, 1));
    }
}
