//! Messages about people: `mediamill.privacy.consent.v1`, `.erase.v1` and `.hold.v1` come in, `mediamill.media.erased.v1`
//! goes out.
//!
//! They carry identities, so that they are personal data themselves: no part of them is logged, and what is kept of an identity
//! is its keyed hash only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who is meant: the identifiers that messages of this person carry. At least one; several are the same person's.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PrivacyContact")]
pub struct ContactIds {
    /// Phone number in E.164 (`+5511999990000`), as in `message.phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The channel's id of the contact, as in `message.user_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The CRM's id, as in `message.contact_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<String>,
}

impl ContactIds {
    /// Whether nobody is named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.phone.is_none() && self.user_id.is_none() && self.contact_id.is_none()
    }
}

impl std::fmt::Debug for ContactIds {
    /// Which identifiers there are, and none of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContactIds")
            .field("phone", &self.phone.is_some())
            .field("user_id", &self.user_id.is_some())
            .field("contact_id", &self.contact_id.is_some())
            .finish()
    }
}

/// What somebody decided about a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentStatus {
    /// It may be done.
    Granted,
    /// It may not be done, and never was allowed.
    Denied,
    /// It may no longer be done: what was made for the purpose is erased.
    Withdrawn,
}

/// The data of a *privacy consent* event: a person has decided about purposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// Whose customer it is.
    pub tenant: String,
    /// Who decided.
    pub contact: ContactIds,
    /// For what: `store` (fetching and keeping the media at all), `keep-original` (keeping the file as it came). Others are
    /// recorded and nothing else.
    pub purposes: Vec<String>,
    /// What was decided.
    pub status: ConsentStatus,
    /// When (RFC 3339). Of several decisions about one purpose the latest counts, in whichever order they arrive.
    pub decided_at: String,
    /// Where the proof of it is kept: an id of the sender's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// The data of a *privacy erase* event: delete for certain. Exactly one of `media_id`, `contact` and `conversation_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Erase {
    /// Whose media it is.
    pub tenant: String,
    /// One media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// Everything of a person that was sent up to `erased_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactIds>,
    /// Everything of a conversation that was sent up to `erased_at`, as in `message.conversation_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Up to when (RFC 3339): what is sent later stays. The event's `time` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// Why, as a short name of the sender's own without anything personal, such as `gdpr-17`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The data of a *privacy hold* event: something must not be deleted, whatever else says so. Exactly one of `media_id`,
/// `contact` and `conversation_id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Whose media it is.
    pub tenant: String,
    /// The case that it is held for. A hold is known by its case and what it holds.
    pub case_id: String,
    /// Whether it is held from now on; `false` lifts the hold.
    pub held: bool,
    /// One media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// Everything of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactIds>,
    /// Everything of a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// When this was decided (RFC 3339); of several the latest counts. The event's `time` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
}

/// Why a media was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErasedBecause {
    /// Somebody asked for it.
    Request,
    /// Its time was over.
    Retention,
    /// Its consent was withdrawn.
    Consent,
    /// The sender took the message back.
    Revoked,
}

/// Something that is left after an erase, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Residue {
    /// What: a stable name, listed in docs/privacy.md.
    pub what: String,
    /// When it is gone at the latest (RFC 3339), where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Where it is: the name of a destination of `deliver`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// The data of a *media erased* event: nothing of this media is stored any more. For caches, CRMs and whoever has a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// Whose media it was.
    pub tenant: String,
    /// The media.
    pub media_id: String,
    /// Number of the erasure's certificate.
    pub certificate: String,
    /// Why.
    pub because: ErasedBecause,
    /// When its tombstone was written (RFC 3339).
    pub erased_at: String,
    /// What is left, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residues: Vec<Residue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_not_shown() {
        let ids = ContactIds { phone: Some("+5511999990000".to_owned()), ..ContactIds::default() };
        assert!(!ids.is_empty() && ContactIds::default().is_empty());
        assert!(!format!("{ids:?}").contains("5511"), "{ids:?}");
    }
}
