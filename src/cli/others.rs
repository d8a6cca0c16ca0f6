//! The roles that `mediamill up` runs beside the worker.

use std::io;
use std::pin::Pin;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::CliError;
use crate::config::Config;
use crate::runtime::Health;
use crate::store::Store;

type Work = Pin<Box<dyn Future<Output = Result<(), CliError>> + Send>>;

/// A role with its ports open.
struct Other {
    name: &'static str,
    /// Where it answers below the worker's own port for health and metrics.
    path: &'static str,
    health: Health,
    work: Box<dyn FnOnce(CancellationToken) -> Work + Send>,
}

/// Those that are configured.
#[derive(Default)]
pub(super) struct Others(Vec<Other>);

/// Those that run.
pub(super) struct Running(JoinSet<Result<(), CliError>>);

impl Others {
    /// The gateway where `gateway.listen` is set, the catalogue where `catalog.listen` is set, the deliverer where there are
    /// destinations, and the privacy role where `privacy.key` is set.
    ///
    /// # Errors
    /// A port or a database that cannot be opened, and a role that is configured in a build without it.
    pub(super) async fn open(config: &Config, store: &Store) -> Result<Self, CliError> {
        let mut others = Vec::new();
        if !config.gateway.listen.is_empty() {
            others.push(gateway(config).await?);
        }
        if !config.catalog.listen.is_empty() {
            others.push(catalog(config, store).await?);
        }
        if !config.deliver.is_empty() {
            others.push(deliver(config).await?);
        }
        if !config.privacy.key.is_empty() {
            others.push(privacy(config, store)?);
        }
        Ok(Self(others))
    }

    /// Where each answers below the worker's own port for health and metrics.
    pub(super) fn health(&self) -> Vec<(&'static str, Health)> {
        self.0.iter().map(|other| (other.path, other.health.clone())).collect()
    }

    /// Has them work until `shutdown`. Where one ends before, the whole process does: a supervisor starts it again, and nobody
    /// takes a part of it for the whole.
    pub(super) fn start(self, shutdown: &CancellationToken) -> Running {
        let mut running = JoinSet::new();
        for Other { name, work, .. } in self.0 {
            let (work, shutdown) = (work(shutdown.clone()), shutdown.clone());
            running.spawn(async move {
                let _ends_all = shutdown.clone().drop_guard();
                let ended = work.await;
                match &ended {
                    Err(error) => tracing::error!(role = name, %error, "a role has ended; the process ends"),
                    Ok(()) if !shutdown.is_cancelled() => {
                        tracing::error!(role = name, "a role has ended by itself; the process ends");
                    }
                    Ok(()) => {}
                }
                ended
            });
        }
        Running(running)
    }
}

impl Running {
    /// Waits until all have ended. The first error is the process's.
    pub(super) async fn end(mut self) -> Result<(), CliError> {
        let mut ended = Ok(());
        while let Some(role) = self.0.join_next().await {
            let role = role.map_err(|error| CliError::Io(io::Error::other(error))).and_then(|role| role);
            ended = ended.and(role);
        }
        ended
    }
}

#[cfg(feature = "gateway")]
async fn gateway(config: &Config) -> Result<Other, CliError> {
    let door = super::gateway::Door::open(config).await?;
    let health = door.health();
    Ok(Other { name: "gateway", path: "/gateway", health, work: Box::new(|shutdown| Box::pin(door.run(shutdown))) })
}

#[cfg(feature = "catalog")]
async fn catalog(config: &Config, store: &Store) -> Result<Other, CliError> {
    let door = super::catalog::CatalogDoor::open(config, store).await?;
    let health = door.health();
    Ok(Other { name: "catalog", path: "/catalog", health, work: Box::new(|shutdown| Box::pin(door.run(shutdown))) })
}

#[cfg(feature = "deliver")]
async fn deliver(config: &Config) -> Result<Other, CliError> {
    let deliverer = super::deliver::open(config).await?;
    let health = deliverer.service.health();
    let work = |shutdown| -> Work { Box::pin(async move { Ok(Box::pin(deliverer.run(shutdown)).await?) }) };
    Ok(Other { name: "deliver", path: "/deliver", health, work: Box::new(work) })
}

#[cfg(feature = "catalog")]
fn privacy(config: &Config, store: &Store) -> Result<Other, CliError> {
    let office = super::privacy::Office::open(config, store)?;
    let health = office.health();
    Ok(Other { name: "privacy", path: "/privacy", health, work: Box::new(|shutdown| Box::pin(office.run(shutdown))) })
}

#[cfg(not(all(feature = "gateway", feature = "catalog", feature = "deliver")))]
fn missing(key: &str, role: &str) -> CliError {
    CliError::Usage(format!("{key} is set, and this build has no {role}: build it with that feature, or unset the key"))
}

#[cfg(not(feature = "gateway"))]
#[expect(clippy::unused_async, reason = "as where there is one")]
async fn gateway(_config: &Config) -> Result<Other, CliError> {
    Err(missing("gateway.listen", "gateway"))
}

#[cfg(not(feature = "catalog"))]
#[expect(clippy::unused_async, reason = "as where there is one")]
async fn catalog(_config: &Config, _store: &Store) -> Result<Other, CliError> {
    Err(missing("catalog.listen", "catalog"))
}

#[cfg(not(feature = "deliver"))]
#[expect(clippy::unused_async, reason = "as where there is one")]
async fn deliver(_config: &Config) -> Result<Other, CliError> {
    Err(missing("deliver", "deliver"))
}

#[cfg(not(feature = "catalog"))]
fn privacy(_config: &Config, _store: &Store) -> Result<Other, CliError> {
    Err(missing("privacy.key", "catalog"))
}
