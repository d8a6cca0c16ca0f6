//! The roles that `mediamill up` runs beside the worker.

use std::io;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::CliError;
#[cfg(feature = "catalog")]
use super::catalog::CatalogDoor;
#[cfg(feature = "gateway")]
use super::gateway::Door;
#[cfg(not(feature = "catalog"))]
use super::no_catalog::CatalogDoor;
#[cfg(not(feature = "gateway"))]
use super::no_gateway::Door;
use crate::config::Config;
use crate::runtime::Health;
use crate::store::Store;

/// Those that are configured, with their ports open.
#[derive(Default)]
pub(super) struct Others {
    gateway: Option<Door>,
    catalog: Option<CatalogDoor>,
}

/// Those that run.
pub(super) struct Running(Vec<JoinHandle<Result<(), CliError>>>);

impl Others {
    /// The gateway where `gateway.listen` is set, the catalogue where `catalog.listen` is set.
    pub(super) async fn open(config: &Config, store: &Store) -> Result<Self, CliError> {
        let mut others = Self::default();
        if !config.gateway.listen.is_empty() {
            others.gateway = Some(Door::open(config).await?);
        }
        if !config.catalog.listen.is_empty() {
            others.catalog = Some(CatalogDoor::open(config, store).await?);
        }
        Ok(others)
    }

    /// Where each answers below the worker's own port for health and metrics.
    pub(super) fn health(&self) -> Vec<(&'static str, Health)> {
        let gateway = self.gateway.iter().map(|door| ("/gateway", door.health()));
        gateway.chain(self.catalog.iter().map(|door| ("/catalog", door.health()))).collect()
    }

    /// Has them work until `shutdown`.
    pub(super) fn start(self, shutdown: &CancellationToken) -> Running {
        let gateway = self.gateway.map(|door| tokio::spawn(Box::pin(door.run(shutdown.clone()))));
        let catalog = self.catalog.map(|door| tokio::spawn(Box::pin(door.run(shutdown.clone()))));
        Running(gateway.into_iter().chain(catalog).collect())
    }
}

impl Running {
    /// Waits until all have ended.
    pub(super) async fn end(self) -> Result<(), CliError> {
        for role in self.0 {
            role.await.map_err(io::Error::other)??;
        }
        Ok(())
    }
}
