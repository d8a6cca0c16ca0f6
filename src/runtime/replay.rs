//! Messages that wait for an operator: replays them (moves them back to their queues with their attempts reset), lists
//! or discards them.

use std::collections::BTreeMap;

use crate::broker::{BrokerError, DeadLetterQueue, DeadLetters, Delivery, Message, Publisher, Topology};
use crate::config;

/// What to do with the selected messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Count them and leave them where they are.
    List,
    /// Move each to its queue; it leaves the dead-letter queue only after the broker has confirmed it in the other.
    Replay,
    /// Delete them.
    Discard,
}

/// The result of going through the messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many messages were selected, by the reason that `wanted` gave and by the queue that they return to.
    pub tally: BTreeMap<(String, String), u32>,
    /// How many messages are still where they waited.
    pub left: u32,
}

/// Why a message is in a dead-letter queue, for people: the code in its headers; `unknown` where a later version wrote one that this
/// version does not know; `none` where nobody wrote one, since RabbitMQ dead-lettered it by itself.
#[must_use]
pub fn reason(delivery: &Delivery) -> &'static str {
    match delivery.dead_code() {
        Some(code) => code.as_str(),
        None if delivery.has_dead_code() => UNKNOWN,
        None => NONE,
    }
}

/// Reason of a message whose code this version does not know.
pub const UNKNOWN: &str = "unknown";
/// Reason of a message without a code.
pub const NONE: &str = "none";

/// Goes once through the messages that wait now. Applies the action to those for which `wanted` gives a reason, to at
/// most `limit` of them.
///
/// # Errors
/// [`BrokerError`]; messages that were moved or deleted before the error stay so.
pub async fn replay(
    config: &config::Broker,
    topology: &Topology,
    queue: DeadLetterQueue,
    action: Action,
    limit: u32,
    wanted: impl Fn(&Delivery) -> Option<String>,
) -> Result<Found, BrokerError> {
    let publisher = Publisher::new(config, topology.clone());
    let letters = DeadLetters::open(config, topology, queue).await?;
    let mut tally = BTreeMap::new();
    let (mut found, mut taken) = (0, 0);
    // Messages that arrive meanwhile are behind those that were counted.
    for _ in 0..letters.count() {
        if found == limit {
            break;
        }
        let Some(delivery) = letters.next().await? else { break };
        // A message that is not acknowledged returns to the queue when the connection closes.
        let Some(reason) = wanted(&delivery) else { continue };
        found += 1;
        *tally.entry((reason, topology.spec(delivery.queue()).name.clone())).or_default() += 1;
        if action == Action::List {
            continue;
        }
        if action == Action::Replay {
            // If the delivery is lost, its message is back in the queue and waits for the next replay.
            publisher.deliver_while(&Message::replay(topology, &delivery), || !delivery.is_channel_closed()).await?;
        }
        delivery.ack().await?;
        taken += 1;
    }
    let left = letters.count() - taken;
    letters.close().await;
    Ok(Found { tally, left })
}
