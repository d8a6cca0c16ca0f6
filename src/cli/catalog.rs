//! `mediamill catalog`: the index of what is stored, its API and its pages.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::listener::Port;
use super::stop::listen;
use super::{CliError, Global, queues, runtime};
use crate::config::Config;
use crate::roles::catalog::api::{self, Api};
use crate::roles::catalog::index::Index;
use crate::roles::catalog::{self, Catalog, Rebuild, Rebuilt, SetupError};
use crate::runtime::{Health, Service, health_http};
use crate::server::Listener;
use crate::store::Store;
use crate::telemetry::{self, Traces};

/// Options of `catalog`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read every manifest in the store into the index, also while a catalogue runs where the index is PostgreSQL
    Rebuild,
    /// Print the OpenAPI document of the API
    Openapi,
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Broker(error) => Self::Broker(error),
            SetupError::Database(error) => Self::Database(error),
            SetupError::Address(_) | SetupError::Config(_) => Self::Usage(error.to_string()),
        }
    }
}

/// Works until SIGTERM or SIGINT, or does what the subcommand says.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    match args.command {
        None => serve(global),
        Some(Command::Rebuild) => rebuild(global),
        Some(Command::Openapi) => {
            writeln!(io::stdout().lock(), "{:#}", api::openapi())?;
            Ok(ExitCode::SUCCESS)
        }
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
            tracing::error!(%error, "the catalogue ends");
            error.exit_code()
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// Exit code 0, or 1 where something in the store could not be read.
fn rebuild(global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let done = runtime()?.block_on(async {
        let store = Store::connect(&config.store).await?;
        let hasher = catalog::hasher(&config);
        let rebuild = Rebuild { store: &store, index: catalog::open_index(&config).await?, hasher: &hasher };
        let progress = |done: Rebuilt| tracing::info!(manifests = done.manifests, changed = done.changed, "rebuilding");
        let done = rebuild.run(&progress).await.map_err(|error| CliError::Io(io::Error::other(error.to_string())))?;
        Ok::<_, CliError>(done)
    })?;
    let Rebuilt { manifests, erased, overrides, changed, unreadable } = done;
    writeln!(
        io::stdout().lock(),
        "{manifests} manifests ({erased} erased), {overrides} objects of .catalog; {changed} rows changed, {unreadable} \
         unreadable"
    )?;
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::EXIT_FAILED) })
}

/// A catalogue with its port open.
pub(super) struct CatalogDoor {
    service: Service<Catalog>,
    api: Option<(Listener, Api)>,
    index: Arc<dyn Index>,
    /// The store with the audit log, where there is one.
    audited: Option<Store>,
}

impl CatalogDoor {
    /// Opens the index, and the configured port.
    pub(super) async fn open(config: &Config, store: &Store) -> Result<Self, CliError> {
        let index = catalog::open_index(config).await?;
        let service = catalog::service(config, Arc::clone(&index), store)?;
        let api = if config.catalog.listen.is_empty() {
            tracing::warn!("catalog.listen is empty: the index is kept, and nobody can ask it");
            None
        } else {
            let api = Api::new(config, Arc::clone(&index), store.clone(), queues::topology(config)?).await?;
            let listener = Port::from(&config.catalog).open(service.metrics()).await?;
            tracing::info!(address = %listener.address()?, scheme = listener.scheme(), "catalogue over HTTP");
            Some((listener, api))
        };
        let audited = (!config.privacy.audit_key.is_empty()).then(|| store.clone());
        Ok(Self { service, api, index, audited })
    }

    pub(super) fn health(&self) -> Health {
        self.service.health()
    }

    /// Takes outcomes and answers requests until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<(), CliError> {
        let Self { service, api, index, audited } = self;
        let indexing =
            audited.map(|store| tokio::spawn(catalog::index_audit_log(Arc::clone(&index), store, shutdown.clone())));
        let serving = api.map(|(listener, api)| tokio::spawn(api::serve(listener, api, shutdown.clone())));
        Box::pin(service.run(shutdown)).await?;
        if let Some(serving) = serving {
            serving.await.map_err(io::Error::other)?;
        }
        if let Some(indexing) = indexing {
            indexing.await.map_err(io::Error::other)?;
        }
        drop(index);
        Ok(())
    }
}

async fn work(global: Global, config: Config) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let store = Store::connect(&config.store).await?.with_links(&config.links)?;
    let door = CatalogDoor::open(&config, &store).await?;
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
                Err(error) => {
                    tracing::error!(%error, "the configuration is wrong: the catalogue would not start again")
                }
            }
        }
    });
    door.run(shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}
