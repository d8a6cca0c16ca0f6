//! The runtime that all roles share which consume messages from RabbitMQ. A role is a type that says which queues it
//! consumes and what it does with a message ([`Role`]); a [`Service`] runs it.
//!
//! The path of a message: `pull` or `consume` receives it when it can be handled; `jobs` has the role handle it inside
//! a span and catches panics; `settle` acknowledges it, or moves it to a retry queue, a dead-letter queue or back to
//! its own queue, as `retry` decides. [`Service`] reconnects when the connection is lost, and drains on shutdown:
//! running work has a grace period, and messages whose work does not end in it return to their queues. [`health_http`]
//! serves [`Health`] and [`Metrics`] over HTTP.
//!
//! The runtime does not depend on any role: `roles` uses `runtime`, and `runtime` uses `broker`.

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
pub use pull::{AGE, SHARE};
pub use readiness::{Part, Readiness};
pub use retry::{RetryDecision, decide, note};
pub use role::{Ending, Incoming, Intake, MessageInfo, Role, Settled, Verdict};
pub use service::{Service, work_time};
pub use slots::{Slot, Slots};
