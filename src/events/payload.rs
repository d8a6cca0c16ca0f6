//! The events that the doors in write.

use serde::Serialize;

use super::{Edited, Message, Received, Rejected, Revoked};

/// The data of an event that a gateway or an import writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Payload {
    /// A file that can be fetched.
    Received(Box<Received>),
    /// A file that was sent and cannot be fetched.
    Rejected(Box<Rejected>),
    /// A changed text.
    Edited(Box<Edited>),
    /// A message that was taken back.
    Revoked(Box<Revoked>),
}

impl Payload {
    /// The message that it is about.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Received(received) => received.message.as_ref(),
            Self::Rejected(rejected) => rejected.message.as_ref(),
            Self::Edited(edited) => Some(&edited.message),
            Self::Revoked(revoked) => Some(&revoked.message),
        }
    }
}
