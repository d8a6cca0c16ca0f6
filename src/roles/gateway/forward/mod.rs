//! Webhooks that are passed on: whoever received them before this gateway goes on receiving them, bytes and headers as they
//! came.
//!
//! A verified webhook goes into a queue for each target of its account, in the same batch of confirms as its events. From
//! there it is sent until the target answers with 2xx, for `gateway.forward_days` at most. Nothing of this is in the way of
//! the answer to the provider. The queues hold customers' messages: they are bound to no exchange, RabbitMQ drops what is in
//! them for too long, and there are no dead letters.

mod target;
mod webhook;

pub(super) use target::{Target, Targets};
pub use webhook::Webhook;

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::Metrics;
use crate::config;
use crate::egress::{Anybody, Egress, EgressError, Options, Rules};
use crate::error::{Code, Fault};
use crate::events::Stage;
use crate::runtime::{Failure, Verdict};

/// How long a look-up of a target's name, and then a connection to it, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What `Retry-After` can ask for at most.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Sends webhooks to their targets.
#[derive(Debug)]
pub(super) struct Forwarder {
    targets: Targets,
    egress: Egress,
    timeout: Duration,
    lifetime: Duration,
    metrics: Metrics,
}

impl Forwarder {
    pub(super) fn new(targets: Targets, config: &config::Gateway, metrics: Metrics) -> Self {
        let timeout = Duration::from_secs(config.forward_timeout_s);
        let rules = Rules::strict()
            .with_plain(config.forward_allow_plain)
            .with_hosts(&config.forward_allow_hosts, "gateway.forward_allow_hosts");
        let options =
            Options { rules, connect_timeout: CONNECT_TIMEOUT, read_timeout: timeout, user_agent: String::new() };
        let lifetime = Duration::from_secs(targets.lifetime_s());
        Self { targets, egress: Egress::new(options), timeout, lifetime, metrics }
    }

    pub(super) const fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Sends a webhook to the target of this queue.
    pub(super) async fn send(&self, queue: usize, webhook: Option<&Webhook>) -> Verdict {
        let failed = |fault| Verdict::Failed(Failure { stage: Stage::Publish, fault });
        let Some(webhook) = webhook else {
            return failed(Fault::rejected(
                Code::EventMalformed,
                "this is no webhook that a gateway has put into the queue",
            ));
        };
        let Some(target) = self.targets.get(queue) else { return Verdict::PutBack };
        if webhook.age(Timestamp::now()) > self.lifetime {
            return failed(Fault::rejected(
                Code::ForwardExpired,
                "the target has not taken it within gateway.forward_days",
            ));
        }
        match self.try_once(target, webhook).await {
            Ok(()) => Verdict::Done,
            Err(fault) => failed(fault),
        }
    }

    /// A webhook is dropped.
    pub(super) fn dropped(&self, queue: usize, code: Code) {
        let Some(target) = self.targets.get(queue) else { return };
        tracing::error!(account = target.account, queue = target.queue, %code, "a webhook is dropped and not passed on");
        self.metrics.forward_dropped(&target.account);
    }

    async fn try_once(&self, target: &Target, webhook: &Webhook) -> Result<(), Fault> {
        let request = webhook.request(&target.url).map_err(fault)?;
        let answer = timeout(self.timeout, Box::pin(self.egress.open(&request, &Anybody))).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(fault(error)),
            Err(_elapsed) => {
                let text = format!("the target has not answered within {} s", self.timeout.as_secs());
                return Err(Fault::transient(Code::ForwardUnavailable, text));
            }
        };
        let status = response.status();
        if (200..300).contains(&status) {
            return Ok(());
        }
        let retry_after = response.retry_after(std::time::SystemTime::now()).map(|wait| wait.min(MAX_WAIT));
        let message = format!("{} answers {status}", response.host());
        Err(Fault::Transient { code: Code::ForwardUnavailable, message, retry_after })
    }
}

/// Whatever is in the way may be mended within the days that a webhook is kept, be it a rule of the configuration.
fn fault(error: EgressError) -> Fault {
    let code = match error {
        EgressError::Denied(_) | EgressError::Config(_) | EgressError::Invalid(_) => Code::ForwardDenied,
        EgressError::Unavailable(_)
        | EgressError::Timeout(_)
        | EgressError::TooLarge { .. }
        | EgressError::Stopped(_) => Code::ForwardUnavailable,
    };
    Fault::transient(code, error.to_string())
}
