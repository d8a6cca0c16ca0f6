//! `mediamill audit`: verifies the audit log, signs it, prints its public key.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{CliError, EXIT_FAILED, Global, runtime};
use crate::config::Config;
use crate::privacy::audit::{AuditLog, Verifier, verify};
use crate::store::Store;
use crate::telemetry;

/// Options of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Verify every entry against every checkpoint: a changed byte, a gap and a missing tail are found
    Verify {
        /// The public key as `audit key` prints it, where privacy.audit_key is not at hand
        #[arg(long, value_name = "NAME+HASH+KEY")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere: the log is held against it too
        #[arg(long, value_name = "FILE")]
        against: Vec<PathBuf>,
    },
    /// Sign the log as it is now, and print the checkpoint
    Checkpoint,
    /// Print the public key that checkpoints are verified with
    Key,
}

/// Exit code 1 where the log is not what was signed.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    runtime()?.block_on(act(args, &config))
}

async fn act(args: &Args, config: &Config) -> Result<ExitCode, CliError> {
    let store = Store::connect(&config.store).await?;
    let usage = |text: String| CliError::Usage(text);
    let log = AuditLog::new(&config.privacy, &store).map_err(|error| usage(error.to_string()))?;
    let signed = || log.as_ref().ok_or_else(|| usage("privacy.audit_key is empty: there is no audit log".to_owned()));
    match &args.command {
        Command::Verify { key, against } => {
            let verifier = match key {
                Some(key) => Verifier::parse(key).map_err(|error| usage(error.to_string()))?,
                None => signed()?.verifier(),
            };
            let kept = against.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
            let mut out = io::stdout().lock();
            match verify(&store, &verifier, &kept).await {
                Ok(found) => {
                    let (entries, sealed, checkpoints) = (found.entries, found.sealed, found.checkpoints);
                    writeln!(
                        out,
                        "the audit log is whole: {entries} entries, {sealed} of them signed, {checkpoints} checkpoints"
                    )?;
                    Ok(ExitCode::SUCCESS)
                }
                Err(error) => {
                    writeln!(out, "the audit log is not what was signed: {error}")?;
                    Ok(ExitCode::from(EXIT_FAILED))
                }
            }
        }
        Command::Checkpoint => {
            let note = signed()?.checkpoint().await?;
            write!(io::stdout().lock(), "{note}")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Key => {
            writeln!(io::stdout().lock(), "{}", signed()?.verifier().to_text())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
