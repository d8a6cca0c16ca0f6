//! The gateway as a role: it takes no messages, and has connection, health, metrics and drain as every role.

use std::sync::Arc;

use super::{Broker, Entry, Gateway, Options};
use crate::broker::{BrokerError, Delivery, Publisher, QueueSpec, Topology};
use crate::channels::{Account, AccountError, Provider};
use crate::config::Config;
use crate::runtime::{Incoming, Intake, Role, Service, Verdict};

/// A role without queues.
#[derive(Debug)]
pub struct GatewayRole;

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
    let topology = Topology::new(&config.broker, Vec::new())?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    let outlet = Arc::new(Broker::new(topology, publisher.clone()));
    let options = Options::from(&config.gateway);
    let drain = options.drain_timeout;
    let gateway = Gateway::new(options, entries, outlet);
    let metrics = gateway.metrics().runtime.clone();
    let service = Service::new(&config.broker, drain, GatewayRole, publisher, metrics)?;
    Ok((gateway, service))
}

const fn signs_url(provider: Provider) -> bool {
    matches!(provider, Provider::Twilio | Provider::Messagebird | Provider::BirdChannels)
}

impl Role for GatewayRole {
    const NAME: &'static str = "gateway";
    type Message = ();

    fn queues(&self) -> Vec<QueueSpec> {
        Vec::new()
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: 1, batch: 1 }
    }

    fn read(&self, _delivery: &Delivery) {}

    async fn handle(&self, messages: &[Incoming<()>]) -> Vec<Verdict> {
        // Nothing comes from no queue.
        messages.iter().map(|_| Verdict::PutBack).collect()
    }
}
