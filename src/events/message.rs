//! `mediamill.message.edited.v1` and `mediamill.message.revoked.v1`: what became of a message that carried a media.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Message;

/// The data of a *message edited* event: the text under a media is another one now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    /// Whose media it is.
    pub tenant: String,
    /// The media that the message carried, as its received event named it.
    pub media_id: String,
    /// The message as it is now: `message_id` is that of the first version, `caption` the new text, absent where there is
    /// none any more.
    pub message: Message,
    /// When it was changed, as the channel says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<String>,
}

/// The data of a *message revoked* event: whoever sent the message has taken it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// Whose media it is.
    pub tenant: String,
    /// The media that the message carried, as its received event named it. Channels do not say what kind of message was
    /// taken back: where it was a text, no received event has this id.
    pub media_id: String,
    /// The message that was taken back, as far as the channel says: `message_id` and who sent it.
    pub message: Message,
    /// When it was taken back, as the channel says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
}
