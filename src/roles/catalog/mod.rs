//! The catalogue: an index of all that is stored, and the doors to it.
//!
//! `role` takes outcomes from RabbitMQ into the `index`, a database that can be rebuilt from the store (`rebuild`). `api` answers
//! searches and leads to files, after `access` has judged who asks; `player` has the pages that a CRM shows.

pub mod access;
pub mod api;
mod audited;
pub mod index;
mod ingest;
mod login;
mod office;
mod overrides;
mod player;
mod rebuild;
mod refreshed;
mod role;
mod waiting;
mod wiping;

pub use audited::index_audit_log;
pub use ingest::{Hasher, Object, change, change_of_manifest, objects};
pub use overrides::Overrides;
pub use rebuild::{Rebuild, RebuildError, Rebuilt};
pub use role::{Catalog, QUEUE, queue};

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BrokerError, Publisher, QueueSpec, Topology};
use crate::config::Config;
use crate::database::{Address, AddressError, Database, DatabaseError, OpenOptions};
use crate::privacy::ContactKey;
use crate::runtime::{Metrics, Service};
use crate::store::Store;
use index::Index;

/// Why a catalogue cannot start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address of the database.
    #[error("catalog.url {0}")]
    Address(#[from] AddressError),
    /// The database.
    #[error("{0}")]
    Database(#[from] DatabaseError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A key of the configuration.
    #[error("{0}")]
    Config(String),
}

/// Opens the index that the configuration names, and brings its tables up to date.
///
/// # Errors
/// [`SetupError`]; where another process has a SQLite index open as well.
pub async fn open_index(config: &Config) -> Result<Arc<dyn Index>, SetupError> {
    let address = Address::parse(&config.catalog.url.expose())?;
    let options = OpenOptions { connections: config.catalog.connections };
    Ok(index::index(Database::open(&address, options, &index::MIGRATIONS).await?))
}

/// Opens an index that is there, to search in it while others write to it.
///
/// # Errors
/// [`SetupError`]
pub async fn open_index_to_read(config: &Config) -> Result<Arc<dyn Index>, SetupError> {
    let address = Address::parse(&config.catalog.url.expose())?;
    let options = OpenOptions { connections: 2 };
    Ok(index::index(Database::open_to_read(&address, options).await?))
}

/// Who messages are from and belong to, as the index knows them. Without a key nobody is known, and nothing can be searched for by
/// contact.
#[must_use]
pub fn hasher(config: &Config) -> Box<Hasher> {
    let Some(key) = ContactKey::new(&config.privacy) else { return Box::new(|_tenant, _message| Vec::new()) };
    Box::new(move |tenant, message| {
        let sender = key.sender(tenant, message);
        sender.contacts().chain(&sender.conversation).map(|hash| hash.as_str().to_owned()).collect()
    })
}

/// The queues of a catalogue, where one is configured.
pub fn queues(config: &Config) -> impl Iterator<Item = QueueSpec> {
    (!config.catalog.listen.is_empty()).then(|| queue(&config.broker)).into_iter()
}

/// A catalogue that has not connected to the broker yet.
///
/// # Errors
/// [`SetupError`]
pub fn service(config: &Config, index: Arc<dyn Index>, store: &Store) -> Result<Service<Catalog>, SetupError> {
    let role = Catalog::new(&config.broker, &config.catalog, index, Overrides::new(store.clone()), hasher(config));
    let publisher = Publisher::new(&config.broker, Topology::new(&config.broker, vec![queue(&config.broker)])?);
    let metrics = Metrics::default();
    metrics.describe(&[], &[QUEUE], &[]);
    let grace = Duration::from_secs(config.catalog.drain_timeout_s);
    Ok(Service::new(&config.broker, grace, role, publisher, metrics)?)
}
