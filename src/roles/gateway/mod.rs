//! The gateway: webhooks of messaging providers in, events out.
//!
//! A webhook is answered with success only after the broker has confirmed every event of it. What cannot be verified is
//! refused before it is read. Where the broker is away or takes no messages, the answer is 503 and the provider comes again.
//!
//! ```text
//! connection ──> account ──> body, capped ──> verify ──> parse ──> publish, confirmed ──> the provider's success answer
//!     503 ^        404 ^           413 ^      401, 403 ^    400 ^              503 ^
//! ```
//!
//! An account may have targets that its webhooks are passed on to (`forward`): each has a queue.

mod body;
mod forward;
mod intake;
mod metrics;
mod outlet;
mod provider;
mod reconcile;
mod role;
mod server;
mod taken;

pub use forward::Webhook;
pub use intake::{Entry, Gateway};
pub use metrics::{METRICS, Metrics};
pub use outlet::{Batch, Broker, NotPublished, Outlet};
pub use provider::{callback, check};
pub use reconcile::{ReconcileError, Reconciled, keep_reconciled, reconcile};
pub use role::{GatewayRole, SetupError, outlet, queues, service};
pub use server::serve;

use std::time::Duration;

use crate::config;

/// Limits of a gateway.
#[derive(Debug, Clone)]
pub struct Options {
    /// The URL under which providers reach this gateway, without a slash at its end: signatures cover it.
    pub public_url: String,
    /// Most bytes of a webhook's body.
    pub body_bytes: usize,
    /// Most bytes of a request's head. No fewer than 8192.
    pub head_bytes: usize,
    /// Most bytes of bodies that are in memory at the same time.
    pub memory_bytes: usize,
    /// Most of them of one account, so that bodies with a wrong signature for one leave the rest to the others.
    pub account_memory_bytes: usize,
    /// Most connections at the same time. More wait to be accepted.
    pub connections: usize,
    /// Most requests to one account at the same time. One more is answered with 503, so that an account whose webhooks flood
    /// in, or come in slowly, leaves the rest to the others.
    pub account_requests: usize,
    /// How long a request's head may take.
    pub head_timeout: Duration,
    /// How long its body may take.
    pub body_timeout: Duration,
    /// How long publishing may take, confirms included. Providers wait some seconds (360dialog: 5).
    pub publish_timeout: Duration,
    /// How long requests have to end once the gateway stops.
    pub drain_timeout: Duration,
}

impl From<&config::Gateway> for Options {
    fn from(config: &config::Gateway) -> Self {
        Self {
            public_url: config.public_url.clone(),
            body_bytes: config.body_bytes,
            head_bytes: config.head_bytes,
            memory_bytes: config.memory_bytes,
            account_memory_bytes: config.account_memory_bytes,
            connections: config.connections,
            account_requests: config.account_requests,
            head_timeout: Duration::from_secs(config.head_timeout_s),
            body_timeout: Duration::from_secs(config.body_timeout_s),
            publish_timeout: Duration::from_secs(config.publish_timeout_s),
            drain_timeout: Duration::from_secs(config.drain_timeout_s),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            body_bytes: 4 << 20,
            head_bytes: 32 << 10,
            memory_bytes: 256 << 20,
            account_memory_bytes: 128 << 20,
            connections: 1024,
            account_requests: 256,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(10),
            publish_timeout: Duration::from_secs(4),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
