//! Webhooks with publisher confirms on one machine, through the real gateway; beside a floor (axum, the body published as the gateway
//! publishes and confirmed, nothing verified or read), beside one that publishes all on one channel, and beside the same gateway in
//! Python; with the CPU that each server uses for a webhook. Then the time to the answer at half the rate that the gateway can do, of
//! gateway and floor.
//!
//! Runs take turns, and medians are compared. Broker and sender share the cores with the server. A run counts only if every webhook
//! was answered with success and every one is in the queue; latency counts from the instant at which a webhook was due, and a run
//! whose sender was late itself ends all with exit code 3.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "webhooks/broker.rs"]
mod broker;
#[path = "webhooks/floor.rs"]
mod floor;
#[path = "webhooks/load.rs"]
mod load;
#[path = "webhooks/servers.rs"]
mod servers;
#[expect(dead_code, unreachable_pub, unused_imports, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use broker::Queue;
use load::{Target, at_rate, flat_out};
use servers::{Servers, cpu_time};
use support::rabbit::calm;
use support::rig::Rig;

/// Of the floor's rate.
const OF_FLOOR_AT_LEAST: f64 = 0.7;
/// Times the rate of the gateway in Python.
const TIMES_PYTHON_AT_LEAST: f64 = 5.0;
/// The 99th percentile of the answer at half load, in times of one confirmed publish.
const PUBLISHES_AT_MOST: f64 = 4.0;
/// What the sender has to reach at a server that does nothing, in times of the fastest rate.
const SENDER_AT_LEAST: f64 = 1.5;
const RUNS: usize = 5;
const RUN: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_secs(1);

/// Why the figures say nothing.
struct Void(String);

fn main() -> ExitCode {
    if let Some(mode) = std::env::var_os(floor::MODE) {
        return floor::serve(&mode.to_string_lossy());
    }
    let Some(rabbit) = calm() else {
        println!("no RabbitMQ here: nothing to measure");
        return ExitCode::FAILURE;
    };
    let rig = Rig::deaf(rabbit);
    let queue = Queue::open(&rabbit.url(), &rig.config().broker.exchange);
    let measured = Servers::start(&rig).map_err(Void).and_then(|servers| measure(&servers, &queue));
    match measured {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Void(why)) => {
            println!("void: {why}");
            ExitCode::from(3)
        }
    }
}

/// What runs of a server came to.
#[derive(Default)]
struct Rates {
    per_second: Vec<f64>,
    /// CPU of the server for one webhook, in microseconds.
    cpu_us: Vec<f64>,
}

/// Whether all that is promised holds.
fn measure(servers: &Servers, queue: &Queue) -> Result<bool, Void> {
    let (sender, _) = saturated(&servers.nothing, None)?;
    println!("the sender reaches {sender:.0} webhooks/s at a server that does nothing");
    println!("webhooks/s, confirmed (CPU of the server, us)    gateway          floor    one channel         Python");
    let targets = [&servers.gateway, &servers.floor, &servers.one_channel, &servers.python];
    let mut rates: [Rates; 4] = Default::default();
    for run in 1..=RUNS {
        for (rates, target) in rates.iter_mut().zip(targets) {
            let (per_second, cpu_us) = saturated(target, Some(queue))?;
            rates.per_second.push(per_second);
            rates.cpu_us.push(cpu_us);
        }
        row(&format!("run {run}"), rates.each_ref().map(|rates| (rates.per_second[run - 1], rates.cpu_us[run - 1])));
    }
    let medians = rates.map(|rates| (median(rates.per_second), median(rates.cpu_us)));
    row("median", medians);
    let [(gateway, gateway_us), (floor, _), (one_channel, _), (python, python_us)] = medians;
    let latency = answers(servers, queue, gateway / 2.0)?;
    let fastest = gateway.max(floor).max(one_channel);
    if sender < fastest * SENDER_AT_LEAST {
        return Err(Void(format!("the sender does {sender:.0} webhooks/s, and {fastest:.0}/s were answered")));
    }
    let mut kept = true;
    let mut verdict = |text: String, holds: bool| {
        println!("{text}, {}", if holds { "kept" } else { "MISSED" });
        kept &= holds;
    };
    let of_floor = gateway / floor;
    verdict(format!("{of_floor:.2} of the floor; promised: {OF_FLOOR_AT_LEAST}"), of_floor >= OF_FLOOR_AT_LEAST);
    let of_python = gateway / python;
    println!("CPU of the gateway in Python for one webhook: {:.1} times ours", python_us / gateway_us);
    let text = format!("{of_python:.1} times the gateway in Python; promised: {TIMES_PYTHON_AT_LEAST}");
    verdict(text, of_python >= TIMES_PYTHON_AT_LEAST);
    let times = latency.gateway_ms / latency.publish_ms;
    println!("the floor's answer takes {:.1} publishes at the 99th percentile", latency.floor_ms / latency.publish_ms);
    let text = format!("the answer takes {times:.1} publishes at the 99th percentile; promised: {PUBLISHES_AT_MOST}");
    verdict(text, latency.publish_ms > 0.0 && times <= PUBLISHES_AT_MOST);
    Ok(kept)
}

fn row(name: &str, figures: [(f64, f64); 4]) {
    let columns: String = figures.iter().map(|(rate, cpu)| format!("{rate:>9.0} ({cpu:>3.0})")).collect();
    println!("{name:<40}{columns}");
}

/// Answers a second with as many webhooks on their way as there are connections, and the server's CPU for one; each has to be in the
/// queue, where there is one.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn saturated(target: &Target, queue: Option<&Queue>) -> Result<(f64, f64), Void> {
    if let Some(queue) = queue {
        queue.purge();
    }
    let warm = flat_out(target, WARM_UP).map_err(Void)?;
    let before = cpu_time(target);
    let run = flat_out(target, RUN).map_err(Void)?;
    let cpu = cpu_time(target).saturating_sub(before);
    if let Some(queue) = queue {
        balanced(target, queue, warm.answered + run.answered)?;
    }
    Ok((run.per_second(), cpu.as_secs_f64() * 1e6 / run.answered as f64))
}

fn balanced(target: &Target, queue: &Queue, answered: usize) -> Result<(), Void> {
    let kept = queue.depth();
    queue.purge();
    if kept == answered {
        return Ok(());
    }
    Err(Void(format!("{} answered {answered} webhooks with success, and {kept} are in the queue", target.name)))
}

/// In milliseconds, medians of the runs.
struct Latency {
    /// One confirmed publish while nothing else is published.
    publish_ms: f64,
    /// The 99th percentile of the answer.
    gateway_ms: f64,
    floor_ms: f64,
}

/// The time to the answer at this rate.
fn answers(servers: &Servers, queue: &Queue, rate: f64) -> Result<Latency, Void> {
    println!(
        "at {rate:.0} webhooks/s, ms   one publish   gateway p50      p99   floor p50      p99   sender late by (p99)"
    );
    let (mut publishes, mut slowest) = (Vec::new(), [Vec::new(), Vec::new()]);
    for run in 1..=RUNS {
        queue.purge();
        let publish = median(queue.publish_times());
        let (mut columns, mut latest) = (String::new(), 0.0_f64);
        for (target, slowest) in [&servers.gateway, &servers.floor].into_iter().zip(&mut slowest) {
            queue.purge();
            let warm = at_rate(target, rate, WARM_UP).map_err(Void)?;
            let timed = at_rate(target, rate, RUN).map_err(Void)?;
            balanced(target, queue, warm.answered + timed.answered)?;
            let [half, p99] = [timed.latency_ms(50), timed.latency_ms(99)];
            write!(columns, "{half:>12.2} {p99:>8.2}").expect("a string");
            latest = latest.max(timed.late_ms(99));
            slowest.push(p99);
        }
        println!("run {run}                   {publish:>14.2} {columns} {latest:>12.2}");
        if latest > publish {
            return Err(Void(format!("the sender itself was {latest:.2} ms late in one webhook of a hundred")));
        }
        publishes.push(publish);
    }
    let [gateway_ms, floor_ms] = slowest.map(median);
    let publish_ms = median(publishes);
    println!("median                  {publish_ms:>14.2}              {gateway_ms:>8.2}             {floor_ms:>8.2}");
    Ok(Latency { publish_ms, gateway_ms, floor_ms })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
