//! `mediamill topology`: what the configured roles declare at the broker, and the policy that an operator sets beside it.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::broker::{Publisher, Topology};
use crate::roles::worker;
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
    let queues = worker::topology(&config.broker)?.specs().to_vec();
    #[cfg(feature = "gateway")]
    let queues: Vec<_> = queues.into_iter().chain(crate::roles::gateway::queues(&config)).collect();
    #[cfg(feature = "catalog")]
    let queues: Vec<_> = queues
        .into_iter()
        .chain(crate::roles::catalog::queues(&config))
        .chain(crate::roles::privacy::queues(&config))
        .collect();
    #[cfg(feature = "deliver")]
    let queues: Vec<_> = queues.into_iter().chain(super::deliver::queues(&config)?).collect();
    let topology = Topology::new(&config.broker, queues)?;
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
