//! `mediamill erase`: deletes for certain, and prints the certificate.

mod identity;

use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;
use uuid::Uuid;

use super::{CliError, EXIT_FAILED, Global, runtime};
use crate::broker::{Publisher, Topology};
use crate::config::Config;
use crate::events::{Erase, ErasedBecause};
use crate::privacy::{Certificate, Request};
use crate::roles::privacy::Conduct;
use crate::store::Store;
use crate::telemetry;

pub(super) use identity::{Identity, read as read_identity};

/// Options of `erase`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose media
    #[arg(long, required_unless_present = "resume")]
    tenant: Option<String>,
    /// One media. Without it, standard input says who is meant, a line each: phone=+5511…, user_id=…, contact_id=…, or
    /// conversation_id=… alone. Nothing of it is ever in a command line or a log
    #[arg(long)]
    media_id: Option<String>,
    /// Why, as a short name without anything personal; it stands in the certificate
    #[arg(long)]
    reason: Option<String>,
    /// What was sent up to this time (RFC 3339); now where it is not given
    #[arg(long, value_name = "TIME")]
    sent_until: Option<Timestamp>,
    /// Instead: finish erasures that were begun
    #[arg(long, conflicts_with_all = ["media_id", "reason", "sent_until"])]
    resume: bool,
    /// Do not talk to the broker: nobody is told, dead letters stay, and the certificate says so
    #[arg(long)]
    offline: bool,
}

/// Erases. Exit code 1 where something stays: it is held for a case, or nobody can read its manifest.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let erase = if args.resume { None } else { Some(asked(args)?) };
    let certificates = runtime()?.block_on(erase_all(args, erase, &config))?;
    let mut out = io::stdout().lock();
    let mut whole = true;
    for certificate in &certificates {
        whole &= certificate.refused.is_empty() && certificate.unreadable_manifests == 0;
        writeln!(out, "{}", serde_json::to_string_pretty(certificate).map_err(io::Error::other)?)?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// What is asked for, as an event would ask.
fn asked(args: &Args) -> Result<Erase, CliError> {
    let tenant = args.tenant.clone().unwrap_or_default();
    let Identity { contact, conversation_id } = match &args.media_id {
        Some(_) => Identity::default(),
        None => read_identity(io::stdin().lock())?,
    };
    Ok(Erase {
        tenant,
        media_id: args.media_id.clone(),
        contact,
        conversation_id,
        erased_at: args.sent_until.map(|until| until.to_string()),
        reason: args.reason.clone(),
    })
}

async fn erase_all(args: &Args, erase: Option<Erase>, config: &Config) -> Result<Vec<Certificate>, CliError> {
    let store = Store::connect(&config.store).await?;
    let publisher = if args.offline {
        None
    } else {
        let topology = Topology::new(&config.broker, Vec::new())?;
        Some((Publisher::new(&config.broker, topology.clone()), topology))
    };
    let actor = format!("uid {}", rustix::process::getuid().as_raw());
    let conduct =
        Conduct::new(config, &store, publisher, &actor).map_err(|error| CliError::Usage(error.to_string()))?;
    let begun = match erase {
        Some(erase) => conduct.begin(request(&conduct, erase, args.sent_until)?).await?.into_iter().collect(),
        None => conduct.eraser().begun().await?,
    };
    let mut certificates = Vec::new();
    for mut erasure in begun {
        let wiped = conduct.carry_out(&mut erasure).await?;
        certificates.push(conduct.certify(erasure, wiped).await?);
    }
    if !certificates.is_empty() {
        conduct.checkpoint().await?;
    }
    Ok(certificates)
}

fn request(conduct: &Conduct, erase: Erase, until: Option<Timestamp>) -> Result<Request, CliError> {
    let selector = conduct.eraser().selector(&erase).map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(Request {
        number: Uuid::now_v7().to_string(),
        tenant: erase.tenant,
        selector,
        because: ErasedBecause::Request,
        reason: erase.reason,
        erased_at: until.unwrap_or_else(Timestamp::now),
    })
}
