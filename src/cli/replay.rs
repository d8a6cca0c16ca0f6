//! `mediamill replay`: dead letters back to their lanes, as if they had never been tried; or only counted, or thrown away.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::broker::{DeadLetters, Lane, Message, Publisher, Topology};
use crate::config::Config;
use crate::error::Code;
use crate::telemetry;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those that are there for this code, such as broker.unroutable
    #[arg(long, value_parser = parse_code)]
    code: Option<Code>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Move nothing: say how many there are, by code and lane
    #[arg(long, conflicts_with = "discard")]
    list: bool,
    /// Move nothing: throw away those of --code
    #[arg(long, requires = "code")]
    discard: bool,
}

/// Letters by why they are there and the lane that they were in.
type Tally = BTreeMap<(String, &'static str), u32>;

/// Moves them, each confirmed in its lane before it is taken from the dead queue.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let (tally, left) = runtime()?.block_on(go_through(args, &config))?;
    let mut out = io::stdout().lock();
    if args.list {
        for ((code, lane), count) in &tally {
            writeln!(out, "{count:>8}  {code:<24}  {lane}")?;
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
    let dead = DeadLetters::open(&config.broker, &topology).await?;
    let limit = args.limit.unwrap_or(u32::MAX);
    let mut tally = Tally::new();
    let (mut found, mut taken) = (0, 0);
    // What dies again meanwhile comes behind those that were counted.
    for _ in 0..dead.count() {
        if found == limit {
            break;
        }
        let Some(delivery) = dead.next().await? else { break };
        // What is not acknowledged is passed over, and back in the queue in the end.
        if args.code.is_some() && delivery.dead_code() != args.code {
            continue;
        }
        found += 1;
        let code = delivery.dead_code().map_or_else(|| "–".to_owned(), |code| code.to_string());
        *tally.entry((code, Lane::as_str(delivery.lane()))).or_default() += 1;
        if args.list {
            continue;
        }
        if !args.discard {
            publisher.deliver(&Message::replay(&topology, &delivery)).await?;
        }
        delivery.ack().await?;
        taken += 1;
    }
    let left = dead.count() - taken;
    dead.close().await;
    Ok((tally, left))
}

fn parse_code(text: &str) -> Result<Code, String> {
    Code::parse(text).ok_or_else(|| "is no code; the README lists them".to_owned())
}
