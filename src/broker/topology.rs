//! Names of the exchange and the queues, and their declaration.
//!
//! ```text
//!                 media.received.audio                    ┌──────────────────────┐
//!  ┌───────────┐ ─────────────────────> mediamill.audio ──┤ worker: one slot a   │──> media.normalized.<kind>
//!  │ mediamill │ media.received[.video|.image|.document]  │ delivery             │    media.rejected, media.failed
//!  │  (topic)  │ ─────────────────────> mediamill.bulk ───┤                      │    (on the same exchange)
//!  └───────────┘                          ▲               └───┬──────────────┬───┘
//!                                         │ TTL expires       │ try again    │ given up, or no event
//!                          mediamill.retry.<lane>.<delay>s <──┘              └──> mediamill.dead
//! ```
//!
//! What is published below `media.received` with a key that no lane has would be dropped by RabbitMQ. The exchange
//! `mediamill.unrouted` catches it in a queue of its name, where a policy makes it the alternate exchange: the topic
//! exchange exists without such an argument since before, and cannot be declared again with one.
//! Beside each lane is `<lane>.later`, bound to nothing: workers put messages of tenants there that have more than their
//! share of the slots, and take from it while the lane is empty.
//!
//! All queues are quorum queues with at-least-once dead-lettering, which needs `reject-publish`. A rung of the retry
//! ladder is a queue for each lane, not one for both: its messages come back through the default exchange to exactly
//! one queue, and not to whatever else is bound to the topic exchange.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Channel, ExchangeKind};

use super::BrokerError;
use super::connection::Link;
use crate::config::Broker;

/// RabbitMQ 4 gives every quorum queue a delivery limit of 20; looking into a queue of letters must not empty it.
const LETTERS_DELIVERY_LIMIT: i64 = 1_000_000;
/// Requests, and nothing else: an outcome that no queue is bound for has to come back to the worker.
const UNROUTED_KEYS: &[&str] = &["media.received.#"];
/// What the name of a lane's second queue ends in.
pub(super) const LATER: &str = ".later";
/// Longest exchange name: AMQP's 255 bytes less room for what stands behind it in queue names.
const MAX_EXCHANGE_BYTES: usize = 200;

/// Work queues: a voice note never waits behind a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short sounds.
    Audio,
    /// Everything else, and what nobody told us the kind of.
    Bulk,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Audio, Self::Bulk];

    /// The word used in queue names, headers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Bulk => "bulk",
        }
    }

    /// Routing keys that lead here.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Audio => &["media.received.audio"],
            Self::Bulk => {
                &["media.received", "media.received.video", "media.received.image", "media.received.document"]
            }
        }
    }
}

/// A queue that workers take messages from. Each lane has two: the plain one, which events and retries come to, and
/// `<lane>.later` for messages of tenants that have more than their share, which is served while the plain one is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkQueue {
    /// The lane that it belongs to.
    pub lane: Lane,
    /// Whether it is the lane's second queue.
    pub later: bool,
}

impl WorkQueue {
    /// All of them, in the order in which a free slot is filled.
    pub const ALL: [Self; 4] =
        [Self::plain(Lane::Audio), Self::later(Lane::Audio), Self::plain(Lane::Bulk), Self::later(Lane::Bulk)];

    /// The queue that events and retries come to.
    #[must_use]
    pub const fn plain(lane: Lane) -> Self {
        Self { lane, later: false }
    }

    /// The queue of those who wait for their share.
    #[must_use]
    pub const fn later(lane: Lane) -> Self {
        Self { lane, later: true }
    }

    /// Its place in [`WorkQueue::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match (self.lane, self.later) {
            (Lane::Audio, false) => 0,
            (Lane::Audio, true) => 1,
            (Lane::Bulk, false) => 2,
            (Lane::Bulk, true) => 3,
        }
    }
}

/// Everything that is declared at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    exchange: String,
    /// For the operator's command only.
    vhost: String,
    delays_s: Vec<u64>,
    delivery_limit: u32,
}

/// A queue as it is declared.
#[derive(Debug, Clone, PartialEq)]
struct Queue {
    name: String,
    /// The exchange that it is bound to by its keys.
    exchange: String,
    keys: &'static [&'static str],
    arguments: Vec<(&'static str, Argument)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Text(String),
    Number(i64),
}

impl Topology {
    /// The topology of a configuration.
    ///
    /// # Errors
    /// [`BrokerError::Config`] where names or delays are impossible.
    pub fn new(config: &Broker) -> Result<Self, BrokerError> {
        if config.exchange.len() > MAX_EXCHANGE_BYTES {
            return Err(BrokerError::Config(format!("broker.exchange has more than {MAX_EXCHANGE_BYTES} bytes")));
        }
        if config.retry_delays_s.iter().any(|delay| *delay > u64::from(u32::MAX / 1000)) {
            return Err(BrokerError::Config("broker.retry_delays_s has a delay of more than 49 days".to_owned()));
        }
        Ok(Self {
            exchange: config.exchange.clone(),
            vhost: config.url.expose().parse::<AMQPUri>().map_or_else(|_| "/".to_owned(), |uri| uri.vhost),
            delays_s: config.retry_delays_s.clone(),
            delivery_limit: config.delivery_limit,
        })
    }

    /// The topic exchange.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The work queue of a lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> String {
        format!("{}.{}", self.exchange, lane.as_str())
    }

    /// The name of a work queue.
    #[must_use]
    pub fn work_queue(&self, queue: WorkQueue) -> String {
        let lane = self.lane(queue.lane);
        if queue.later { format!("{lane}{LATER}") } else { lane }
    }

    /// The queue of a rung of the retry ladder, from 0. Its delay is part of its name, so that changing delays leaves
    /// what waits in the old queues to come back in its own time.
    #[must_use]
    pub fn rung(&self, lane: Lane, rung: usize) -> Option<String> {
        self.delays_s.get(rung).map(|delay_s| format!("{}.retry.{}.{delay_s}s", self.exchange, lane.as_str()))
    }

    /// Every queue of the retry ladder, of both lanes.
    #[must_use]
    pub fn ladder(&self) -> Vec<String> {
        let rungs = |lane| (0..self.delays_s.len()).filter_map(move |rung| self.rung(lane, rung));
        let mut queues: Vec<_> = Lane::ALL.into_iter().flat_map(rungs).collect();
        // The same delay twice is one queue.
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// Where messages end that nothing more is done with.
    #[must_use]
    pub fn dead(&self) -> String {
        format!("{}.dead", self.exchange)
    }

    /// The alternate exchange, and the queue that is bound to it: requests whose routing key leads to no lane.
    #[must_use]
    pub fn unrouted(&self) -> String {
        format!("{}.unrouted", self.exchange)
    }

    /// The command that makes [`Topology::unrouted`] the alternate exchange. A policy is no client's to set over AMQP.
    #[must_use]
    pub fn policy_command(&self) -> String {
        let Self { exchange, vhost, .. } = self;
        let vhost = if vhost == "/" { String::new() } else { format!("--vhost {vhost} ") };
        // A regular expression there.
        let literal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let escaped = exchange.chars().map(|c| if literal(c) { c.to_string() } else { format!("\\{c}") });
        format!(
            "rabbitmqctl set_policy {vhost}--apply-to exchanges {exchange}-unrouted '^{}$' \
             '{{\"alternate-exchange\":\"{}\"}}'",
            escaped.collect::<String>(),
            self.unrouted()
        )
    }

    /// How often RabbitMQ delivers a message before it gives up by itself.
    #[must_use]
    pub const fn delivery_limit(&self) -> u32 {
        self.delivery_limit
    }

    /// A line for each exchange, queue and binding, and one for the policy that a broker's operator has to set.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let exchanges = [self.exchange.clone(), self.unrouted()];
        let mut lines: Vec<_> = exchanges.iter().map(|exchange| format!("exchange {exchange} topic durable")).collect();
        for queue in self.queues() {
            let arguments = queue.arguments.iter().map(|(name, value)| match value {
                Argument::Text(text) => format!(" {name}={text:?}"),
                Argument::Number(number) => format!(" {name}={number}"),
            });
            lines.push(format!("queue {} durable{}", queue.name, arguments.collect::<String>()));
            let bindings = queue.keys.iter().map(|key| format!("binding {} --{key}--> {}", queue.exchange, queue.name));
            lines.extend(bindings);
        }
        lines.push(format!("policy (set by an operator, not declared): {}", self.policy_command()));
        lines
    }

    /// Declares everything. Changes nothing that is there and the same; refused where it is there and different.
    pub(super) async fn declare(&self, link: &Link) -> Result<(), BrokerError> {
        let channel = link.channel().await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        for exchange in [self.exchange.clone(), self.unrouted()] {
            let declared =
                channel.exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default());
            link.answer("declaring an exchange", declared).await?;
        }
        for queue in self.queues() {
            self.declare_queue(link, &channel, queue).await?;
        }
        link.answer("closing a channel", channel.close(200, "done".into())).await
    }

    async fn declare_queue(&self, link: &Link, channel: &Channel, queue: Queue) -> Result<(), BrokerError> {
        let name: ShortString = queue.name.into();
        let mut arguments = FieldTable::default();
        for (key, value) in queue.arguments {
            let value = match value {
                Argument::Text(text) => AMQPValue::LongString(text.into()),
                Argument::Number(number) => AMQPValue::LongLongInt(number),
            };
            arguments.insert(key.into(), value);
        }
        let declared = channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments);
        link.answer("declaring a queue", declared).await?;
        for key in queue.keys {
            let exchange: ShortString = queue.exchange.as_str().into();
            let options = QueueBindOptions::default();
            let bound = channel.queue_bind(name.clone(), exchange, (*key).into(), options, FieldTable::default());
            link.answer("binding a queue", bound).await?;
        }
        Ok(())
    }

    fn queues(&self) -> Vec<Queue> {
        let mut queues = Vec::new();
        for queue in WorkQueue::ALL {
            let mut arguments = quorum();
            arguments.push(("x-delivery-limit", Argument::Number(self.delivery_limit.into())));
            arguments.extend(dead_letter_to(self.dead()));
            // Not bound: only workers publish to a second queue, through the default exchange.
            let keys = if queue.later { &[] } else { queue.lane.keys() };
            queues.push(Queue { name: self.work_queue(queue), exchange: self.exchange.clone(), keys, arguments });
        }
        for lane in Lane::ALL {
            for (rung, delay_s) in self.delays_s.iter().enumerate() {
                let Some(name) = self.rung(lane, rung) else { continue };
                let ttl_ms = i64::try_from(delay_s.saturating_mul(1000)).unwrap_or(i64::MAX);
                let mut arguments = quorum();
                arguments.push(("x-message-ttl", Argument::Number(ttl_ms)));
                arguments.extend(dead_letter_to(self.lane(lane)));
                // The same delay twice is one queue.
                if !queues.iter().any(|queue| queue.name == name) {
                    queues.push(Queue { name, exchange: self.exchange.clone(), keys: &[], arguments });
                }
            }
        }
        let mut arguments = quorum();
        arguments.push(("x-delivery-limit", Argument::Number(LETTERS_DELIVERY_LIMIT)));
        let letters = |name, exchange, keys| Queue { name, exchange, keys, arguments: arguments.clone() };
        queues.push(letters(self.dead(), self.exchange.clone(), &[]));
        queues.push(letters(self.unrouted(), self.unrouted(), UNROUTED_KEYS));
        queues
    }
}

fn quorum() -> Vec<(&'static str, Argument)> {
    vec![("x-queue-type", Argument::Text("quorum".to_owned()))]
}

/// Through the default exchange to one queue, at least once: the broker keeps the message until that queue has it.
fn dead_letter_to(queue: String) -> [(&'static str, Argument); 4] {
    [
        ("x-dead-letter-exchange", Argument::Text(String::new())),
        ("x-dead-letter-routing-key", Argument::Text(queue)),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        Topology { exchange: "mm".to_owned(), vhost: "/".to_owned(), delays_s: vec![10, 60], delivery_limit: 20 }
    }

    #[test]
    fn every_rung_leads_back_to_its_own_lane_and_every_lane_to_the_dead() {
        let queues = topology().queues();
        let target = |name: &str| {
            let queue = queues.iter().find(|queue| queue.name == name).expect(name);
            queue.arguments.iter().find_map(|(key, value)| match value {
                Argument::Text(text) if *key == "x-dead-letter-routing-key" => Some(text.as_str()),
                _ => None,
            })
        };
        assert_eq!(target("mm.retry.audio.10s"), Some("mm.audio"));
        assert_eq!(target("mm.retry.bulk.60s"), Some("mm.bulk"));
        assert_eq!(target("mm.audio"), Some("mm.dead"));
        assert_eq!(target("mm.audio.later"), Some("mm.dead"));
        assert_eq!(target("mm.dead"), None);
        assert_eq!(target("mm.unrouted"), None);
        assert_eq!(queues.len(), 4 + 4 + 2);
        assert_eq!(topology().rung(Lane::Audio, 2), None);
    }

    #[test]
    fn the_description_names_every_binding() {
        let text = topology().describe().join("\n");
        assert!(text.contains("binding mm --media.received.audio--> mm.audio"), "{text}");
        assert!(text.contains("binding mm.unrouted --media.received.#--> mm.unrouted"), "{text}");
        assert!(text.contains("queue mm.bulk durable x-queue-type=\"quorum\" x-delivery-limit=20"), "{text}");
        assert!(text.contains("queue mm.bulk.later durable x-queue-type=\"quorum\" x-delivery-limit=20"), "{text}");
        assert!(!text.contains("--> mm.bulk.later"), "{text}");
    }

    #[test]
    fn the_policy_is_for_this_exchange_alone() {
        let dotted = Topology { exchange: "crm.media".to_owned(), ..topology() };
        let command = dotted.policy_command();
        assert_eq!(
            command,
            "rabbitmqctl set_policy --apply-to exchanges crm.media-unrouted '^crm\\.media$' \
             '{\"alternate-exchange\":\"crm.media.unrouted\"}'"
        );
        assert!(dotted.describe().iter().any(|line| line.ends_with(&command)));
        let elsewhere = Topology { vhost: "crm".to_owned(), ..topology() };
        assert!(elsewhere.policy_command().contains(" --vhost crm "), "{}", elsewhere.policy_command());
    }
}
