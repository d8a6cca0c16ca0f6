//! The maps that come with the program.

use crate::config::DestinationKind;

/// The map of a kind of destination, commented; nothing where it has none.
#[must_use]
pub const fn builtin(kind: DestinationKind) -> Option<&'static str> {
    match kind {
        DestinationKind::Hubspot => Some(include_str!("hubspot.toml")),
        DestinationKind::Unset
        | DestinationKind::Webhook
        | DestinationKind::Salesforce
        | DestinationKind::Zoho
        | DestinationKind::Zendesk
        | DestinationKind::Chatwoot => None,
    }
}
