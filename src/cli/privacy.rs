//! `mediamill privacy`: does what the events of consent, erase and hold ask for, and sweeps.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::stop::listen;
use super::{CliError, Global, runtime};
use crate::config::Config;
use crate::roles::privacy::{Conduct, PrivacyRole, SetupError, service, sweep};
use crate::runtime::{Health, Service, health_http};
use crate::store::Store;
use crate::telemetry::{self, Traces};

/// Options of `privacy`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Broker(error) => Self::Broker(error),
            SetupError::Audit(error) => Self::Usage(error.to_string()),
        }
    }
}

/// Works until SIGTERM or SIGINT. Exit code 0.
pub(super) fn run(_args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    let traces = Traces::new(&config.traces);
    telemetry::init_with_traces(&config.log, &traces);
    telemetry::log_panics();
    let runtime = runtime()?;
    traces.start(runtime.handle())?;
    let ended = runtime.block_on(work(&config));
    traces.finish();
    Ok(ended.map_or_else(
        |error| {
            tracing::error!(%error, "the privacy role ends");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    ))
}

async fn work(config: &Config) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let store = Store::connect(&config.store).await?;
    let office = Office::open(config, &store)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), exchange = config.broker.exchange, "starting");
    if let Some(listener) = health_http::listen(&config.http).await? {
        tokio::spawn(health_http::serve(listener, office.health()));
    }
    office.run(shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The role, ready to run.
pub(super) struct Office {
    service: Service<PrivacyRole>,
    conduct: Conduct,
    sweep_s: u64,
}

impl Office {
    /// Of this store.
    pub(super) fn open(config: &Config, store: &Store) -> Result<Self, CliError> {
        let (service, conduct) = service(config, store)?;
        Ok(Self { service, conduct, sweep_s: config.privacy.sweep_s })
    }

    pub(super) fn health(&self) -> Health {
        self.service.health()
    }

    /// Works until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<(), CliError> {
        let Self { service, conduct, sweep_s } = self;
        if sweep_s > 0 {
            let sweeping = Box::pin(sweep_often(conduct, Duration::from_secs(sweep_s)));
            tokio::spawn(shutdown.clone().run_until_cancelled_owned(sweeping));
        }
        Ok(Box::pin(service.run(shutdown)).await?)
    }
}

/// Finishes what was begun, and sweeps, again and again.
async fn sweep_often(conduct: Conduct, pause: Duration) {
    loop {
        if let Err(error) = conduct.finish_begun().await {
            tracing::error!(%error, "an erasure that was begun is not finished; the next sweep tries again");
        }
        match sweep(&conduct, false).await {
            Ok(swept) => tracing::info!(
                media = swept.media,
                due = swept.due,
                held = swept.held,
                erased = swept.erased,
                orphans = swept.orphans,
                beside_tombstones = swept.beside_tombstones,
                unreadable = swept.unreadable,
                "the store was swept"
            ),
            Err(error) => tracing::error!(%error, "the store is not swept; the next sweep tries again"),
        }
        sleep(pause).await;
    }
}
