//! What waits for an operator at the broker: dead letters of every role, and requests that no lane is bound for.

use crate::broker::{BrokerError, DeadLetterQueue, Delivery, Topology};
use crate::config;
use crate::error::Code;
use crate::roles::lanes;
use crate::runtime::replay::{Action, Found, NONE, UNKNOWN, reason, replay};

/// Most messages of a queue that are read to say why they are there.
const MOST: u32 = 1000;

/// What waits in one dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The queue's name without that of the exchange, such as `dead` or `deliver.crm.dead`.
    pub(super) queue: String,
    /// Why, where they return to, and how many of them; of the first thousand.
    pub(super) reasons: Vec<(String, String, u32)>,
    /// How many there are.
    pub(super) count: u32,
}

/// Reads the queues, and moves messages back. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Mailroom {
    broker: config::Broker,
    topology: Topology,
}

impl Mailroom {
    /// `topology` has the queues of all roles.
    pub(super) fn new(broker: &config::Broker, topology: Topology) -> Self {
        Self { broker: broker.clone(), topology }
    }

    /// What waits in each dead-letter queue, the worker's first.
    pub(super) async fn dead(&self) -> Result<Vec<Waiting>, BrokerError> {
        let mut all = Vec::new();
        for queue in self.topology.dead_letter_names() {
            let why = |delivery: &Delivery| Some(reason(delivery).to_owned());
            let Found { tally, left } = self.go_through(queue, Action::List, MOST, why).await?;
            let reasons = tally.into_iter().map(|((reason, back_to), count)| (reason, back_to, count)).collect();
            all.push(Waiting { queue: queue.to_owned(), reasons, count: left });
        }
        Ok(all)
    }

    /// How many requests no lane is bound for.
    pub(super) async fn unrouted(&self) -> Result<u32, BrokerError> {
        let lanes = Topology::new(&self.broker, lanes::queues(&self.broker))?;
        let found = replay(&self.broker, &lanes, DeadLetterQueue::Unrouted, Action::List, 0, |_| None).await?;
        Ok(found.left)
    }

    /// Whether some role has a dead-letter queue of this name.
    pub(super) fn has(&self, queue: &str) -> bool {
        self.topology.dead_letter_names().contains(&queue)
    }

    /// Moves what waits in this queue for this reason back to where it was. How many.
    pub(super) async fn replay(&self, queue: &str, why: &str) -> Result<u32, BrokerError> {
        let wanted = |delivery: &Delivery| (reason(delivery) == why).then(|| why.to_owned());
        let found = self.go_through(queue, Action::Replay, u32::MAX, wanted).await?;
        Ok(found.tally.values().sum())
    }

    async fn go_through(
        &self,
        queue: &str,
        action: Action,
        limit: u32,
        wanted: impl Fn(&Delivery) -> Option<String>,
    ) -> Result<Found, BrokerError> {
        // Only the queues that these messages return to are declared.
        let topology = self.topology.with_dead_letters(queue);
        replay(&self.broker, &topology, DeadLetterQueue::Named(queue.to_owned()), action, limit, wanted).await
    }
}

/// Whether messages can be in a dead-letter queue for this reason.
pub(super) fn is_reason(text: &str) -> bool {
    matches!(text, NONE | UNKNOWN) || Code::parse(text).is_some()
}

/// What a reason means, for an operator.
pub(super) fn meaning(reason: &str) -> &'static str {
    match reason {
        NONE => "no role gave it up: RabbitMQ did, after too many deliveries",
        _ => Code::parse(reason)
            .map_or("a later version gave it up, for a reason that this one does not know", Code::meaning),
    }
}
