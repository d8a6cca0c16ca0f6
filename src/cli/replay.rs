//! `mediamill replay`: moves messages that wait for an operator back to their lanes with their attempts reset, or
//! counts or deletes them.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, queues, runtime};
use crate::broker::{DeadLetterQueue, Delivery};
use crate::config::Config;
use crate::error::Code;
use crate::runtime::replay::{Action, Found, NONE, reason, replay};
use crate::telemetry;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those that are there for this code, such as broker.unroutable; none: only those without a code, which RabbitMQ
    /// dead-lettered by itself
    #[arg(long, value_parser = parse_reason)]
    code: Option<&'static str>,
    /// Dead letters of another role, such as catalog.dead or deliver.crm.dead; those of the worker where it is not given
    #[arg(long, value_name = "NAME", default_value = "dead", hide_default_value = true)]
    queue: String,
    /// Instead of dead letters: requests that were published with a routing key that no lane is bound for
    #[arg(long, conflicts_with_all = ["code", "queue"])]
    unrouted: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Move nothing: say how many there are, by code (with --unrouted: routing key) and lane
    #[arg(long, conflicts_with = "discard")]
    list: bool,
    /// Move nothing: throw away those of --code, or of --unrouted
    #[arg(long)]
    discard: bool,
}

/// Moves them, each confirmed in its lane before it is taken from its queue.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    if args.discard && args.code.is_none() && !args.unrouted {
        let error = "--discard throws letters away: say which by --code (none: those without a code) or --unrouted";
        return Err(CliError::Usage(error.to_owned()));
    }
    let config = global.load()?;
    telemetry::init(&config.log);
    let Found { tally, left } = runtime()?.block_on(go_through(args, &config))?;
    let mut out = io::stdout().lock();
    if args.list {
        if tally.is_empty() {
            let queue = if args.unrouted { "unrouted" } else { &args.queue };
            writeln!(
                out,
                "nothing to list: of {left} messages in {}.{queue} none is asked for",
                config.broker.exchange
            )?;
        }
        for ((reason, lane), count) in &tally {
            writeln!(out, "{count:>8}  {reason:<24}  {lane}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let done: u32 = tally.values().sum();
    writeln!(out, "{done} {}, {left} left", if args.discard { "discarded" } else { "replayed" })?;
    Ok(ExitCode::SUCCESS)
}

/// What was found of what is asked for, and how many are left.
async fn go_through(args: &Args, config: &Config) -> Result<Found, CliError> {
    let topology = queues::topology(config)?;
    let known = topology.dead_letter_names();
    if !args.unrouted && !known.contains(&args.queue.as_str()) {
        return Err(CliError::Usage(format!("--queue: there is no such queue; there are {}", known.join(", "))));
    }
    // The requests that nobody wants return to the lanes.
    let topology = topology.with_dead_letters(&args.queue);
    let queue = if args.unrouted { DeadLetterQueue::Unrouted } else { DeadLetterQueue::Named(args.queue.clone()) };
    let action = match args {
        Args { list: true, .. } => Action::List,
        Args { discard: true, .. } => Action::Discard,
        Args { .. } => Action::Replay,
    };
    let wanted = |delivery: &Delivery| {
        if args.unrouted {
            // What waits there and is no request is listed and discarded only: no lane takes it.
            let is_for_lanes = action != Action::Replay || delivery.routing_key().starts_with("media.received");
            return is_for_lanes.then(|| delivery.routing_key().escape_debug().to_string());
        }
        let reason = reason(delivery);
        args.code.is_none_or(|wanted| wanted == reason).then(|| reason.to_owned())
    };
    let limit = args.limit.unwrap_or(u32::MAX);
    Ok(replay(&config.broker, &topology, queue, action, limit, wanted).await?)
}

fn parse_reason(text: &str) -> Result<&'static str, String> {
    match text {
        NONE => Ok(NONE),
        _ => Code::parse(text).map(Code::as_str).ok_or_else(|| "is no code; docs/events.md lists them".to_owned()),
    }
}
