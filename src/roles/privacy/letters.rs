//! Dead letters of what is erased. Replayed, they would be refused; but they hold captions and names.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::broker::{BrokerError, DeadLetterQueue, Delivery, Topology};
use crate::config::Config;
use crate::events::{ERASED_TYPE, Event, Incoming, Message};
use crate::privacy::{ContactHash, ContactKey, Erasure, Selector};
use crate::roles::lanes;
use crate::runtime::replay::{Action, replay};

/// Throws away the dead letters of the media that were erased, and those of the same sender: requests of the worker, and outcomes
/// of the catalogue and of destinations. How many.
pub(super) async fn discard(config: &Config, erasure: &Erasure, key: Option<&ContactKey>) -> Result<u64, BrokerError> {
    let free = erasure.plan.iter().flatten().filter(|media| media.held_for.is_empty());
    let meant = Meant { erasure, media: free.map(|media| media.media_id.as_str()).collect(), key };
    let mut count = discard_from(config, "dead".to_owned(), |delivery| meant.has_request(delivery)).await?;
    let destinations = config.deliver.keys().map(|name| format!("deliver.{name}.dead"));
    for queue in std::iter::once("catalog.dead".to_owned()).chain(destinations) {
        count += discard_from(config, queue, |delivery| meant.has_outcome(delivery)).await?;
    }
    Ok(count)
}

async fn discard_from(
    config: &Config,
    queue: String,
    is_meant: impl Fn(&Delivery) -> bool,
) -> Result<u64, BrokerError> {
    let topology = Topology::new(&config.broker, lanes::queues(&config.broker))?;
    let wanted = |delivery: &Delivery| is_meant(delivery).then(|| "erased".to_owned());
    let found =
        replay(&config.broker, &topology, DeadLetterQueue::Named(queue), Action::Discard, u32::MAX, wanted).await?;
    Ok(found.tally.values().map(|count| u64::from(*count)).sum())
}

/// What an erasure means.
struct Meant<'a> {
    erasure: &'a Erasure,
    media: BTreeSet<&'a str>,
    key: Option<&'a ContactKey>,
}

impl Meant<'_> {
    fn has_request(&self, delivery: &Delivery) -> bool {
        match Incoming::read(delivery.content_type(), &delivery.headers(), delivery.body()) {
            Incoming::Valid(_, received) | Incoming::Invalid(_, received, _) => {
                self.has(&received.tenant, &received.media_id, received.message.as_ref())
            }
            Incoming::Unreadable(_) => false,
        }
    }

    /// Not what tells of an erasure: it names nobody, and whoever has not heard of it must still do.
    fn has_outcome(&self, delivery: &Delivery) -> bool {
        let event = Event::decode_outcome(delivery.content_type(), &delivery.headers(), delivery.body());
        let Some(event) = event.ok().filter(|event| event.kind != ERASED_TYPE) else { return false };
        let text = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let message = event.data.get("message").and_then(|message| Message::deserialize(message).ok());
        self.has(text("tenant"), text("media_id"), message.as_ref())
    }

    fn has(&self, tenant: &str, media_id: &str, message: Option<&Message>) -> bool {
        tenant == self.erasure.tenant && (self.media.contains(media_id) || message.is_some_and(|it| self.is_of(it)))
    }

    /// Whether the erasure means whoever sent it, and the message is not newer than what the erasure covers. A letter that says no
    /// time is not: a replay of it is judged by the worker.
    fn is_of(&self, message: &Message) -> bool {
        let Some(key) = self.key else { return false };
        let sent_at = message.sent_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if sent_at.is_none_or(|sent_at| sent_at > self.erasure.erased_at) {
            return false;
        }
        let sender = key.sender(&self.erasure.tenant, message);
        let is_meant = |hash: &ContactHash| self.erasure.selector.known_as().contains(hash);
        match &self.erasure.selector {
            Selector::Media { .. } | Selector::Due => false,
            Selector::Contact { .. } => sender.contacts().any(is_meant),
            Selector::Conversation { .. } => sender.conversation.iter().any(is_meant),
        }
    }
}
