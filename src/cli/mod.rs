//! The command line: one file for each command, and documented exit codes.

#[cfg(feature = "media")]
mod attack;
#[cfg(feature = "catalog")]
mod audit;
#[cfg(feature = "media")]
mod bench;
#[cfg(feature = "catalog")]
mod catalog;
#[cfg(feature = "gateway")]
mod channels;
#[cfg(feature = "deliver")]
mod deliver;
#[cfg(feature = "media")]
mod describe;
#[cfg(feature = "media")]
mod doctor;
#[cfg(feature = "catalog")]
mod erase;
#[cfg(feature = "catalog")]
mod find;
#[cfg(feature = "media")]
mod fits;
mod format;
#[cfg(feature = "gateway")]
mod gateway;
mod health;
#[cfg(feature = "gateway")]
mod import;
#[cfg(feature = "gateway")]
mod init;
#[cfg(any(feature = "gateway", feature = "catalog"))]
mod listener;
#[cfg(feature = "media")]
mod normalize;
#[cfg(feature = "media")]
mod others;
#[cfg(feature = "catalog")]
mod privacy;
#[cfg(feature = "media")]
mod probe;
mod profiles;
#[cfg(feature = "media")]
mod publish;
mod queues;
#[cfg(feature = "gateway")]
mod reconcile;
mod replay;
mod schema;
#[cfg(feature = "gateway")]
mod simulate;
#[cfg(any(feature = "media", feature = "gateway", feature = "catalog", feature = "deliver"))]
mod stop;
mod store;
#[cfg(feature = "catalog")]
mod subject;
#[cfg(feature = "catalog")]
mod sweep;
mod topology;
#[cfg(feature = "media")]
mod units;
#[cfg(all(feature = "media", feature = "gateway"))]
mod up;
#[cfg(feature = "media")]
mod worker;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::broker::BrokerError;
use crate::config::{self, Config, ConfigErrors};
#[cfg(feature = "media")]
use crate::profile_lab::BenchError;
#[cfg(feature = "catalog")]
use crate::roles::privacy::ConductError;
#[cfg(feature = "media")]
use crate::roles::worker::WorkspaceError;
#[cfg(feature = "media")]
use crate::sandbox::SandboxError;
#[cfg(feature = "media")]
use crate::source::SourceError;
use crate::store::StoreError;
use crate::telemetry::TracesError;

pub(crate) use format::Format;
pub use health::ask;

/// Exit code: something failed that a second try or an operator may mend.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code: the command line or the configuration is wrong; nothing was done.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Exit code: a file can never be processed.
pub(crate) const EXIT_REJECTED: u8 = 3;
/// Exit code: a gate of `bench` is broken.
pub(crate) const EXIT_GATE: u8 = 4;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 something failed, 2 wrong usage or configuration, 3 some files rejected, 4 a gate is broken.";

#[derive(Debug, Parser)]
#[command(name = "mediamill", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file, over the defaults
    #[arg(long, global = true, value_name = "FILE", env = "MEDIAMILL_CONFIG")]
    config: Option<PathBuf>,
    /// One key of the configuration, over file and environment: --set limits.wall_s=60
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = split_setting)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Process files of this machine: no broker, no object store
    #[cfg(feature = "media")]
    Normalize(normalize::Args),
    /// Show what a file is, as the pipeline sees it
    #[cfg(feature = "media")]
    Probe(probe::Args),
    /// Say whether files are what a channel or a CRM takes
    #[cfg(feature = "media")]
    Fits(fits::Args),
    /// Measure what compression profiles cost and keep, on your own files
    #[cfg(feature = "media")]
    Bench(bench::Args),
    /// Say whether a worker could run here, and what to do where it could not
    #[cfg(feature = "media")]
    Doctor(doctor::Args),
    /// Ask the worker of this machine whether all is well with it
    Health(health::Args),
    /// List the compression profiles
    Profiles(profiles::Args),
    /// Print a message's JSON Schema, or the AsyncAPI document of all of them
    Schema(schema::Args),
    /// Run every role that is configured in one process until SIGTERM
    #[cfg(all(feature = "media", feature = "gateway"))]
    Up(up::Args),
    /// Take webhooks of messaging providers until SIGTERM, and publish what they tell of
    #[cfg(feature = "gateway")]
    Gateway(gateway::Args),
    /// Pass outcomes on to webhooks and CRMs until SIGTERM; or check a map, let a stopped destination go on, deliver again
    #[cfg(feature = "deliver")]
    Deliver(deliver::Args),
    /// Take jobs from the broker until SIGTERM
    #[cfg(feature = "media")]
    Worker(worker::Args),
    /// Keep the index of what is stored, and answer searches, links and pages until SIGTERM
    #[cfg(feature = "catalog")]
    Catalog(catalog::Args),
    /// Search the index of what is stored, on this machine
    #[cfg(feature = "catalog")]
    Find(find::Args),
    /// Play a messaging provider on this machine: its media API, and signed webhooks for the files of a folder
    #[cfg(feature = "gateway")]
    Simulate(simulate::Args),
    /// List the channel accounts, ask their providers whether they work, or publish what a provider did not send again
    #[cfg(feature = "gateway")]
    Channels(channels::Args),
    /// Ask for the files of a folder, a bucket's prefix or an exported WhatsApp chat to be processed, behind everything live
    #[cfg(feature = "gateway")]
    Import(import::Args),
    /// Write a configuration file: asks what is not given, and prints what to enter at the provider
    #[cfg(feature = "gateway")]
    Init(init::Args),
    /// Ask for one file to be processed
    #[cfg(feature = "media")]
    Publish(publish::Args),
    /// Print what the roles declare at the broker
    Topology(topology::Args),
    /// Delete the media of a person, of a conversation, or one media, for certain, and print the certificate
    #[cfg(feature = "catalog")]
    Erase(erase::Args),
    /// Say what is held of a person, and make a copy of it
    #[cfg(feature = "catalog")]
    Subject(subject::Args),
    /// Remove what is overdue, and what nobody names
    #[cfg(feature = "catalog")]
    Sweep(sweep::Args),
    /// Do what events of consent, erase and hold ask for, until SIGTERM
    #[cfg(feature = "catalog")]
    Privacy(privacy::Args),
    /// Verify or sign the audit log
    #[cfg(feature = "catalog")]
    Audit(audit::Args),
    /// Move everything to another store
    Store(store::Args),
    /// Move dead letters, and requests that no lane is bound for, back to their lanes
    Replay(replay::Args),
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The configuration or a profile is wrong.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The command line asks for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// Standard output or a file of the command's own.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The broker.
    #[error("broker: {0}")]
    Broker(#[from] BrokerError),
    /// The object store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The database of a role.
    #[error("{0}")]
    #[cfg(any(feature = "catalog", feature = "deliver"))]
    Database(#[from] crate::database::DatabaseError),
    /// The clients that fetch.
    #[error("source: {0}")]
    #[cfg(feature = "media")]
    Source(#[from] SourceError),
    /// The jailed child.
    #[error("sandbox: {0}")]
    #[cfg(feature = "media")]
    Sandbox(#[from] SandboxError),
    /// Scratch space.
    #[error("{0}")]
    #[cfg(feature = "media")]
    Workspace(#[from] WorkspaceError),
    /// The way to the collector.
    #[error("{0}")]
    Traces(#[from] TracesError),
    /// A bench.
    #[error("{0}")]
    #[cfg(feature = "media")]
    Bench(#[from] BenchError),
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        // `mediamill … | head` is no failure.
        Err(CliError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done where standard error is closed.
            drop(writeln!(io::stderr(), "{}", indent(&error.to_string())));
            error.exit_code()
        }
    }
}

#[cfg(feature = "catalog")]
impl From<ConductError> for CliError {
    fn from(error: ConductError) -> Self {
        match error {
            ConductError::Store(error) => Self::Store(error),
            ConductError::Broker(error) => Self::Broker(error),
            ConductError::Untold => Self::Io(io::Error::new(io::ErrorKind::TimedOut, error.to_string())),
            ConductError::Cached(_) => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_)
            | Self::Usage(_)
            | Self::Broker(BrokerError::Config(_))
            | Self::Store(StoreError::Config(_)) => EXIT_USAGE,
            #[cfg(feature = "media")]
            Self::Bench(BenchError::Usage(_)) => EXIT_USAGE,
            #[cfg(any(feature = "catalog", feature = "deliver"))]
            Self::Database(crate::database::DatabaseError::Config(_)) => EXIT_USAGE,
            #[cfg(any(feature = "catalog", feature = "deliver"))]
            Self::Database(_) => EXIT_FAILED,
            Self::Io(_) | Self::Broker(_) | Self::Store(_) | Self::Traces(_) => EXIT_FAILED,
            #[cfg(feature = "media")]
            Self::Source(_) | Self::Sandbox(_) | Self::Workspace(_) | Self::Bench(BenchError::Io(_)) => EXIT_FAILED,
        })
    }
}

fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    let global = &cli.global;
    match &cli.command {
        #[cfg(feature = "media")]
        Command::Normalize(args) => normalize::run(args, global),
        #[cfg(feature = "media")]
        Command::Probe(args) => probe::run(args, global),
        #[cfg(feature = "media")]
        Command::Fits(args) => fits::run(args, global),
        #[cfg(feature = "media")]
        Command::Bench(args) => bench::run(args, global),
        #[cfg(feature = "media")]
        Command::Doctor(args) => doctor::run(args, global),
        Command::Health(args) => health::run(args, global),
        Command::Profiles(args) => profiles::run(args, global),
        Command::Schema(args) => schema::run(args),
        #[cfg(all(feature = "media", feature = "gateway"))]
        Command::Up(args) => up::run(args, global),
        #[cfg(feature = "gateway")]
        Command::Gateway(args) => gateway::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Catalog(args) => catalog::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Find(args) => find::run(args, global),
        #[cfg(feature = "gateway")]
        Command::Simulate(args) => simulate::run(args, global),
        #[cfg(feature = "gateway")]
        Command::Channels(args) => channels::run(args, global),
        #[cfg(feature = "gateway")]
        Command::Init(args) => init::run(args),
        #[cfg(feature = "gateway")]
        Command::Import(args) => import::run(args, global),
        #[cfg(feature = "deliver")]
        Command::Deliver(args) => deliver::run(args, global),
        #[cfg(feature = "media")]
        Command::Worker(args) => worker::run(args, global),
        #[cfg(feature = "media")]
        Command::Publish(args) => publish::run(args, global),
        Command::Topology(args) => topology::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Erase(args) => erase::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Subject(args) => subject::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Sweep(args) => sweep::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Privacy(args) => privacy::run(args, global),
        #[cfg(feature = "catalog")]
        Command::Audit(args) => audit::run(args, global),
        Command::Store(args) => store::run(args, global),
        Command::Replay(args) => replay::run(args, global),
    }
}

impl Global {
    /// The configuration of this invocation.
    pub(crate) fn load(&self) -> Result<Config, CliError> {
        Ok(config::load(self.config.as_deref(), std::env::vars_os(), &self.set)?)
    }

    /// Reads the configuration again, as at SIGHUP, gives the secrets of `running` their new values and logs their keys.
    pub(crate) fn reload(&self, running: &Config) -> Result<Config, ConfigErrors> {
        let reloaded = config::reload(running, self.config.as_deref(), std::env::vars_os(), &self.set);
        for key in reloaded.changed {
            tracing::info!(key, "secret read again: its new value is used from the next connection or request on");
        }
        for key in reloaded.kept {
            tracing::warn!(key, "secret not read again: it keeps its old value");
        }
        reloaded.config
    }

    /// Where a worker with this configuration listens, whatever else is wrong with it: it may run with what it was before.
    pub(crate) fn listen(&self) -> Result<String, CliError> {
        Ok(config::listen(self.config.as_deref(), std::env::vars_os(), &self.set)?)
    }
}

/// The runtime of a command that talks to services. Made after everything that must not see threads.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn split_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("is not SECTION.KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// `error: first line`, further lines below it.
fn indent(text: &str) -> String {
    format!("error: {}", text.replace('\n', "\n       "))
}
