//! `mediamill up`: every role that is configured, in one process.

use std::process::ExitCode;

use super::{CliError, Global, worker};

/// Options of `up`. All else is configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// The worker; the gateway where `gateway.listen` is set, the catalogue where `catalog.listen` is set, the deliverer where there
/// are destinations below `deliver`, and the privacy role where `privacy.key` is set; until SIGTERM or SIGINT.
pub(super) fn run(_args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    worker::run_roles(global, true)
}
