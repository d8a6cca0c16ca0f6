//! `mediamill replay`: messages that wait for an operator back to their lanes, as if they had never been tried; or only
//! counted, or thrown away.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::broker::{DeadLetters, Delivery, Lane, Letters, Message, Publisher, Topology};
use crate::config::Config;
use crate::error::Code;
use crate::telemetry;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those that are there for this code, such as broker.unroutable; none: only those without a code, which RabbitMQ
    /// dead-lettered by itself
    #[arg(long, value_parser = parse_reason)]
    code: Option<Reason>,
    /// Instead of dead letters: requests that were published with a routing key that no lane is bound for
    #[arg(long, conflicts_with = "code")]
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

/// Why a letter is in the dead queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// A worker wrote this code into its headers.
    Code(Code),
    /// A worker of a later version wrote one that this version does not know.
    Unknown,
    /// No worker wrote a code: RabbitMQ dead-lettered it by itself.
    None,
}

impl Reason {
    fn of(delivery: &Delivery) -> Self {
        match delivery.dead_code() {
            Some(code) => Self::Code(code),
            None if delivery.has_dead_code() => Self::Unknown,
            None => Self::None,
        }
    }
}

/// Letters by why they are there and the lane that they go back to.
type Tally = BTreeMap<(String, &'static str), u32>;

/// Moves them, each confirmed in its lane before it is taken from its queue.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    if args.discard && args.code.is_none() && !args.unrouted {
        let error = "--discard throws letters away: say which by --code (none: those without a code) or --unrouted";
        return Err(CliError::Usage(error.to_owned()));
    }
    let config = global.load()?;
    telemetry::init(&config.log);
    let (tally, left) = runtime()?.block_on(go_through(args, &config))?;
    let mut out = io::stdout().lock();
    if args.list {
        if tally.is_empty() {
            let queue = if args.unrouted { "unrouted" } else { "dead" };
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
async fn go_through(args: &Args, config: &Config) -> Result<(Tally, u32), CliError> {
    let topology = Topology::new(&config.broker)?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    let which = if args.unrouted { Letters::Unrouted } else { Letters::Dead };
    let letters = DeadLetters::open(&config.broker, &topology, which).await?;
    let limit = args.limit.unwrap_or(u32::MAX);
    let mut tally = Tally::new();
    let (mut found, mut taken) = (0, 0);
    // What comes meanwhile stands behind those that were counted.
    for _ in 0..letters.count() {
        if found == limit {
            break;
        }
        let Some(delivery) = letters.next().await? else { break };
        // What is not acknowledged is passed over, and back in the queue in the end.
        if args.code.is_some_and(|reason| reason != Reason::of(&delivery)) {
            continue;
        }
        found += 1;
        let reason = match Reason::of(&delivery) {
            _ if args.unrouted => delivery.routing_key().escape_debug().to_string(),
            Reason::Code(code) => code.to_string(),
            Reason::Unknown => "unknown".to_owned(),
            Reason::None => "none".to_owned(),
        };
        *tally.entry((reason, Lane::as_str(delivery.lane()))).or_default() += 1;
        if args.list {
            continue;
        }
        if !args.discard {
            // A letter that is no longer ours is in its queue for the next replay.
            publisher.deliver_while(&Message::replay(&topology, &delivery), || !delivery.is_void()).await?;
        }
        delivery.ack().await?;
        taken += 1;
    }
    let left = letters.count() - taken;
    letters.close().await;
    Ok((tally, left))
}

fn parse_reason(text: &str) -> Result<Reason, String> {
    match text {
        "none" => Ok(Reason::None),
        _ => Code::parse(text).map(Reason::Code).ok_or_else(|| "is no code; docs/events.md lists them".to_owned()),
    }
}
