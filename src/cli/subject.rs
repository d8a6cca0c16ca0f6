//! `mediamill subject`: what is held of a person, and a copy of it.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::erase::{Identity, read_identity};
use super::{CliError, Global, runtime};
use crate::config::Config;
use crate::events::Erase;
use crate::roles::catalog::{self, index::Index};
use crate::roles::privacy::{Conduct, ExportError, export};
use crate::store::Store;
use crate::telemetry;

/// Options of `subject`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose media
    #[arg(long)]
    tenant: String,
    /// One media. Without it, standard input says who is meant, as with `erase`
    #[arg(long)]
    media_id: Option<String>,
    /// Also write a zip file with all of it. It must not exist yet, and only you can read it
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Conduct(error) => error.into(),
            ExportError::File(_) | ExportError::Gone => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

/// Prints what is held.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let Identity { contact, conversation_id } = match &args.media_id {
        Some(_) => Identity::default(),
        None => read_identity(io::stdin().lock())?,
    };
    let (tenant, media_id) = (args.tenant.clone(), args.media_id.clone());
    let asked = Erase { tenant, media_id, contact, conversation_id, erased_at: None, reason: None };
    runtime()?.block_on(show(args, &asked, &config))
}

/// The catalogue's index, which knows where the audit log names whom; nothing where there is no log, or no index that can be read.
async fn audit_index(config: &Config) -> Option<Arc<dyn Index>> {
    if config.privacy.audit_key.is_empty() {
        return None;
    }
    match catalog::open_index_to_read(config).await {
        Ok(index) => Some(index),
        Err(error) => {
            tracing::debug!(%error, "there is no index of the catalogue to ask: every entry of the audit log is read");
            None
        }
    }
}

async fn show(args: &Args, asked: &Erase, config: &Config) -> Result<ExitCode, CliError> {
    let store = Store::connect(&config.store).await?;
    let usage = |text: String| CliError::Usage(text);
    let actor = format!("uid {}", rustix::process::getuid().as_raw());
    let conduct = Conduct::new(config, &store, None, &actor).map_err(|error| usage(error.to_string()))?;
    let selector = conduct.eraser().selector(asked).map_err(|error| usage(error.to_string()))?;
    let index = audit_index(config).await;
    let index = index.as_deref().map(|index| index as _);
    let found = conduct.subject(index, &asked.tenant, &selector).await?;
    if let Some(path) = &args.export {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let mut out = export(&conduct, &asked.tenant, &found, BufWriter::new(file)).await?;
        out.flush()?;
        out.get_ref().sync_all()?;
    }
    writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&found.index).map_err(io::Error::other)?)?;
    Ok(ExitCode::SUCCESS)
}
