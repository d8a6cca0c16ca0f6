//! The gateway as a role: it takes messages from the queues of webhooks that are passed on, where there are any, and has
//! connection, health, metrics and drain as every role.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::forward::{Forwarder, Targets};
use super::{Broker, Entry, Gateway, Options, Webhook};
use crate::broker::{BrokerError, Delivery, Note, Publisher, QueueSpec, Topology};
use crate::channels::{Account, AccountError, Provider};
use crate::config::Config;
use crate::runtime::{Ending, Failure, Incoming, Intake, MessageInfo, Role, Service, Settled, Verdict};

/// A role whose only queues are those of webhooks that are passed on.
#[derive(Debug)]
pub struct GatewayRole {
    forwarder: Forwarder,
    at_once: u16,
}

/// Why a gateway cannot start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is nobody whose webhooks could be taken.
    #[error("there is no account below channels: nobody's webhooks could be taken")]
    NoAccounts,
    /// A setting of an account.
    #[error("channels.{0}: {1}")]
    Account(String, AccountError),
    /// Signatures cover the URL, and it is not known.
    #[error("gateway.public_url is empty, and the signatures of channels.{0} cover the URL that the provider calls")]
    NoUrl(String),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// The queues that a gateway takes messages from: one for each target that webhooks are passed on to.
#[must_use]
pub fn queues(config: &Config) -> Vec<QueueSpec> {
    Targets::new(config).queues()
}

/// What publishes events and nothing else: no webhook is passed on.
///
/// # Errors
/// [`BrokerError::Config`]
pub fn outlet(config: &Config) -> Result<Broker, BrokerError> {
    let topology = Topology::new(&config.broker, Vec::new())?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    Ok(Broker::new(topology, publisher, config.gateway.publishes, HashMap::new()))
}

/// A gateway that has not connected yet, and what runs beside it.
///
/// # Errors
/// [`SetupError`]
pub fn service(config: &Config) -> Result<(Gateway, Service<GatewayRole>), SetupError> {
    if config.channels.is_empty() {
        return Err(SetupError::NoAccounts);
    }
    let entries = config.channels.iter().map(|(name, channel)| {
        let wrong = |error| SetupError::Account(name.clone(), error);
        let account = Account::new(name, channel).map_err(wrong)?;
        if config.gateway.public_url.is_empty() && signs_url(account.provider) {
            return Err(SetupError::NoUrl(name.clone()));
        }
        Entry::new(account).map_err(wrong)
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let targets = Targets::new(config);
    let topology = Topology::new(&config.broker, targets.queues())?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    let outlet = Broker::new(topology, publisher.clone(), config.gateway.publishes, targets.by_account());
    let options = Options::from(&config.gateway);
    let drain = options.drain_timeout;
    let gateway = Gateway::new(options, entries, Arc::new(outlet));
    let metrics = gateway.metrics().clone();
    let runtime = metrics.runtime.clone();
    runtime.describe(&[], &[], &[]);
    let role = GatewayRole {
        forwarder: Forwarder::new(targets, &config.gateway, metrics),
        at_once: config.gateway.forward_at_once,
    };
    let service = Service::new(&config.broker, drain, role, publisher, runtime)?;
    Ok((gateway, service))
}

const fn signs_url(provider: Provider) -> bool {
    matches!(provider, Provider::Twilio | Provider::Messagebird | Provider::BirdChannels)
}

impl Role for GatewayRole {
    const NAME: &'static str = "gateway";
    type Message = Option<Webhook>;

    fn queues(&self) -> Vec<QueueSpec> {
        self.forwarder.targets().queues()
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: self.at_once, batch: 1 }
    }

    fn read(&self, delivery: &Delivery) -> Option<Webhook> {
        Webhook::read(delivery)
    }

    fn info(&self, webhook: &Option<Webhook>) -> MessageInfo {
        MessageInfo { asked_at: webhook.as_ref().map(|webhook| webhook.received_at), ..MessageInfo::default() }
    }

    async fn handle(&self, messages: &[Incoming<Option<Webhook>>]) -> Vec<Verdict> {
        let send = |it: &Incoming<Option<Webhook>>| (it.delivery.queue().index, it.message.clone());
        let sends = messages.iter().map(send).collect::<Vec<_>>();
        join_all(sends.iter().map(|(queue, webhook)| self.forwarder.send(*queue, webhook.as_ref()))).await
    }

    /// A webhook is not read here, only sent: it ends no process, however often it was delivered.
    async fn worn_out(&self, message: &Incoming<Option<Webhook>>, _failure: Failure) -> Verdict {
        self.forwarder.send(message.delivery.queue().index, message.message.as_ref()).await
    }

    /// Customers' text is not kept for longer, so that there are no dead letters.
    async fn ended(
        &self,
        message: &Incoming<Option<Webhook>>,
        _ending: Ending,
        note: &Note,
    ) -> Result<Settled, Failure> {
        self.forwarder.dropped(message.delivery.queue().index, note.code);
        Ok(Settled::Acknowledge)
    }
}
