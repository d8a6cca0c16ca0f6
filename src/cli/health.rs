//! `mediamill health`: asks the worker on this machine how it is, for container engines that know no HTTP.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use super::{CliError, EXIT_FAILED, Global};
use crate::http;

/// Longer than a worker waits for the broker and the store before it says that they do not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of `health`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only whether its loop turns: what a supervisor may end it for, whatever becomes of the broker or the store
    #[arg(long)]
    live: bool,
}

/// Prints what the worker at `http.listen` answers. Exit codes: 0 all is well, 1 it is not, or nobody answers.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let listen = global.listen()?;
    let address: SocketAddr = listen
        .parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() != 0)
        .ok_or_else(|| CliError::Usage("http.listen: names no port that could be asked".to_owned()))?;
    let path = if args.live { "/livez" } else { "/readyz" };
    // One request needs one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { timeout(PATIENCE, http::ask(address, path)).await });
    let (well, text) = asked.unwrap_or_else(|elapsed| Err(elapsed.into()))?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::from(if well { 0 } else { EXIT_FAILED }))
}
