//! What a webhook tells of.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::events::{Declared, Kind, Message};

/// Most updates that are read of one webhook, of WhatsApp those that are not ignored. Providers send up to 1000 (Meta's webhook overview).
pub const MAX_UPDATES: usize = 10_000;

/// One thing that a webhook tells of.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// A file that can be fetched.
    Media(Box<Media>),
    /// A file that was sent and cannot be fetched.
    Undelivered(Box<Undelivered>),
    /// The text under a media was changed: a message like the first one, with the new text.
    Edited(Box<Edit>),
    /// A message was taken back.
    Revoked(Box<Edit>),
    /// Nothing for this pipeline.
    Ignored(Ignored),
}

/// The message that carried a file, and what names the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// The provider's number or account id, not the name of a table of the configuration: that may be renamed.
    pub account_id: String,
    /// The provider's id of the message. May hold a phone number.
    pub message_id: String,
    /// Index of the file in the message from 0, or the provider's own id of it where it has one for each file of a message.
    pub n: String,
    /// What is echoed.
    pub message: Message,
    /// When the message was sent.
    pub sent_at: Option<Timestamp>,
}

impl Carrier {
    /// `<provider>-` and the first 32 hex digits of SHA-256 over account, message id and number of the file, with NUL
    /// between: the same for every delivery of the same message, and without a phone number in it.
    #[must_use]
    pub fn media_id(&self, provider: &str) -> String {
        let Self { account_id, message_id, n, .. } = self;
        let digest = hex::encode(Sha256::digest(format!("{account_id}\0{message_id}\0{n}")));
        format!("{provider}-{}", &digest[..32])
    }
}

/// A file that can be fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Where it came with.
    pub carrier: Carrier,
    /// The provider's id of the file, or its URL where there is no id.
    pub reference: String,
    /// What the provider says about it.
    pub declared: Declared,
    /// What the provider takes it for.
    pub kind: Option<Kind>,
    /// Whether it is of an old chat, to be done behind everything that is live.
    pub is_history: bool,
}

/// A file that was sent and cannot be fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Undelivered {
    /// Where it came with.
    pub carrier: Carrier,
    /// Why, in a sentence that says nothing personal.
    pub why: String,
}

/// A change of a message that was sent before.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The first version of the message; its `message` is what is known of it now, its `sent_at` when the change came.
    pub carrier: Carrier,
    /// The provider's id of the change, which tells two changes of one message apart.
    pub change_id: String,
}

/// Why an update is nothing for this pipeline; a label of the metric that counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ignored(&'static str);

/// Every word of [`Ignored`].
pub const IGNORED: [&str; 9] =
    ["text", "interactive", "status", "system", "outbound", "history", "other-account", "error", "unknown"];

impl Ignored {
    /// A message of text, also with a place, a contact or a reaction in it: nothing to fetch.
    pub const TEXT: Self = Self("text");
    /// A button, an order, a poll or a form.
    pub const INTERACTIVE: Self = Self("interactive");
    /// What became of a message of ours.
    pub const STATUS: Self = Self("status");
    /// A message of the provider's own.
    pub const SYSTEM: Self = Self("system");
    /// A message from us to the customer, where the account does not ask for those (`echoes`).
    pub const OUTBOUND: Self = Self("outbound");
    /// A message of an old chat, where the account does not ask for those (`history`).
    pub const HISTORY: Self = Self("history");
    /// A message to a number that is not one of the account's (`numbers`).
    pub const OTHER_ACCOUNT: Self = Self("other-account");
    /// An error that the provider tells of, and that names no file.
    pub const ERROR: Self = Self("error");
    /// A type of message or webhook that this version does not know.
    pub const UNKNOWN: Self = Self("unknown");

    /// The word used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_id_is_the_same_for_the_same_file_and_holds_no_phone_number() {
        let carrier = |account_id: &str, message_id: &str, n: &str| Carrier {
            account_id: account_id.to_owned(),
            message_id: message_id.to_owned(),
            n: n.to_owned(),
            message: Message::default(),
            sent_at: None,
        };
        let id = carrier("800000000000001", "wamid.HBgAUDIO1", "0").media_id("whatsapp-cloud");
        assert_eq!(id, "whatsapp-cloud-0c8b1722db3e6337b90309f69cf4108d");
        for other in
            [carrier("800000000000002", "wamid.HBgAUDIO1", "0"), carrier("800000000000001", "wamid.HBgAUDIO1", "1")]
        {
            assert_ne!(other.media_id("whatsapp-cloud"), id);
        }
    }
}
