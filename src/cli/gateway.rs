//! `mediamill gateway`: takes webhooks until it is told to stop.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::listener::Port;
use super::stop::listen;
use super::{CliError, Global, runtime};
use crate::config::Config;
use crate::roles::gateway::{self, Gateway, GatewayRole};
use crate::runtime::{Health, Service, health_http};
use crate::server::Listener;
use crate::telemetry::{self, Traces};

/// Options of `gateway`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Works until SIGTERM or SIGINT, then answers what it has. Exit code 0.
pub(super) fn run(_args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    if config.gateway.listen.is_empty() {
        return Err(CliError::Usage("gateway.listen is empty: nobody could reach this gateway".to_owned()));
    }
    let traces = Traces::new(&config.traces);
    telemetry::init_with_traces(&config.log, &traces);
    telemetry::log_panics();
    let runtime = runtime()?;
    traces.start(runtime.handle())?;
    let ended = runtime.block_on(work(global.clone(), config));
    traces.finish();
    Ok(ended.map_or_else(
        |error| {
            tracing::error!(%error, "the gateway ends");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// A gateway that listens.
pub(super) struct Door {
    config: Config,
    gateway: Gateway,
    service: Service<GatewayRole>,
    listener: Listener,
}

impl Door {
    /// Opens the configured port.
    pub(super) async fn open(config: &Config) -> Result<Self, CliError> {
        let (gateway, service) = gateway::service(config).map_err(|error| CliError::Usage(error.to_string()))?;
        let listener = Port::from(&config.gateway).open(service.metrics()).await?;
        let (address, scheme) = (listener.address()?, listener.scheme());
        tracing::info!(%address, scheme, accounts = config.channels.len(), "webhooks over HTTP");
        Ok(Self { config: config.clone(), gateway, service, listener })
    }

    pub(super) fn health(&self) -> Health {
        self.service.health()
    }

    /// Takes webhooks until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<(), CliError> {
        let Self { config, gateway, service, listener } = self;
        let reconciling = tokio::spawn(gateway::keep_reconciled(gateway.clone(), config, shutdown.clone()));
        let serving = tokio::spawn(gateway::serve(listener, gateway, shutdown.clone()));
        Box::pin(service.run(shutdown)).await?;
        serving.await.map_err(io::Error::other)?;
        reconciling.await.map_err(io::Error::other)?;
        Ok(())
    }
}

async fn work(global: Global, config: Config) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let door = Door::open(&config).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), exchange = config.broker.exchange, "starting");
    if let Some(listener) = health_http::listen(&config.http).await? {
        tokio::spawn(health_http::serve(listener, door.health()));
    }
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match global.reload(&config) {
                Ok(new) => {
                    for key in config.changed_keys(&new) {
                        tracing::warn!(key, "changed, and takes effect with a restart");
                    }
                }
                Err(error) => tracing::error!(%error, "the configuration is wrong: the gateway would not start again"),
            }
        }
    });
    door.run(shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}
