//! Declares the exchanges, queues and bindings of a role.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::connection::Connection;
use super::{BrokerError, QueueSpec, Topology, WorkQueue};

/// RabbitMQ 4 gives every quorum queue a delivery limit of 20 by default, and drops or dead-letters a message beyond
/// it. Each reading of a dead-letter queue counts as a delivery, so its limit is set this high.
const HIGH_DELIVERY_LIMIT: i64 = 1_000_000;
/// Requests, and messages that customers have revoked. An outcome that no queue is bound for must be returned to the
/// worker that published it.
const UNROUTED_KEYS: &[&str] = &["media.received.#", "message.revoked"];

/// A queue with the arguments and bindings that it is declared with.
#[derive(Debug, Clone, PartialEq)]
struct Queue {
    name: String,
    /// The exchange that `keys` bind the queue to.
    exchange: String,
    keys: Vec<String>,
    arguments: Vec<(&'static str, Argument)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Text(String),
    Number(i64),
}

impl Topology {
    /// One line for each exchange, queue and binding, and one for the policy that the broker's operator has to set.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let exchanges = [self.exchange.clone(), self.unrouted()];
        let mut lines: Vec<_> = exchanges.iter().map(|exchange| format!("exchange {exchange} topic durable")).collect();
        for queue in self.declared() {
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

    /// Declares everything. An equal declaration changes nothing; RabbitMQ refuses one that differs from what exists.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<(), BrokerError> {
        let channel = connection.channel().await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        for exchange in [self.exchange.clone(), self.unrouted()] {
            let declared =
                channel.exchange_declare(exchange.into(), ExchangeKind::Topic, durable, FieldTable::default());
            connection.answer("declaring an exchange", declared).await?;
        }
        for queue in self.declared() {
            self.declare_queue(connection, &channel, queue).await?;
        }
        connection.answer("closing a channel", channel.close(200, "done".into())).await
    }

    async fn declare_queue(&self, connection: &Connection, channel: &Channel, queue: Queue) -> Result<(), BrokerError> {
        let name: ShortString = queue.name.as_str().into();
        let mut arguments = FieldTable::default();
        for (key, value) in queue.arguments {
            let value = match value {
                Argument::Text(text) => AMQPValue::LongString(text.into()),
                Argument::Number(number) => AMQPValue::LongLongInt(number),
            };
            arguments.insert(key.into(), value);
        }
        let declared = channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments);
        connection.answer("declaring a queue", declared).await?;
        for key in &queue.keys {
            let exchange: ShortString = queue.exchange.as_str().into();
            let options = QueueBindOptions::default();
            let bound = channel.queue_bind(name.clone(), exchange, key.as_str().into(), options, FieldTable::default());
            connection.answer("binding a queue", bound).await?;
        }
        Ok(())
    }

    /// The arguments of a queue that a role consumes. If its messages have a lifetime, only that ends them: they are
    /// neither dead-lettered nor given up after a number of deliveries.
    fn work_arguments(&self, spec: &QueueSpec) -> Vec<(&'static str, Argument)> {
        let mut arguments = quorum();
        let limit = if spec.lifetime_s.is_some() { HIGH_DELIVERY_LIMIT } else { self.delivery_limit.into() };
        arguments.push(("x-delivery-limit", Argument::Number(limit)));
        match spec.lifetime_s {
            Some(lifetime_s) => arguments.push(time_to_live(lifetime_s)),
            None => arguments.extend(dead_letter_to(self.dead_letters(&spec.dead_letters))),
        }
        arguments
    }

    fn declared(&self) -> Vec<Queue> {
        let mut queues = Vec::new();
        for queue in self.work_queues() {
            let spec = self.spec(queue);
            let arguments = self.work_arguments(spec);
            // A second queue has no bindings: only roles publish to it, by name through the default exchange.
            let keys = if queue.later { Vec::new() } else { spec.keys.clone() };
            queues.push(Queue { name: self.work_queue(queue), exchange: self.exchange.clone(), keys, arguments });
        }
        for (name, delay_s, index) in self.delay_queues() {
            let mut arguments = quorum();
            arguments.push(time_to_live(delay_s));
            arguments.extend(dead_letter_to(self.work_queue(WorkQueue::plain(index))));
            queues.push(Queue { name, exchange: self.exchange.clone(), keys: Vec::new(), arguments });
        }
        let mut arguments = quorum();
        arguments.push(("x-delivery-limit", Argument::Number(HIGH_DELIVERY_LIMIT)));
        let letters = |name, exchange, keys| Queue { name, exchange, keys, arguments: arguments.clone() };
        for name in self.dead_letter_names() {
            queues.push(letters(self.dead_letters(name), self.exchange.clone(), Vec::new()));
        }
        let keys = UNROUTED_KEYS.iter().map(|key| (*key).to_owned()).collect();
        queues.push(letters(self.unrouted(), self.unrouted(), keys));
        queues
    }
}

fn quorum() -> Vec<(&'static str, Argument)> {
    vec![("x-queue-type", Argument::Text("quorum".to_owned()))]
}

fn time_to_live(seconds: u64) -> (&'static str, Argument) {
    ("x-message-ttl", Argument::Number(i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)))
}

/// Dead-letters to one queue through the default exchange, at least once: the broker keeps the message until that queue
/// has it.
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
    use super::super::{Ladder, QueueSpec};
    use super::*;

    fn target(queues: &[Queue], name: &str) -> Option<String> {
        let queue = queues.iter().find(|queue| queue.name == name).expect(name);
        queue.arguments.iter().find_map(|(key, value)| match value {
            Argument::Text(text) if *key == "x-dead-letter-routing-key" => Some(text.clone()),
            _ => None,
        })
    }

    #[test]
    fn every_retry_queue_leads_back_to_its_own_queue_and_every_queue_to_its_dead_letters() {
        let queues = Topology::example().declared();
        for (name, leads_to) in [
            ("mm.retry.audio.10s", Some("mm.audio")),
            ("mm.retry.bulk.60s", Some("mm.bulk")),
            ("mm.audio", Some("mm.dead")),
            ("mm.audio.later", Some("mm.dead")),
            ("mm.dead", None),
            ("mm.unrouted", None),
        ] {
            assert_eq!(target(&queues, name).as_deref(), leads_to, "{name}");
        }
        assert_eq!(queues.len(), 4 + 4 + 2);
        assert_eq!(
            Topology::example().retry_queue(WorkQueue::later(0), 1),
            Some(("mm.retry.audio.60s".to_owned(), 60))
        );
        assert_eq!(Topology::example().retry_queue(WorkQueue::plain(0), 2), None);
    }

    #[test]
    fn a_queue_of_another_role_has_dead_letters_and_delays_of_its_own() {
        let ladder = Ladder { delays_s: vec![60], jitter_percent: 50 };
        let mut topology = Topology::example();
        topology.queues = vec![QueueSpec::new("deliver.crm", &["media.rejected"], ladder)];
        let queues = topology.declared();
        assert_eq!(target(&queues, "mm.deliver.crm").as_deref(), Some("mm.deliver.crm.dead"));
        for delay_s in [60, 70, 80, 90] {
            let name = format!("mm.retry.deliver.crm.{delay_s}s");
            assert_eq!(target(&queues, &name).as_deref(), Some("mm.deliver.crm"));
        }
        assert_eq!(queues.len(), 1 + 4 + 2, "no second queue");
    }

    #[test]
    fn a_queue_of_messages_with_a_lifetime_drops_them_and_has_no_dead_letters() {
        let mut topology = Topology::example();
        topology.queues = vec![QueueSpec::passing("forward.a", Ladder { delays_s: vec![60], jitter_percent: 0 }, 600)];
        let queues = topology.declared();
        assert_eq!(target(&queues, "mm.forward.a"), None);
        assert_eq!(target(&queues, "mm.retry.forward.a.60s").as_deref(), Some("mm.forward.a"));
        assert!(queues[0].arguments.contains(&("x-message-ttl", Argument::Number(600_000))), "{:?}", queues[0]);
        assert_eq!(
            (queues.len(), queues[0].keys.len()),
            (3, 0),
            "the queue, its delay queue, and the queue of unrouted requests"
        );
    }

    #[test]
    fn the_description_names_every_binding() {
        let text = Topology::example().describe().join("\n");
        assert!(text.contains("binding mm --media.received.audio--> mm.audio"), "{text}");
        assert!(text.contains("binding mm.unrouted --media.received.#--> mm.unrouted"), "{text}");
        assert!(text.contains("queue mm.bulk durable x-queue-type=\"quorum\" x-delivery-limit=20"), "{text}");
        assert!(text.contains("queue mm.bulk.later durable x-queue-type=\"quorum\" x-delivery-limit=20"), "{text}");
        assert!(!text.contains("--> mm.bulk.later"), "{text}");
    }
}
