//! RabbitMQ: the only place that knows lapin.
//!
//! - [`Connection`](connection): one connection, opened and given up with deadlines. lapin's own recovery stays off: it gives
//!   up after 16 tries and loses consumers that the server cancelled.
//! - [`QueueSpec`]: a queue as a role specifies it; [`Topology`]: the names of all queues, and their declaration.
//! - [`Publisher`]: mandatory, persistent, confirmed; reconnects by itself.
//! - [`Subscription`]: the queues of a role, an [`Inlet`] each; its end is an error, and the caller opens the next one.
//! - [`Mover`]: moves messages between them, many at a time.
//! - [`QueueDepths`]: how many messages wait, counted over the same connection, for health and metrics.
//! - [`DeadLetters`]: reads the queues of messages that wait for an operator.
//! - [`alternate_exchange`]: whether the policy is set that catches what no queue is bound for.
//!
//! Consuming and publishing have a connection each: the broker stops reading from a connection that publishes while it
//! is short of memory or disk, and acknowledgements would be stuck behind the publishes.

mod addresses;
mod alternate;
mod connection;
mod consumer;
mod dead_letters;
mod declare;
mod delivery;
mod error;
mod headers;
mod inlet;
mod message;
mod mover;
mod publisher;
mod queue;
mod queue_depths;
mod topology;

pub use alternate::{AlternateExchange, alternate_exchange};
pub use connection::Backoff;
pub use consumer::{OutcomeMessage, OutcomeQueue, Subscription};
pub use dead_letters::{DeadLetters, Letters};
pub use delivery::{Delivery, Tries};
pub use error::BrokerError;
pub use inlet::{Inlet, Window};
pub use message::{Message, Note};
pub use mover::Mover;
pub use publisher::Publisher;
pub use queue::{Ladder, QueueSpec, WorkQueue};
pub use queue_depths::QueueDepths;
pub use topology::Topology;
