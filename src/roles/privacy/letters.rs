//! Dead letters of what is erased. Replayed, they would be refused; but they hold captions and names.

use std::collections::BTreeSet;

use crate::broker::{BrokerError, Delivery, Letters, Topology};
use crate::config::Config;
use crate::events::{Incoming, Received};
use crate::privacy::{ContactHash, ContactKey, Erasure, Selector};
use crate::roles::lanes;
use crate::runtime::replay::{Action, replay};

/// Throws away the dead letters of the media that were erased, and those of the same sender. How many.
pub(super) async fn discard(config: &Config, erasure: &Erasure, key: Option<&ContactKey>) -> Result<u64, BrokerError> {
    let topology = Topology::new(&config.broker, lanes::queues(&config.broker))?;
    let free = erasure.plan.iter().flatten().filter(|media| media.held_for.is_empty());
    let media: BTreeSet<&str> = free.map(|media| media.media_id.as_str()).collect();
    let wanted = |delivery: &Delivery| {
        let received = match Incoming::read(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Incoming::Valid(_, received) | Incoming::Invalid(_, received, _) => received,
            Incoming::Unreadable(_) => return None,
        };
        (received.tenant == erasure.tenant
            && (media.contains(received.media_id.as_str()) || is_of(&received, erasure, key)))
        .then(|| "erased".to_owned())
    };
    let letters = Letters::Dead("dead".to_owned());
    let found = replay(&config.broker, &topology, letters, Action::Discard, u32::MAX, wanted).await?;
    Ok(found.tally.values().map(|count| u64::from(*count)).sum())
}

/// Whether the erasure means whoever sent it, and the message is not newer than what the erasure covers. A letter that says no time
/// is not: a replay of it is judged by the worker.
fn is_of(received: &Received, erasure: &Erasure, key: Option<&ContactKey>) -> bool {
    let (Some(key), Some(message)) = (key, &received.message) else { return false };
    let sent_at = message.sent_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if sent_at.is_none_or(|sent_at| sent_at > erasure.erased_at) {
        return false;
    }
    let sender = key.sender(&received.tenant, message);
    let is_meant = |hash: &ContactHash| erasure.selector.known_as().contains(hash);
    match &erasure.selector {
        Selector::Media { .. } | Selector::Due => false,
        Selector::Contact { .. } => sender.contacts().any(is_meant),
        Selector::Conversation { .. } => sender.conversation.iter().any(is_meant),
    }
}
