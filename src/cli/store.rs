//! `mediamill store`: moves everything to another store, and prints rules for the bucket.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::config;
use crate::store::{Copy, Store, lifecycle};
use crate::telemetry;

/// Options of `store`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Copy all objects from one store to another, under the same keys below the prefix. Interrupted, it goes on when it is started
    /// again. Stop workers first, or run it once more after they have moved
    Copy(CopyArgs),
    /// Print rules for the bucket of store.url, as the vendor's own tool takes them: a backstop for what a killed process leaves behind
    Lifecycle(LifecycleArgs),
}

#[derive(Debug, clap::Args)]
struct LifecycleArgs {
    /// Print them. Nothing is ever changed in the bucket: its rules may be others' too
    #[arg(long)]
    print: bool,
}

#[derive(Debug, clap::Args)]
struct CopyArgs {
    /// Where the objects are: a configuration file (*.toml) with a section [store], or the address of a store, for which the other
    /// keys of [store] are those of this configuration
    #[arg(value_name = "FROM")]
    from: String,
    /// Where they are to be, in the same form
    #[arg(value_name = "TO")]
    to: String,
    /// Objects on their way at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Read what is there already, and compare it by SHA-256, whatever its key says
    #[arg(long)]
    verify: bool,
}

/// Does what is asked for.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    match &args.what {
        What::Copy(args) => run_copy(args, global),
        What::Lifecycle(args) if args.print => print_lifecycle(global),
        What::Lifecycle(_) => Err(CliError::Usage("lifecycle only prints rules: add --print".to_owned())),
    }
}

fn print_lifecycle(global: &Global) -> Result<ExitCode, CliError> {
    let url = global.load()?.store.url;
    let location = config::Location::parse(&url).map_err(|err| CliError::Usage(format!("store.url {err}")))?;
    let none = || CliError::Usage("store.url is a directory, which has no rules".to_owned());
    let rules = lifecycle(&location).ok_or_else(none)?;
    writeln!(io::stdout().lock(), "{rules:#}")?;
    Ok(ExitCode::SUCCESS)
}

fn run_copy(args: &CopyArgs, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let scratch = match config.worker.scratch_dir.as_os_str().is_empty() {
        true => std::env::temp_dir(),
        false => config.worker.scratch_dir.clone(),
    };
    let scratch = tempfile::tempdir_in(scratch)?;
    let copied = runtime()?.block_on(async {
        let from = Store::connect(&store_of(&args.from, &config)?).await?;
        let to = Store::connect(&store_of(&args.to, &config)?).await?;
        let at_once = usize::from(args.at_once);
        let copy = Copy { from: &from, to: &to, scratch: scratch.path(), at_once, verify: args.verify };
        let result = copy.run(|so_far| tracing::info!(objects = so_far.objects, there = so_far.there, "copied so far"));
        let result = result.await;
        to.wait_for_aborts().await;
        result.map_err(CliError::from)
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} objects copied, {} bytes; {} were there already", copied.objects, copied.bytes, copied.there)?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration of one of the two stores.
fn store_of(text: &str, config: &config::Config) -> Result<config::Store, CliError> {
    if Path::new(text).extension().is_some_and(|extension| extension == "toml") {
        return Ok(config::load(Some(&PathBuf::from(text)), [], &[])?.store);
    }
    let url = config::Location::parse(text).map_err(|err| CliError::Usage(format!("the address of a store {err}")));
    url.map(|_| config::Store { url: text.to_owned(), ..config.store.clone() })
}
