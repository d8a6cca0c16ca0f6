//! `mediamill replay`: dead letters back to their lanes, as if they had never been tried.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{CliError, Global, runtime};
use crate::broker::{DeadLetters, Message, Publisher, Topology};
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
}

/// Moves them, each confirmed in its lane before it is taken from the dead queue.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let config = global.load()?;
    telemetry::init(&config.log);
    let (replayed, left) = runtime()?.block_on(replay(args, &config))?;
    writeln!(io::stdout().lock(), "{replayed} replayed, {left} left")?;
    Ok(ExitCode::SUCCESS)
}

async fn replay(args: &Args, config: &Config) -> Result<(u32, u32), CliError> {
    let topology = Topology::new(&config.broker)?;
    let publisher = Publisher::new(&config.broker, topology.clone());
    let dead = DeadLetters::open(&config.broker, &topology).await?;
    let limit = args.limit.unwrap_or(u32::MAX);
    // What dies again meanwhile comes behind those that were counted. What is passed over stays unacknowledged until
    // the end: it would otherwise be next again.
    let mut passed_over = Vec::new();
    let mut replayed = 0;
    for _ in 0..dead.count() {
        if replayed == limit {
            break;
        }
        let Some(delivery) = dead.next().await? else { break };
        if args.code.is_some() && delivery.dead_code() != args.code {
            passed_over.push(delivery);
            continue;
        }
        publisher.deliver(&Message::replay(&topology, &delivery)).await?;
        delivery.ack().await?;
        replayed += 1;
    }
    let left = dead.count() - replayed;
    dead.close().await;
    Ok((replayed, left))
}

fn parse_code(text: &str) -> Result<Code, String> {
    Code::parse(text).ok_or_else(|| "is no code; the README lists them".to_owned())
}
