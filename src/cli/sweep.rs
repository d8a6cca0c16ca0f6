//! `mediamill sweep`: removes what is overdue and what nobody names.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::broker::{Publisher, Topology};
use crate::config::Config;
use crate::roles::privacy::{Conduct, Swept, sweep};
use crate::store::Store;
use crate::telemetry;

/// Options of `sweep`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove it. Without this, everything is counted and nothing removed
    #[arg(long)]
    remove: bool,
    /// Do not talk to the broker: nobody is told of what is erased
    #[arg(long)]
    offline: bool,
}

/// Sweeps once.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let swept = runtime()?.block_on(go(args, &config))?;
    let Swept { media, due, held, erased, beside_tombstones, orphans, unreadable } = swept;
    let mut out = io::stdout().lock();
    writeln!(out, "{media} media; {due} overdue, {held} of them held, {erased} erased")?;
    writeln!(out, "{orphans} objects that no manifest names, {beside_tombstones} beside tombstones")?;
    writeln!(out, "{unreadable} manifests that cannot be read")?;
    if !args.remove {
        writeln!(out, "nothing was removed: that takes --remove")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn go(args: &Args, config: &Config) -> Result<Swept, CliError> {
    let store = Store::connect(&config.store).await?;
    let publisher = if args.offline {
        None
    } else {
        let topology = Topology::new(&config.broker, Vec::new())?;
        Some((Publisher::new(&config.broker, topology.clone()), topology))
    };
    let conduct = Conduct::new(config, &store, publisher, "mediamill sweep");
    let conduct = conduct.map_err(|error| CliError::Usage(error.to_string()))?;
    let swept = sweep(&conduct, !args.remove).await?;
    if swept.erased > 0 {
        conduct.checkpoint().await?;
    }
    Ok(swept)
}
