//! Names of the exchange and the queues. [`declare`](super::declare) declares them.
//!
//! ```text
//!                 media.received.audio                    ┌──────────────────────┐
//!  ┌───────────┐ ─────────────────────> mediamill.audio ──┤ worker: one slot a   │──> media.normalized.<kind>
//!  │ mediamill │ media.received[.video|.image|.document]  │ delivery             │    media.rejected, media.failed
//!  │  (topic)  │ ─────────────────────> mediamill.bulk ───┤                      │    (on the same exchange)
//!  └───────────┘                          ▲               └───┬──────────────┬───┘
//!                                         │ TTL expires       │ try again    │ given up, or no event
//!                          mediamill.retry.<queue>.<delay>s <─┘              └──> mediamill.dead
//! ```
//!
//! Each role has its own queues, all on this one exchange. RabbitMQ would drop a request below `media.received` whose
//! routing key no queue is bound for. The exchange `mediamill.unrouted` puts such requests into a queue of the same
//! name, once a policy makes it the alternate exchange of the topic exchange. It is a policy and not an argument,
//! because older versions declared the topic exchange without that argument, and RabbitMQ refuses a second declaration
//! with other arguments.
//!
//! A queue may have a second one, `<queue>.later`, which is bound to no key. A role moves messages of tenants there
//! that already use more than their share of the slots, and consumes from it while the first one is empty.
//!
//! All queues are quorum queues that dead-letter at least once, which needs the overflow behaviour `reject-publish`. Retry
//! queues are not shared: their messages go back through the default exchange to one queue, and not to every queue that is
//! bound to the topic exchange for the same key.
//!
//! A role with many queues and a long ladder would need hundreds of them. Its queues share delay queues
//! ([`QueueSpec::shares_delays`]): `<exchange>.delay.<delay>s` is a fanout exchange and the queue behind it. A message comes
//! there with the name of its own queue as routing key. It keeps that key when it expires, and the default exchange leads it
//! back.

use lapin::uri::AMQPUri;

use super::queue::LATER;
use super::{BrokerError, Delay, QueueSpec, WorkQueue};
use crate::config::Broker;

/// Longest name of the exchange: AMQP's limit of 255 bytes less room for the rest of a queue name.
const MAX_EXCHANGE_BYTES: usize = 200;
/// AMQP's limit on the name of a queue.
const MAX_NAME_BYTES: usize = 255;
/// Room in it for what surrounds the names of exchange and queue: `.retry.`, `.<delay>s`.
const MAX_AROUND_BYTES: usize = 24;
/// RabbitMQ stores the time to live of a message as 32-bit milliseconds.
const MAX_DELAY_S: u64 = (u32::MAX / 1000) as u64;

/// Everything that is declared at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    pub(super) exchange: String,
    /// Used only in the operator's `rabbitmqctl` command.
    vhost: String,
    pub(super) queues: Vec<QueueSpec>,
    pub(super) delivery_limit: u32,
}

impl Topology {
    /// The topology of a role: the exchange of the configuration, and the queues that the role consumes.
    /// [`WorkQueue::index`] counts in their order.
    ///
    /// # Errors
    /// [`BrokerError::Config`] if a name or delay is not possible.
    pub fn new(config: &Broker, queues: Vec<QueueSpec>) -> Result<Self, BrokerError> {
        let wrong = |text: String| Err(BrokerError::Config(text));
        if config.exchange.len() > MAX_EXCHANGE_BYTES {
            return wrong(format!("broker.exchange has more than {MAX_EXCHANGE_BYTES} bytes"));
        }
        for (n, queue) in queues.iter().enumerate() {
            if queue.ladder.delays_s.iter().chain(&queue.lifetime_s).any(|delay_s| *delay_s > MAX_DELAY_S) {
                return wrong("broker.retry_delays_s has a delay of more than 49 days".to_owned());
            }
            if queues[..n].iter().any(|other| other.name == queue.name) {
                return wrong(format!("a role has two queues of the name {}", queue.name));
            }
            let longest = config.exchange.len() + queue.name.len() + MAX_AROUND_BYTES;
            if queue.name.is_empty() || longest > MAX_NAME_BYTES {
                return wrong(format!(
                    "the queue name {:?} and broker.exchange have more than {} bytes together",
                    queue.name,
                    MAX_NAME_BYTES - MAX_AROUND_BYTES
                ));
            }
        }
        Ok(Self {
            exchange: config.exchange.clone(),
            vhost: config.url.expose().parse::<AMQPUri>().map_or_else(|_| "/".to_owned(), |uri| uri.vhost),
            queues,
            delivery_limit: config.delivery_limit,
        })
    }

    /// The name of the topic exchange.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The role's queues.
    #[must_use]
    pub fn specs(&self) -> &[QueueSpec] {
        &self.queues
    }

    /// The specification of this queue.
    #[must_use]
    pub fn spec(&self, queue: WorkQueue) -> &QueueSpec {
        &self.queues[queue.index]
    }

    /// All queues that the role consumes: each one, followed by its second queue if it has one.
    #[must_use]
    pub fn work_queues(&self) -> Vec<WorkQueue> {
        let both = |(index, spec): (usize, &QueueSpec)| {
            let second = spec.has_later.then_some(WorkQueue::later(index));
            std::iter::once(WorkQueue::plain(index)).chain(second)
        };
        self.queues.iter().enumerate().flat_map(both).collect()
    }

    /// The name of a queue.
    #[must_use]
    pub fn work_queue(&self, queue: WorkQueue) -> String {
        let plain = self.named(&self.spec(queue).name);
        if queue.later { format!("{plain}{LATER}") } else { plain }
    }

    /// A retry queue of this step, from 0, of the queue that a message came from. The delay is part of the name, so that
    /// messages that wait in the queues of an older configuration come back in their own time.
    #[must_use]
    pub fn retry_queue(&self, from: WorkQueue, step: usize) -> Option<Delay> {
        let spec = self.spec(from);
        let delay_s = spec.ladder.draw(step)?;
        let queue = self.delay_queue(spec, delay_s);
        let (exchange, routing_key) = match spec.shares_delays {
            true => (queue.clone(), self.work_queue(WorkQueue::plain(from.index))),
            false => (String::new(), queue.clone()),
        };
        Some(Delay { queue, delay_s, exchange, routing_key })
    }

    /// The names of all retry queues.
    #[must_use]
    pub fn retry_queues(&self) -> Vec<String> {
        let mut queues: Vec<_> = self.delay_queues().into_iter().map(|(name, _, _)| name).collect();
        queues.sort_unstable();
        queues
    }

    /// The full name of the dead-letter queue that [`QueueSpec::dead_letters`] names.
    #[must_use]
    pub fn dead_letters(&self, name: &str) -> String {
        self.named(name)
    }

    /// The dead-letter queues by their names in [`QueueSpec::dead_letters`], each once.
    #[must_use]
    pub fn dead_letter_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for spec in &self.queues {
            if !spec.dead_letters.is_empty() && !names.contains(&spec.dead_letters.as_str()) {
                names.push(&spec.dead_letters);
            }
        }
        names
    }

    /// The part of it whose dead letters wait in the queue of this name.
    #[must_use]
    pub fn with_dead_letters(&self, name: &str) -> Self {
        let queues = self.queues.iter().filter(|spec| spec.dead_letters == name).cloned().collect();
        Self { queues, ..self.clone() }
    }

    fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.exchange)
    }

    fn delay_queue(&self, spec: &QueueSpec, delay_s: u64) -> String {
        if spec.shares_delays {
            return format!("{}.delay.{delay_s}s", self.exchange);
        }
        format!("{}.retry.{}.{delay_s}s", self.exchange, spec.name)
    }

    /// Name, delay in seconds and index of the origin of every retry queue; each name once.
    pub(super) fn delay_queues(&self) -> Vec<(String, u64, usize)> {
        let mut queues: Vec<(String, u64, usize)> = Vec::new();
        for (index, spec) in self.queues.iter().enumerate() {
            let delays = (0..spec.ladder.delays_s.len()).flat_map(|step| spec.ladder.delays_of(step));
            for delay_s in delays {
                let name = self.delay_queue(spec, delay_s);
                // Two steps with the same delay share a queue.
                if !queues.iter().any(|(known, _, _)| *known == name) {
                    queues.push((name, delay_s, index));
                }
            }
        }
        queues
    }

    /// The name of the alternate exchange and of the queue that is bound to it. It holds requests whose routing key no
    /// queue is bound for.
    #[must_use]
    pub fn unrouted(&self) -> String {
        format!("{}.unrouted", self.exchange)
    }

    /// The command that makes [`Topology::unrouted`] the alternate exchange. An AMQP client cannot set a policy.
    #[must_use]
    pub fn policy_command(&self) -> String {
        let Self { exchange, vhost, .. } = self;
        let vhost = if vhost == "/" { String::new() } else { format!("--vhost {vhost} ") };
        // The exchange's name is part of a regular expression, so it is escaped.
        let literal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let escaped = exchange.chars().map(|c| if literal(c) { c.to_string() } else { format!("\\{c}") });
        format!(
            "rabbitmqctl set_policy {vhost}--apply-to exchanges {exchange}-unrouted '^{}$' \
             '{{\"alternate-exchange\":\"{}\"}}'",
            escaped.collect::<String>(),
            self.unrouted()
        )
    }

    /// How often RabbitMQ delivers a message before it gives the message up by itself.
    #[must_use]
    pub const fn delivery_limit(&self) -> u32 {
        self.delivery_limit
    }
}

#[cfg(test)]
impl Topology {
    /// Two queues that share their dead letters, as those of a worker do.
    pub(super) fn example() -> Self {
        let spec = |name: &str, keys: &[&str]| QueueSpec {
            dead_letters: "dead".to_owned(),
            has_later: true,
            ..QueueSpec::new(name, keys, super::Ladder { delays_s: vec![10, 60], jitter_percent: 0 })
        };
        let queues = vec![spec("audio", &["media.received.audio"]), spec("bulk", &["media.received"])];
        Self { exchange: "mm".to_owned(), vhost: "/".to_owned(), queues, delivery_limit: 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ladder;
    use super::*;

    #[test]
    fn impossible_names_and_delays_are_refused() {
        let config = crate::config::load(None, [], &[]).expect("defaults").broker;
        let refused = |queues| Topology::new(&config, queues).is_err();
        let queue =
            |name: &str, delay_s| QueueSpec::new(name, &[], Ladder { delays_s: vec![delay_s], jitter_percent: 0 });
        assert!(!refused(vec![queue("a", 1), queue("b", MAX_DELAY_S)]));
        assert!(refused(vec![queue("a", 1), queue("a", 2)]), "the same name twice");
        assert!(refused(vec![queue("a", MAX_DELAY_S + 1)]), "a delay that RabbitMQ does not accept");
        assert!(refused(vec![queue("", 1)]) && refused(vec![queue(&"n".repeat(250), 1)]));
    }

    #[test]
    fn the_policy_matches_only_this_exchange() {
        let dotted = Topology { exchange: "crm.media".to_owned(), ..Topology::example() };
        let command = dotted.policy_command();
        assert_eq!(
            command,
            "rabbitmqctl set_policy --apply-to exchanges crm.media-unrouted '^crm\\.media$' \
             '{\"alternate-exchange\":\"crm.media.unrouted\"}'"
        );
        assert!(dotted.describe().iter().any(|line| line.ends_with(&command)));
        let elsewhere = Topology { vhost: "crm".to_owned(), ..Topology::example() };
        assert!(elsewhere.policy_command().contains(" --vhost crm "), "{}", elsewhere.policy_command());
    }
}
