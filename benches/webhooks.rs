//! Webhooks with publisher confirms on one machine, through the real gateway; beside a floor (axum, the same message published and
//! confirmed, nothing verified or read) and beside the same gateway in Python. Then the time to the answer at half the rate that the
//! gateway can do.
//!
//! Runs of the three take turns, and medians are compared. Broker and sender share the cores with the server. A run counts only if
//! every webhook was answered with success and every one is in the queue; latency counts from the instant at which a webhook was
//! due, and a run whose sender was late itself ends all with exit code 3.

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

use std::process::ExitCode;
use std::time::Duration;

use broker::Queue;
use load::{Target, at_rate, flat_out};
use servers::Servers;
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
        return floor::serve(mode == "nothing");
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

/// Whether all that is promised holds.
fn measure(servers: &Servers, queue: &Queue) -> Result<bool, Void> {
    let sender = saturated(&servers.nothing, None)?;
    println!("the sender reaches {sender:.0} webhooks/s at a server that does nothing");
    println!("webhooks/s, confirmed     gateway      floor     Python");
    let mut rates: [Vec<f64>; 3] = Default::default();
    for run in 1..=RUNS {
        for (rates, target) in rates.iter_mut().zip([&servers.gateway, &servers.floor, &servers.python]) {
            rates.push(saturated(target, Some(queue))?);
        }
        let [gateway, floor, python] = rates.each_ref().map(|rates| rates[run - 1]);
        println!("run {run}                  {gateway:>10.0} {floor:>10.0} {python:>10.0}");
    }
    let [gateway, floor, python] = rates.map(median);
    println!("median                 {gateway:>10.0} {floor:>10.0} {python:>10.0}");
    let (times, publishes) = answers(servers, queue, gateway / 2.0)?;
    let fastest = gateway.max(floor);
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
    let text = format!("{of_python:.1} times the gateway in Python; promised: {TIMES_PYTHON_AT_LEAST}");
    verdict(text, of_python >= TIMES_PYTHON_AT_LEAST);
    let text = format!("the answer takes {times:.1} publishes at the 99th percentile; promised: {PUBLISHES_AT_MOST}");
    verdict(text, publishes > 0.0 && times <= PUBLISHES_AT_MOST);
    Ok(kept)
}

/// Answers a second with as many webhooks on their way as there are connections; each has to be in the queue, where there is one.
fn saturated(target: &Target, queue: Option<&Queue>) -> Result<f64, Void> {
    if let Some(queue) = queue {
        queue.purge();
    }
    let warm = flat_out(target, WARM_UP).map_err(Void)?;
    let run = flat_out(target, RUN).map_err(Void)?;
    if let Some(queue) = queue {
        balanced(target, queue, warm.answered + run.answered)?;
    }
    Ok(run.per_second())
}

fn balanced(target: &Target, queue: &Queue, answered: usize) -> Result<(), Void> {
    let kept = queue.depth();
    queue.purge();
    if kept == answered {
        return Ok(());
    }
    Err(Void(format!("{} answered {answered} webhooks with success, and {kept} are in the queue", target.name)))
}

/// The 99th percentile of the answer at this rate in times of one confirmed publish, and that in milliseconds.
fn answers(servers: &Servers, queue: &Queue, rate: f64) -> Result<(f64, f64), Void> {
    println!("at {rate:.0} webhooks/s, ms      one publish     p50      p99   sender late by (p99)");
    let (mut slowest, mut publishes) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        queue.purge();
        let publish = median(queue.publish_times());
        queue.purge();
        let warm = at_rate(&servers.gateway, rate, WARM_UP).map_err(Void)?;
        let timed = at_rate(&servers.gateway, rate, RUN).map_err(Void)?;
        balanced(&servers.gateway, queue, warm.answered + timed.answered)?;
        let [half, p99, late] = [timed.latency_ms(50), timed.latency_ms(99), timed.late_ms(99)];
        println!("run {run}                      {publish:>12.2} {half:>8.2} {p99:>8.2} {late:>12.2}");
        if late > publish {
            return Err(Void(format!("the sender itself was {late:.2} ms late in one webhook of a hundred")));
        }
        slowest.push(p99);
        publishes.push(publish);
    }
    let (slowest, publish) = (median(slowest), median(publishes));
    println!("median                     {publish:>12.2}          {slowest:>8.2}");
    Ok((slowest / publish, publish))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
