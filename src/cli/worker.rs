//! `mediamill worker`: takes jobs from the broker until it is told to stop.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, Global, runtime};
use crate::config::{Config, Profiles};
use crate::http;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry;
use crate::worker::{Parts, Pipeline, Slots, Worker, Workspace};

/// Options of `worker`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Works until SIGTERM or SIGINT, then finishes or puts back what it has. Exit code 0.
pub(super) fn run(_args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    telemetry::init(&config.log);
    // Before the runtime: the fork server is started while there are few threads.
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode))?;
    runtime()?.block_on(work(config, profiles, sandbox))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(config: Config, profiles: Profiles, sandbox: Sandbox) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let store = Store::connect(&config.store).await?;
    let sources = Sources::new(&config, &store)?;
    let workspace = Workspace::open(&config.worker.scratch_dir, config.worker.scratch_min_free_bytes)?;
    let slots = Slots::new(&config.worker);
    let status = sandbox.status();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        store = store.url_for_display(),
        exchange = config.broker.exchange,
        slots = slots.count(),
        landlock = status.landlock,
        seccomp = status.seccomp,
        "starting"
    );
    let parts = Parts { sources, store: store.clone(), sandbox, profiles, workspace };
    let pipeline = Pipeline::new(&config, parts, slots.count().into());
    let worker = Worker::new(&config, slots, pipeline)?;
    // Before the first connection: a worker that waits for its broker says so.
    if let Some(listener) = http::listen(&config.http).await? {
        tokio::spawn(http::serve(listener, worker.health()));
    }
    worker.run(shutdown).await?;
    // Jobs that were given up may have had uploads on their way.
    store.settle().await;
    tracing::info!("stopped");
    Ok(())
}

/// Cancels `shutdown` at the first SIGTERM or SIGINT.
fn listen(shutdown: CancellationToken) -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        shutdown.cancel();
    });
    Ok(())
}
