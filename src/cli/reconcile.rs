//! `mediamill channels reconcile`: messages that a provider has and whose webhook may be lost.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use super::{CliError, EXIT_FAILED, runtime};
use crate::channels::{Provider, missed};
use crate::config::Config;
use crate::roles::gateway::{Reconciled, outlet, reconcile};

/// Options of `channels reconcile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this account; all that can be reconciled otherwise
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// How many hours to look back
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    hours: u64,
}

/// Publishes what is listed. Exit codes: 0, and 1 where an account was not reconciled to its end.
pub(super) fn run(args: &Args, config: &Config) -> Result<ExitCode, CliError> {
    let can = |name: &str| {
        let channel = config.channels.get(name);
        channel.and_then(|channel| Provider::try_from(channel.provider).ok()).is_some_and(missed::is_listed)
    };
    let names: Vec<&String> = match &args.account {
        Some(name) if !can(name) => {
            let text = format!("channels.{name} is no account whose provider lists messages: only twilio does");
            return Err(CliError::Usage(text));
        }
        Some(name) => vec![name],
        None => config.channels.keys().filter(|name| can(name)).collect(),
    };
    let since = Timestamp::now() - Duration::from_secs(args.hours.saturating_mul(3600));
    let outlet = outlet(config)?;
    let runtime = runtime()?;
    let mut bad = false;
    let mut out = io::stdout().lock();
    for name in names {
        match runtime.block_on(Box::pin(reconcile(config, name, since, &outlet, &|_| false))) {
            Ok(Reconciled { listed, published, .. }) => {
                writeln!(out, "{name}: {listed} messages listed, {published} events published")?;
            }
            Err(error) => {
                bad = true;
                writeln!(io::stderr(), "{name}: {error}")?;
            }
        }
    }
    Ok(ExitCode::from(if bad { EXIT_FAILED } else { 0 }))
}
