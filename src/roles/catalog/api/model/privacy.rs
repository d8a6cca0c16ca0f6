//! What a privacy officer asks for, and the answers. People are named in bodies alone: paths and queries stand in the logs of proxies.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::problem::Refusal;
use crate::events::{ContactIds, Erase, Hold, MAX_ID_BYTES};
use crate::privacy::Certificate;

/// Longest reason and case id in bytes.
const MAX_WORD_BYTES: usize = 128;
/// How far the clock of whoever asks may be ahead.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// A person, by the identifiers that their messages carry. Several are the same person's.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Person {
    /// Phone number in E.164, such as `+5511999990000`.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    phone: Option<String>,
    /// The channel's id of the person.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    user_id: Option<String>,
    /// The CRM's id.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    contact_id: Option<String>,
}

/// What is to be erased: exactly one of `media_id`, `contact` and `conversation_id`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ErasureRequest", extend("oneOf" = one_of()))]
pub struct ErasureAsked {
    /// Whose media.
    #[schemars(length(min = 1, max = 1024))]
    tenant: String,
    /// One media.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    media_id: Option<String>,
    /// Everything of a person that was sent up to `erased_at`.
    #[serde(default)]
    #[schemars(with = "Person")]
    contact: Option<Person>,
    /// Everything of a conversation that was sent up to `erased_at`.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    conversation_id: Option<String>,
    /// Up to when (RFC 3339): what is sent later stays. Now where it is absent.
    #[serde(default)]
    #[schemars(with = "String", extend("format" = "date-time"))]
    erased_at: Option<Timestamp>,
    /// Why, as a short name without anything personal, such as `gdpr-17`; it stands in the certificate.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 128))]
    reason: Option<String>,
}

/// What must not be deleted, or may be again: exactly one of `media_id`, `contact` and `conversation_id`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HoldRequest", extend("oneOf" = one_of()))]
pub struct HoldAsked {
    /// Whose media.
    #[schemars(length(min = 1, max = 1024))]
    tenant: String,
    /// The case that it is held for, as a short name without anything personal.
    #[schemars(length(min = 1, max = 128))]
    case_id: String,
    /// Whether it is held from now on; `false` releases it.
    held: bool,
    /// One media.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    media_id: Option<String>,
    /// Everything of a person.
    #[serde(default)]
    #[schemars(with = "Person")]
    contact: Option<Person>,
    /// Everything of a conversation.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    conversation_id: Option<String>,
    /// When this was decided (RFC 3339): of several the latest counts. Now where it is absent.
    #[serde(default)]
    #[schemars(with = "String", extend("format" = "date-time"))]
    decided_at: Option<Timestamp>,
}

/// Of whom everything that is held is asked for: exactly one of `media_id`, `contact` and `conversation_id`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubjectRequest", extend("oneOf" = one_of()))]
pub struct SubjectAsked {
    /// Whose media.
    #[schemars(length(min = 1, max = 1024))]
    tenant: String,
    /// One media.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    media_id: Option<String>,
    /// A person.
    #[serde(default)]
    #[schemars(with = "Person")]
    contact: Option<Person>,
    /// A conversation.
    #[serde(default)]
    #[schemars(with = "String", length(min = 1, max = 1024))]
    conversation_id: Option<String>,
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureProgress {
    /// It is certain to be carried out, and nothing that it covers is stored any more. The media are not looked for yet.
    Begun,
    /// Its media are found, and are being erased.
    Erasing,
    /// It has its certificate.
    Done,
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ErasureState {
    /// Its number, which is that of its certificate.
    pub id: String,
    /// Whose media.
    pub tenant: String,
    /// How far it is.
    pub state: ErasureProgress,
    /// What was asked for: `media`, `contact`, `conversation`, or `due` for media whose time was over.
    pub selected_by: String,
    /// When it was asked for (RFC 3339).
    pub requested_at: String,
    /// Up to when what was sent is covered (RFC 3339).
    pub erased_at: String,
    /// Its certificate, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// A hold that is set or released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldAccepted {
    /// Id of the event that tells the privacy role. Where a release lets an erasure go on, it is the erasure's number.
    pub id: String,
    /// Whose media.
    pub tenant: String,
    /// The case.
    pub case_id: String,
    /// Whether it is held for this case now.
    pub held: bool,
    /// When this was decided (RFC 3339).
    pub decided_at: String,
}

/// For the schemas: that exactly one says what is meant.
fn one_of() -> serde_json::Value {
    serde_json::json!([{ "required": ["media_id"] }, { "required": ["contact"] }, { "required": ["conversation_id"] }])
}

impl From<Person> for ContactIds {
    fn from(person: Person) -> Self {
        let Person { phone, user_id, contact_id } = person;
        Self { phone, user_id, contact_id }
    }
}

impl ErasureAsked {
    /// The event that asks for the same, with the time that it counts from.
    pub(in super::super) fn event(self, now: Timestamp) -> Result<(Erase, Timestamp), Refusal> {
        let Self { tenant, media_id, contact, conversation_id, erased_at, reason } = self;
        expect_word("reason", reason.as_deref())?;
        let at = expect_past("erased_at", erased_at, now)?;
        let meant = SubjectAsked { tenant, media_id, contact, conversation_id }.meant()?;
        Ok((Erase { erased_at: Some(at.to_string()), reason, ..meant }, at))
    }
}

impl HoldAsked {
    /// The event that asks for the same, and whom it means.
    pub(in super::super) fn event(self, now: Timestamp) -> Result<(Hold, Erase, Timestamp), Refusal> {
        let Self { tenant, case_id, held, media_id, contact, conversation_id, decided_at } = self;
        expect_word("case_id", Some(&case_id))?;
        let at = expect_past("decided_at", decided_at, now)?;
        let meant = SubjectAsked { tenant, media_id, contact, conversation_id }.meant()?;
        let Erase { tenant, media_id, contact, conversation_id, .. } = meant.clone();
        let decided_at = Some(at.to_string());
        Ok((Hold { tenant, case_id, held, media_id, contact, conversation_id, decided_at }, meant, at))
    }
}

impl SubjectAsked {
    /// Whom it means, as an erasure would say it.
    pub(in super::super) fn meant(self) -> Result<Erase, Refusal> {
        let Self { tenant, media_id, contact, conversation_id } = self;
        let contact = contact.map(ContactIds::from);
        let meant = Erase { tenant, media_id, contact, conversation_id, erased_at: None, reason: None };
        expect_ids(&meant)?;
        Ok(meant)
    }
}

fn expect_ids(erase: &Erase) -> Result<(), Refusal> {
    let contact = erase.contact.iter().flat_map(|contact| [&contact.phone, &contact.user_id, &contact.contact_id]);
    let given = contact.chain([&erase.media_id, &erase.conversation_id]).flatten().chain([&erase.tenant]);
    for id in given {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Refusal::invalid(format!("an id must have 1 to {MAX_ID_BYTES} bytes")));
        }
    }
    Ok(())
}

fn expect_word(name: &str, word: Option<&str>) -> Result<(), Refusal> {
    let is_plain = |word: &str| (1..=MAX_WORD_BYTES).contains(&word.len()) && !word.chars().any(char::is_control);
    if word.is_none_or(is_plain) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{name}: must have 1 to {MAX_WORD_BYTES} bytes and no control characters")))
}

/// A decision of tomorrow would stand above all that are made until then.
fn expect_past(name: &str, at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Refusal> {
    match at {
        Some(at) if at.duration_since(now) > MAX_AHEAD => {
            Err(Refusal::invalid(format!("{name}: must not be in the future")))
        }
        Some(at) => Ok(at),
        None => Ok(now),
    }
}
