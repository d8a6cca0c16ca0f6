//! What an erasure or a hold means.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ContactHash;
use crate::events::ErasedBecause;

/// What is to be erased. People and conversations are hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Selector {
    /// One media.
    Media {
        /// Its id.
        media_id: String,
    },
    /// A person's media.
    Contact {
        /// Hashes of the person's identifiers.
        known_as: Vec<ContactHash>,
    },
    /// A conversation's media.
    Conversation {
        /// Hashes of its id.
        known_as: Vec<ContactHash>,
    },
    /// Media whose time is over. They are found by whoever looks through all of them.
    Due,
}

impl Selector {
    /// The word for it in certificates.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Media { .. } => "media",
            Self::Contact { .. } => "contact",
            Self::Conversation { .. } => "conversation",
            Self::Due => "due",
        }
    }

    /// Hashes of whom it means.
    #[must_use]
    pub fn known_as(&self) -> &[ContactHash] {
        match self {
            Self::Media { .. } | Self::Due => &[],
            Self::Contact { known_as } | Self::Conversation { known_as } => known_as,
        }
    }
}

/// Why a request cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// None, or several.
    #[error("exactly one of media_id, contact and conversation_id says what is meant")]
    NotOne,
    /// An identifier with nothing in it.
    #[error("the contact or conversation has no identifier in it")]
    Nobody,
    /// People are known by nothing.
    #[error("privacy.key is empty, so that contacts and conversations are not known by anything")]
    NoKey,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Names the erasure: the id of the event, or one of the caller's own. Asking twice under one number is asking once.
    pub number: String,
    /// Whose media.
    pub tenant: String,
    /// Which.
    pub selector: Selector,
    /// Why.
    pub because: ErasedBecause,
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// Up to when what was sent is covered.
    pub erased_at: Timestamp,
}
