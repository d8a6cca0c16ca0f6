//! Makes the role from the configuration.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::api::Api;
use super::chatwoot::Chatwoot;
use super::destination::Destination;
use super::engine::{Engine, now_s};
use super::gate::Gate;
use super::hubspot::Hubspot;
use super::inner::Inner;
use super::ledger::{Ledger, LedgerError};
use super::map::{Map, MapError};
use super::metrics::Metrics;
use super::role::{Deliver, ladder, queues};
use super::salesforce::Salesforce;
use super::site::Site;
use super::webhook::Webhook;
use super::zendesk::Zendesk;
use super::zoho::Zoho;
use crate::broker::{BrokerError, Publisher, Topology};
use crate::config::{self, Config, DestinationKind};
use crate::links::Links;
use crate::runtime::Service;
use crate::store::Store;

/// How often it is looked whether another process has stopped a destination or let it go on.
const LOOK: Duration = Duration::from_secs(5);
/// How often old rows are removed from the ledger, in looks: once an hour.
const SWEEP_LOOKS: u32 = 720;

/// Why a deliverer cannot start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is nowhere to deliver to.
    #[error("there is no destination below deliver: nothing could be delivered")]
    NoDestinations,
    /// A setting of a destination.
    #[error("deliver.{0}.{1}")]
    Destination(String, String),
    /// Its map.
    #[error("deliver.{0}.map: {1}")]
    Map(String, MapError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// The destinations of the configuration. Nothing is sent.
///
/// # Errors
/// [`SetupError`]
pub fn sites(config: &Config, store: Option<&Store>, ledger: Option<&Ledger>) -> Result<Vec<Site>, SetupError> {
    if config.deliver.is_empty() {
        return Err(SetupError::NoDestinations);
    }
    config.deliver.iter().map(|(name, table)| site(name, table, store, ledger)).collect()
}

fn site(
    name: &str,
    table: &config::Destination,
    store: Option<&Store>,
    ledger: Option<&Ledger>,
) -> Result<Site, SetupError> {
    let gate = Arc::new(Gate::new(table));
    let api = Api::new(name, table, Arc::clone(&gate), (store.cloned(), ledger.cloned()));
    let wrong = |problem: String| SetupError::Destination(name.to_owned(), problem);
    let map = || Map::load(table).map(Some).map_err(|error| SetupError::Map(name.to_owned(), error));
    let (destination, map): (Arc<dyn Destination>, _) = match table.kind {
        DestinationKind::Webhook => (Arc::new(Webhook::new(table.clone(), api).map_err(wrong)?), None),
        DestinationKind::Hubspot => (Arc::new(Hubspot::new(name, table, api, ledger).map_err(wrong)?), map()?),
        DestinationKind::Salesforce => (Arc::new(Salesforce::new(name, table, api, ledger).map_err(wrong)?), map()?),
        DestinationKind::Zendesk => (Arc::new(Zendesk::new(name, table, api, ledger).map_err(wrong)?), map()?),
        DestinationKind::Zoho => (Arc::new(Zoho::new(name, table, api, ledger).map_err(wrong)?), map()?),
        DestinationKind::Chatwoot => (Arc::new(Chatwoot::new(table, api).map_err(wrong)?), map()?),
        DestinationKind::Unset => return Err(wrong("kind: it names no destination".to_owned())),
    };
    Ok(Site { name: name.to_owned(), config: table.clone(), destination, map, gate })
}

/// The role, and what runs beside it.
#[derive(Debug)]
pub struct Deliverer {
    /// Takes messages.
    pub service: Service<Deliver>,
    role: Deliver,
    keep_s: u64,
}

/// A deliverer that has not connected yet.
///
/// # Errors
/// [`SetupError`]
pub async fn service(config: &Config, store: Option<Store>) -> Result<Deliverer, SetupError> {
    let ledger = Ledger::open(&config.ledger.url.expose()).await?;
    let sites = sites(config, store.as_ref(), Some(&ledger))?;
    let ladder = ladder(&config.ledger);
    let topology = Topology::new(&config.broker, queues(&sites, &ladder))?;
    let publisher = Publisher::new(&config.broker, topology);
    let metrics = Metrics::default();
    let names: Vec<String> = sites.iter().map(Site::queue).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    metrics.runtime.describe(&[], &names, &["duplicate", "read-back", "paused"]);
    let engine = Engine { ledger, links: Links::new(&config.links), store, owner: Uuid::new_v4().to_string() };
    let source = config.worker.event_source.clone();
    let runtime = metrics.runtime.clone();
    let role = Deliver(Arc::new(Inner { sites, engine, publisher: publisher.clone(), metrics, ladder, source }));
    let grace = Duration::from_secs(config.worker.grace_s);
    let service = Service::new(&config.broker, grace, role.clone(), publisher, runtime)?;
    Ok(Deliverer { service, role, keep_s: config.ledger.keep_s })
}

impl Deliverer {
    /// Delivers until `shutdown`.
    ///
    /// # Errors
    /// As [`Service::run`].
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), BrokerError> {
        let Self { service, role, keep_s } = self;
        role.look().await;
        let watch = shutdown.run_until_cancelled(watch(&role, keep_s));
        let (ended, _watched) = tokio::join!(Box::pin(service.run(shutdown.clone())), watch);
        ended
    }
}

async fn watch(role: &Deliver, keep_s: u64) {
    for looks in 0_u32.. {
        tokio::time::sleep(LOOK).await;
        role.look().await;
        if looks % SWEEP_LOOKS == 0 {
            let before_s = now_s().saturating_sub(i64::try_from(keep_s).unwrap_or(i64::MAX));
            if let Err(error) = role.0.engine.ledger.forget_before(before_s).await {
                tracing::warn!(%error, "old rows stay in the ledger for another hour");
            }
        }
    }
}

/// What the role declares at the broker.
///
/// # Errors
/// [`SetupError`]
pub fn topology(config: &Config) -> Result<Topology, SetupError> {
    let sites = sites(config, None, None)?;
    Ok(Topology::new(&config.broker, queues(&sites, &ladder(&config.ledger)))?)
}
