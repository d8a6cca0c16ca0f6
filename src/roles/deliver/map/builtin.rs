//! The maps that come with the program.

use crate::config::DestinationKind;

/// The map of a kind of destination, commented; nothing where it has none.
#[must_use]
pub const fn builtin(kind: DestinationKind) -> Option<&'static str> {
    match kind {
        DestinationKind::Hubspot => Some(include_str!("hubspot.toml")),
        DestinationKind::Salesforce => Some(include_str!("salesforce.toml")),
        DestinationKind::Zendesk => Some(include_str!("zendesk.toml")),
        DestinationKind::Zoho => Some(include_str!("zoho.toml")),
        DestinationKind::Chatwoot => Some(include_str!("chatwoot.toml")),
        DestinationKind::Unset | DestinationKind::Webhook => None,
    }
}
