//! `mediamill worker`: takes jobs from the broker until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::others::Others;
use super::stop::listen;
use super::{CliError, Global, runtime};
use crate::config::{Config, Profiles};
use crate::roles::worker::{self, Parts, Pipeline, Workspace};
use crate::runtime::health_http;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::source::Sources;
use crate::store::Store;
use crate::telemetry::{self, Traces};

/// How long tasks that still run when all messages are settled have to end.
const RUNTIME_END: Duration = Duration::from_secs(5);

/// Options of `worker`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Works until SIGTERM or SIGINT, then finishes or puts back what it has. Exit code 0.
///
/// An error that ends it early is logged, once there is a log, because operators read that.
pub(super) fn run(_args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    run_roles(global, false)
}

/// The worker, and where they are asked for and configured, the others in the same process.
pub(super) fn run_roles(global: &Global, with_others: bool) -> Result<ExitCode, CliError> {
    let (config, profiles) = global.load_with_profiles()?;
    let traces = Traces::new(&config.traces);
    telemetry::init_with_traces(&config.log, &traces);
    telemetry::log_panics();
    Ok(start(global, config, profiles, &traces, with_others).unwrap_or_else(|error| {
        tracing::error!(%error, "the worker ends");
        error.exit_code()
    }))
}

fn start(
    global: &Global,
    config: Config,
    profiles: Profiles,
    traces: &Traces,
    with_others: bool,
) -> Result<ExitCode, CliError> {
    // Before the runtime and the exporter: the fork server is started while there are few threads.
    let sandbox = Sandbox::start(SandboxOptions::new(config.sandbox.mode, config.limits))?;
    let runtime = runtime()?;
    traces.start(runtime.handle())?;
    let ended = runtime.block_on(work(global.clone(), config, profiles, sandbox, with_others));
    // While there is a runtime that could send them.
    traces.finish();
    // A plain drop of the runtime waits without a limit for blocking tasks, such as a read of a file system that does not
    // answer. What still runs then ends with the process.
    runtime.shutdown_timeout(RUNTIME_END);
    ended.map(|()| ExitCode::SUCCESS)
}

async fn work(
    global: Global,
    config: Config,
    profiles: Profiles,
    sandbox: Sandbox,
    with_others: bool,
) -> Result<(), CliError> {
    let shutdown = CancellationToken::new();
    listen(shutdown.clone())?;
    let hangup = signal(SignalKind::hangup())?;
    let store = Store::connect(&config.store).await?;
    store.sweep();
    let sources = Sources::new(&config, &store)?;
    let workspace = Workspace::open(&config.worker.scratch_dir, (&config.worker).into())?;
    let (scratch_bytes, most_bytes) = (config.limits.scratch_bytes, workspace.most_bytes()?);
    if scratch_bytes > most_bytes {
        tracing::warn!(
            scratch_bytes,
            most_bytes,
            "limits.scratch_bytes is above what a job can have of the scratch space"
        );
    }
    let slots = worker::slots(&config.worker);
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
    let worker = worker::service(&config, slots, pipeline.clone())?;
    let others = if with_others { Others::open(&config, &store).await? } else { Others::default() };
    // Before the first connection, so that /readyz answers while the worker waits for its broker.
    if let Some(listener) = health_http::listen(&config.http).await? {
        tokio::spawn(health_http::serve_all(listener, worker.health(), others.health()));
    }
    tokio::spawn(reread(hangup, global, config, pipeline));
    let others = others.start(&shutdown);
    let worked = Box::pin(worker.run(shutdown.clone())).await;
    shutdown.cancel();
    others.end().await?;
    worked?;
    // Jobs that were given up may have had uploads on their way.
    store.wait_for_aborts().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads secrets and profiles again at each SIGHUP, and logs which other changes of the configuration wait for a restart.
async fn reread(mut hangup: Signal, global: Global, config: Config, pipeline: Pipeline) {
    while hangup.recv().await.is_some() {
        match global.reload(&config) {
            Ok(new) => {
                for key in config.changed_keys(&new) {
                    tracing::warn!(key, "changed, and takes effect with a restart");
                }
            }
            Err(error) => tracing::error!(%error, "the configuration is wrong: the worker would not start again"),
        }
        let read = Profiles::load(&config.worker.profiles_dir).map_err(|error| error.to_string());
        let count = read.as_ref().map_or(0, |profiles| profiles.iter().count());
        match read.and_then(|profiles| pipeline.replace_profiles(profiles).map_err(|fault| fault.message().to_owned()))
        {
            Ok(()) => tracing::info!(count, "profiles read again"),
            Err(error) => tracing::error!(error, "the profiles stay as they were"),
        }
    }
}
