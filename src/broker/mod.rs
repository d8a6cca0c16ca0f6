//! RabbitMQ. Only this module uses lapin.
//!
//! - [`Connection`](connection): one connection with time limits for opening and closing. lapin's own recovery stays
//!   off: it gives up after 16 attempts, and it does not restore consumers that the server cancelled.
//! - [`QueueSpec`]: a queue as a role specifies it; [`Topology`]: the names of all queues, and their declaration.
//! - [`Publisher`]: publishes mandatory, persistent, confirmed messages, and reconnects by itself.
//! - [`Subscription`]: the queues of a role, an [`Inlet`] each. When it ends with an error, the caller opens another
//!   one.
//! - [`Mover`]: moves messages from queue to queue, many at a time.
//! - [`QueueDepths`]: how many messages wait, counted over the same connection, for health and metrics.
//! - [`DeadLetters`]: reads the queues of messages that wait for an operator.
//! - [`alternate_exchange`]: whether the policy is set that keeps messages which no queue is bound for.
//!
//! Consuming and publishing use separate connections. When the broker is short of memory or disk it stops reading from
//! a connection that publishes; acknowledgements on the same connection would wait behind the published messages.

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
pub use dead_letters::{DeadLetterQueue, DeadLetters};
pub use delivery::{Delivery, Tries};
pub use error::BrokerError;
pub use inlet::{Inlet, Window};
pub use message::{Message, Note};
pub use mover::Mover;
pub use publisher::Publisher;
pub use queue::{Delay, Ladder, QueueSpec, WorkQueue};
pub use queue_depths::QueueDepths;
pub use topology::Topology;
