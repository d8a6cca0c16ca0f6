//! Messages that wait for an operator: moves them back to their queues with their attempts reset, counts or deletes
//! them.

use std::collections::BTreeMap;

use crate::broker::{BrokerError, DeadLetters, Delivery, Letters, Message, Publisher, Topology};
use crate::config;

/// What becomes of the messages that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They are counted and stay where they are.
    List,
    /// Each is confirmed in its queue before it is taken from where it waits.
    Replay,
    /// They are thrown away.
    Discard,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// How many there are of what is asked for: by the reason that `wanted` gave, and by the queue that they go back to.
    pub tally: BTreeMap<(String, String), u32>,
    /// How many are left where they waited.
    pub left: u32,
}

/// Goes once through the messages that wait now, and does this with those for which `wanted` gives a reason, at most
/// `limit` of them.
///
/// # Errors
/// [`BrokerError`]; what was done until then is done.
pub async fn replay(
    config: &config::Broker,
    topology: &Topology,
    letters: Letters,
    action: Action,
    limit: u32,
    wanted: impl Fn(&Delivery) -> Option<String>,
) -> Result<Found, BrokerError> {
    let publisher = Publisher::new(config, topology.clone());
    let letters = DeadLetters::open(config, topology, letters).await?;
    let mut tally = BTreeMap::new();
    let (mut found, mut taken) = (0, 0);
    // What comes meanwhile stands behind those that were counted.
    for _ in 0..letters.count() {
        if found == limit {
            break;
        }
        let Some(delivery) = letters.next().await? else { break };
        // What is not acknowledged is passed over, and back in the queue in the end.
        let Some(reason) = wanted(&delivery) else { continue };
        found += 1;
        *tally.entry((reason, topology.spec(delivery.queue()).name.clone())).or_default() += 1;
        if action == Action::List {
            continue;
        }
        if action == Action::Replay {
            // A message that is no longer ours is in its queue for the next replay.
            publisher.deliver_while(&Message::replay(topology, &delivery), || !delivery.is_void()).await?;
        }
        delivery.ack().await?;
        taken += 1;
    }
    let left = letters.count() - taken;
    letters.close().await;
    Ok(Found { tally, left })
}
