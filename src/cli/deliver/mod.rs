//! `mediamill deliver`: passes outcomes on to webhooks and CRMs until it is told to stop; and what operators ask it for.

mod ask;
mod check;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::stop::listen;
use super::{CliError, Global, runtime};
use crate::broker::QueueSpec;
use crate::config::Config;
use crate::roles::deliver::{self, Deliverer, SetupError};
use crate::runtime::health_http;
use crate::store::Store;
use crate::telemetry::{self, Traces};

/// Options of `deliver`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the requests that a map makes of an event, without sending them
    Check(check::Args),
    /// Print what there must be at a destination before the first event, or its built-in map
    Setup(check::SetupArgs),
    /// Let a stopped destination go on
    Resume(ask::ResumeArgs),
    /// Deliver outcomes again, from the manifests of the store
    Resend(ask::ResendArgs),
    /// Move dead letters of a destination back to its queue, or count them
    Replay(ask::ReplayArgs),
}

/// Delivers until SIGTERM or SIGINT, then ends what it has. Exit code 0.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    match &args.what {
        Some(What::Check(args)) => check::run(args, global),
        Some(What::Setup(args)) => check::setup(args, global),
        Some(What::Resume(args)) => ask::resume(args, global),
        Some(What::Resend(args)) => ask::resend(args, global),
        Some(What::Replay(args)) => ask::replay(args, global),
        None => serve(global),
    }
}

fn serve(global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    let traces = Traces::new(&config.traces);
    telemetry::init_with_traces(&config.log, &traces);
    telemetry::log_panics();
    let runtime = runtime()?;
    traces.start(runtime.handle())?;
    let ended = runtime.block_on(work(global.clone(), config));
    traces.finish();
    Ok(ended.map_or_else(
        |error| {
            tracing::error!(%error, "the deliverer ends");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// A deliverer with the configured store.
pub(super) async fn open(config: &Config) -> Result<Deliverer, CliError> {
    let store = Store::connect(&config.store).await?;
    let deliverer = deliver::service(config, Some(store)).await.map_err(of_setup)?;
    tracing::info!(destinations = config.deliver.len(), "delivering");
    Ok(deliverer)
}

/// What it declares at the broker, where there are destinations.
pub(super) fn queues(config: &Config) -> Result<Vec<QueueSpec>, CliError> {
    if config.deliver.is_empty() {
        return Ok(Vec::new());
    }
    Ok(deliver::topology(config).map_err(of_setup)?.specs().to_vec())
}

/// What keeps a deliverer from starting.
fn of_setup(error: SetupError) -> CliError {
    match error {
        SetupError::Broker(error) => error.into(),
        SetupError::Ledger(error) => CliError::Io(std::io::Error::other(error.to_string())),
        SetupError::NoDestinations | SetupError::Destination(..) | SetupError::Map(..) => {
            CliError::Usage(error.to_string())
        }
    }
}

async fn work(global: Global, config: Config) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), exchange = config.broker.exchange, "starting");
    let deliverer = open(&config).await?;
    if let Some(listener) = health_http::listen(&config.http).await? {
        tokio::spawn(health_http::serve(listener, deliverer.service.health()));
    }
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match global.reload(&config) {
                Ok(new) => {
                    for key in config.changed_keys(&new) {
                        tracing::warn!(key, "changed, and takes effect with a restart");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration is wrong: the deliverer would not start again")
                }
            }
        }
    });
    Box::pin(deliverer.run(shutdown)).await?;
    tracing::info!("stopped");
    Ok(())
}
