//! `mediamill topology`: what the configured roles declare at the broker, and the policy that an operator sets beside it.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, queues, runtime};
use crate::broker::Publisher;
use crate::telemetry;

/// Options of `topology`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Declare it, too. Changes nothing that is there and the same
    #[arg(long)]
    declare: bool,
}

/// Prints, and declares where asked to.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let topology = queues::topology(&config)?;
    let mut out = io::stdout().lock();
    for line in topology.describe() {
        writeln!(out, "{line}")?;
    }
    if args.declare {
        runtime()?.block_on(Publisher::new(&config.broker, topology).connect())?;
        writeln!(out, "declared")?;
    }
    Ok(ExitCode::SUCCESS)
}
