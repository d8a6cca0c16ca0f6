//! What every role shares that takes messages from RabbitMQ: a role is a type that says which queues it has and what it
//! does with a message ([`Role`]), and a [`Service`] runs it.
//!
//! A message's way: `pull` or `consume` takes it, when there is a slot for it; `jobs` has the role handle it, in a
//! span, and catches panics; `settle` acknowledges it, or puts it into a retry queue, a dead-letter queue or back, as
//! `retry` decides. [`Service`] connects again when the connection is lost, and drains on shutdown: what runs has a grace
//! period, and what does not end in it is put back. [`Health`] and [`Metrics`] are answered over HTTP by [`health_http`].
//!
//! Nothing here knows a role: `roles` uses `runtime`, and `runtime` uses `broker`.

mod age;
mod consume;
mod failure;
mod health;
mod jobs;
mod lease;
mod pull;
mod readiness;
mod retry;
mod role;
mod service;
mod settle;
mod shares;
mod slots;
mod tenants;

pub mod health_http;
pub mod metrics;
pub mod replay;
pub mod spans;

pub use age::{MAX_AGE, age};
pub use failure::{At, Failure};
pub use health::Health;
pub use lease::Lease;
pub use metrics::{Described, Metrics};
pub use pull::SHARE;
pub use readiness::{Part, Readiness};
pub use retry::{RetryDecision, decide, note};
pub use role::{Ending, Incoming, Intake, MessageInfo, Role, Settled, Verdict};
pub use service::{Service, work_time};
pub use slots::{Slot, Slots};
