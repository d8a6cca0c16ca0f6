//! One line of the audit log.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::privacy::ContactHash;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "AuditAction")]
pub enum Action {
    /// A media was shown, or a link to it was given.
    View,
    /// The file as it came was given out.
    Original,
    /// A link was made or revoked.
    Link,
    /// Everything of somebody was given out.
    Export,
    /// Somebody asked what is held of a person.
    Subject,
    /// An erasure was begun.
    EraseBegun,
    /// An erasure has its certificate.
    EraseDone,
    /// A hold was set.
    HoldSet,
    /// A hold was lifted.
    HoldLifted,
    /// A person decided about purposes.
    Consent,
    /// A media was erased because its time was over.
    Retention,
    /// An operator moved dead letters back to their queues.
    Replay,
    /// Somebody logged in.
    Login,
    /// Somebody asked for what is not theirs.
    Refused,
}

/// One line of the audit log. Nobody is named in it: people are keyed hashes, and an actor is the name of an account or of an
/// operator's user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    /// When.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// Who: an account, a user of the machine, a role.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// Whose media.
    pub tenant: String,
    /// Which media, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// Whom it is about, where it is about a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact: Vec<ContactHash>,
    /// Number of the erasure, case of the hold, code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Entry {
    /// Something that is done now.
    #[must_use]
    pub fn now(actor: &str, action: Action, tenant: &str) -> Self {
        Self {
            time: Timestamp::now(),
            actor: actor.to_owned(),
            action,
            tenant: tenant.to_owned(),
            media_id: None,
            contact: Vec::new(),
            about: None,
        }
    }
}
