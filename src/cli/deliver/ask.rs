//! `mediamill deliver resume`, `resend` and `replay`: what operators ask for.

use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;

use super::super::{CliError, Global, runtime};
use super::of_setup;
use crate::broker::{DeadLetterQueue, Delivery, Message, Publisher, WorkQueue};
use crate::config::Config;
use crate::error::Code;
use crate::roles::deliver;
use crate::roles::deliver::command::{Command, Which};
use crate::runtime::replay::{Action, reason, replay as go_through};
use crate::telemetry;

/// Options of `deliver resume`.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Name of the destination
    name: String,
}

/// Options of `deliver resend`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct ResendArgs {
    /// Name of the destination
    name: String,
    /// The outcome of this media
    #[arg(long, value_name = "TENANT/MEDIA_ID", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    media: Option<String>,
    /// Outcomes with a time from this on (RFC 3339) that were delivered before
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Timestamp>,
    /// Outcomes with a time before this
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Timestamp>,
}

/// Options of `deliver replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// Name of the destination
    name: String,
    /// Only those that are there for this code, such as deliver.no-record
    #[arg(long, value_parser = parse_code)]
    code: Option<Code>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Move nothing: say how many there are, by code
    #[arg(long, conflicts_with = "discard")]
    list: bool,
    /// Move nothing: throw away those of --code
    #[arg(long, requires = "code")]
    discard: bool,
}

pub(super) fn resume(args: &ResumeArgs, global: &Global) -> Result<ExitCode, CliError> {
    let command = Command::Resume { destination: args.name.clone() };
    ask(&command, global, "resumes as soon as a deliverer runs")
}

pub(super) fn resend(args: &ResendArgs, global: &Global) -> Result<ExitCode, CliError> {
    let which = match (&args.media, args.from, args.to) {
        (Some(media), _, _) => {
            let (tenant, media_id) =
                media.split_once('/').ok_or_else(|| CliError::Usage("--media is TENANT/MEDIA_ID".to_owned()))?;
            Which::Media { tenant: tenant.to_owned(), media_id: media_id.to_owned() }
        }
        (None, Some(from), Some(to)) if from < to => Which::Between(from.as_second(), to.as_second()),
        _ => return Err(CliError::Usage("--from must be before --to".to_owned())),
    };
    let command = Command::Resend { destination: args.name.clone(), which };
    ask(&command, global, "gets the outcomes again as soon as a deliverer runs")
}

/// Puts a command into the role's queue of commands.
fn ask(command: &Command, global: &Global, what: &str) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    let name = command.destination();
    known(&config, name)?;
    telemetry::init(&config.log);
    let topology = deliver::topology(&config).map_err(of_setup)?;
    let event = command.event(&config.worker.event_source);
    let message = Message::event_for(&topology, WorkQueue::plain(0), &event);
    let publisher = Publisher::new(&config.broker, topology);
    runtime()?.block_on(publisher.publish(&message))?;
    writeln!(io::stdout().lock(), "{name} {what}")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn replay(args: &ReplayArgs, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    known(&config, &args.name)?;
    telemetry::init(&config.log);
    let topology = deliver::topology(&config).map_err(of_setup)?;
    let queue = DeadLetterQueue::Named(format!("deliver.{}.dead", args.name));
    let action = match args {
        ReplayArgs { list: true, .. } => Action::List,
        ReplayArgs { discard: true, .. } => Action::Discard,
        ReplayArgs { .. } => Action::Replay,
    };
    let wanted = |delivery: &Delivery| {
        args.code.is_none_or(|wanted| delivery.dead_code() == Some(wanted)).then(|| reason(delivery).to_owned())
    };
    let limit = args.limit.unwrap_or(u32::MAX);
    let found = runtime()?.block_on(go_through(&config.broker, &topology, queue, action, limit, wanted))?;
    let mut out = io::stdout().lock();
    if action == Action::List {
        for ((code, queue), count) in &found.tally {
            writeln!(out, "{count:>8}  {code:<24}  {queue}")?;
        }
        writeln!(out, "{} in all", found.left)?;
        return Ok(ExitCode::SUCCESS);
    }
    let done: u32 = found.tally.values().sum();
    writeln!(out, "{done} {}, {} left", if args.discard { "discarded" } else { "replayed" }, found.left)?;
    Ok(ExitCode::SUCCESS)
}

fn known(config: &Config, name: &str) -> Result<(), CliError> {
    if config.deliver.contains_key(name) {
        return Ok(());
    }
    Err(CliError::Usage(format!("there is no destination deliver.{name}")))
}

fn parse_code(text: &str) -> Result<Code, String> {
    Code::parse(text).ok_or_else(|| "is no code; docs/deliver.md lists them".to_owned())
}
