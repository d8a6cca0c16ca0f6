//! The whole pipeline on one machine: RabbitMQ, an S3 server, one worker process. Messages a second by kind of load and
//! by slots, what a message costs beside libav, and how long a voice note takes while bulk work has every other slot.
//! Broker, store and sender share the cores with the worker, so rates are a floor, not a ceiling.

#![expect(clippy::print_stdout, reason = "figures for people")]

#[path = "pipeline/objects.rs"]
mod objects;
#[expect(dead_code, unreachable_pub, unused_imports, reason = "the tests use the rest")]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use support::bus::block_on;
use support::rabbit::{Rabbit, calm};
use support::rig::{Rig, event, fixture, letter};
use support::s3::S3;
use support::worker::Worker;
use usage::{cpu, unique_memory_bytes};

/// CPU that a voice note may cost beside fork server and child (broker, fetch, store, events), of what it costs in these.
const OVERHEAD_AT_MOST: f64 = 0.08;
/// The 99th percentile of a voice note's latency, saturated over idle.
const SLOWER_AT_MOST: f64 = 2.0;
/// Of the process that does without libav, beside what it shares with other processes.
const MEMORY_AT_MOST: u64 = 60 << 20;
/// User time of the worker's own process for a voice note, of three objects over five.
const OF_FIVE_AT_MOST: f64 = 0.8;
const PATIENCE: Duration = Duration::from_secs(300);
const NOTES: usize = 100;

/// A kind of load: the fixtures of a hundred messages.
struct Load {
    name: &'static str,
    messages: usize,
    slots: &'static [usize],
    mix: &'static [(usize, &'static str)],
}

const LOADS: [Load; 6] = [
    Load { name: "documents, nothing to encode", messages: 600, slots: &[1, 2, 4], mix: &[(100, "contact.vcf")] },
    Load { name: "voice notes of 21 s", messages: 100, slots: &[1, 2, 4], mix: &[(100, "voice-note.ogg")] },
    Load { name: "pictures", messages: 100, slots: &[2], mix: &[(100, "photo-exif.jpg")] },
    Load { name: "films of 12 s to keep", messages: 100, slots: &[2], mix: &[(100, "conforming.mp4")] },
    Load { name: "films of 4 s to encode", messages: 20, slots: &[2], mix: &[(100, "browser.webm")] },
    Load {
        name: "a mixed day",
        messages: 200,
        slots: &[1, 2, 4],
        mix: &[(80, "voice-note.ogg"), (10, "photo-exif.jpg"), (8, "conforming.mp4"), (2, "browser.webm")],
    },
];

fn main() -> ExitCode {
    let Some(rabbit) = calm() else {
        println!("no RabbitMQ here: nothing to measure");
        return ExitCode::FAILURE;
    };
    let s3 = S3::start();
    let mut kept = true;
    let mut verdict = |text: String, holds: bool| {
        println!("{text}, {}", if holds { "kept" } else { "MISSED" });
        kept &= holds;
    };

    println!("load                           slots  messages/s  CPU ms a message: worker  children");
    let (mut overhead, mut memory) = (f64::INFINITY, 0);
    for load in &LOADS {
        for &slots in load.slots {
            let measured = run(rabbit, &s3, load, slots);
            println!(
                "{:<30} {slots:>5} {:>11.1} {:>25.2} {:>9.2}",
                load.name,
                measured.rate,
                ms(measured.worker),
                ms(measured.children)
            );
            if load.name.starts_with("voice") {
                overhead = overhead.min(measured.worker.as_secs_f64() / measured.children.as_secs_f64());
            }
            memory = memory.max(measured.memory);
        }
    }
    let text = format!("a voice note costs the worker {overhead:.3} of its child's CPU; promised: {OVERHEAD_AT_MOST}");
    verdict(text, overhead <= OVERHEAD_AT_MOST);
    let text = format!("a worker has {} MiB of its own at most; promised: {}", memory >> 20, MEMORY_AT_MOST >> 20);
    verdict(text, memory <= MEMORY_AT_MOST);

    let (three, five) = objects::medians(rabbit, &s3);
    let of_five = three.as_secs_f64() / five.as_secs_f64();
    let text = format!(
        "user time of the worker's own process for a voice note: {:.2} ms with three objects, {:.2} ms with five, {of_five:.2} times; promised: {OF_FIVE_AT_MOST}",
        ms(three),
        ms(five)
    );
    verdict(text, of_five <= OF_FIVE_AT_MOST);

    let rates = [1, 2, 4].map(|workers| (workers, scaled(rabbit, &s3, workers)));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("voice notes of 21 s a second with so many workers of one slot, on {cores} cores:");
    for (workers, rate) in rates {
        println!("{workers:>5} {rate:>8.1} {:>8.2} times one", rate / rates[0].1);
    }

    let (idle, busy) = (latencies(rabbit, &s3, false), latencies(rabbit, &s3, true));
    println!("a voice note of 21 s, {NOTES} one after another, 2 slots      p50       p99");
    println!("nothing else to do                                   {:>6.0} ms {:>6.0} ms", ms(idle.0), ms(idle.1));
    println!("videos in every slot that may have them              {:>6.0} ms {:>6.0} ms", ms(busy.0), ms(busy.1));
    let slower = busy.1.as_secs_f64() / idle.1.as_secs_f64();
    verdict(format!("{slower:.2} times at the 99th percentile; promised: {SLOWER_AT_MOST}"), slower <= SLOWER_AT_MOST);
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Measured {
    rate: f64,
    /// CPU of a message in the process without libav, and in fork server and children.
    worker: Duration,
    children: Duration,
    memory: u64,
}

fn run(rabbit: &Rabbit, s3: &S3, load: &Load, slots: usize) -> Measured {
    let rig = rig(rabbit, s3, slots);
    let worker = rig.worker();
    let sender = Sender::open(rabbit, &rig);
    // What is done once, and caches.
    sender.send("first", &fixture(load.mix[0].1));
    rig.bus.ledger().wait("first", PATIENCE);
    let before = used(&worker);
    let begun = Instant::now();
    for n in 0..load.messages {
        sender.send(&format!("m{n}"), &file_of(load, n));
    }
    rig.bus.ledger().wait_for_files(load.messages + 1, PATIENCE);
    let time = begun.elapsed();
    let after = used(&worker);
    for (media_id, outcomes) in rig.bus.ledger().all() {
        assert_eq!(outcomes[0].word, "normalized", "{media_id}: {:#}", outcomes[0].event);
    }
    let messages = u32::try_from(load.messages).expect("not so many");
    let memory = unique_memory_bytes(worker.pid());
    worker.stops();
    Measured {
        rate: f64::from(messages) / time.as_secs_f64(),
        worker: (after.0 - before.0) / messages,
        children: (after.1 - before.1) / messages,
        memory,
    }
}

/// Messages a second with so many worker processes.
fn scaled(rabbit: &Rabbit, s3: &S3, workers: usize) -> f64 {
    let rig = rig(rabbit, s3, 1);
    let workers: Vec<Worker> = (0..workers).map(|_| rig.worker()).collect();
    let sender = Sender::open(rabbit, &rig);
    let begun = Instant::now();
    (0..NOTES).for_each(|n| sender.send(&format!("m{n}"), &fixture("voice-note.ogg")));
    rig.bus.ledger().wait_for_files(NOTES, PATIENCE);
    let time = begun.elapsed();
    workers.into_iter().for_each(|worker| drop(worker.stops()));
    f64::from(u32::try_from(NOTES).expect("not so many")) / time.as_secs_f64()
}

/// The kinds take turns, each as often as it should: 7 has no divisor in common with 100.
fn file_of(load: &Load, n: usize) -> PathBuf {
    let mut place = n * 7 % 100;
    let kind = load.mix.iter().find(|(share, _)| {
        let found = place < *share;
        place = place.saturating_sub(*share);
        found
    });
    fixture(kind.expect("shares make a hundred").1)
}

fn used(worker: &Worker) -> (Duration, Duration) {
    let server = worker.fork_server().expect("a fork server");
    (cpu(worker.pid()).own, cpu(server).with_children())
}

/// Median and 99th percentile.
fn latencies(rabbit: &Rabbit, s3: &S3, bulk: bool) -> (Duration, Duration) {
    let rig = rig(rabbit, s3, 2);
    let worker = rig.worker();
    let sender = Sender::open(rabbit, &rig);
    sender.send("first", &fixture("voice-note.ogg"));
    rig.bus.ledger().wait("first", PATIENCE);
    if bulk {
        (0..NOTES).for_each(|n| sender.send(&format!("video{n}"), &fixture("browser.webm")));
        worker.job_child();
    }
    let mut times: Vec<Duration> = (0..NOTES)
        .map(|n| {
            let (media_id, begun) = (format!("note{n}"), Instant::now());
            sender.send(&media_id, &fixture("voice-note.ogg"));
            rig.bus.ledger().wait(&media_id, PATIENCE).at - begun
        })
        .collect();
    assert!(!bulk || !worker.job_children().is_empty(), "the videos came to an end");
    times.sort();
    (times[NOTES / 2], times[NOTES * 99 / 100])
}

fn rig(rabbit: &Rabbit, s3: &S3, slots: usize) -> Rig {
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SLOTS", slots);
    for (name, value) in s3.env() {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    // What another run has done would not be done again.
    rig.set("STORE_URL", format!("s3://{}/{}", s3.bucket(), rig.config().broker.exchange));
    rig
}

/// A service that keeps its connection.
struct Sender {
    _connection: Connection,
    channel: Channel,
    exchange: String,
}

impl Sender {
    fn open(rabbit: &Rabbit, rig: &Rig) -> Self {
        let exchange = rig.config().broker.exchange;
        block_on(async {
            let connection =
                Connection::connect(&rabbit.url(), ConnectionProperties::default()).await.expect("a broker");
            let channel = connection.create_channel().await.expect("a channel");
            channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
            Self { _connection: connection, channel, exchange }
        })
    }

    fn send(&self, media_id: &str, path: &Path) {
        let letter = letter(&event(media_id, path));
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, key) = (self.exchange.as_str().into(), letter.routing_key.as_str().into());
        let properties = letter.properties.with_delivery_mode(2);
        block_on(async {
            let sent = self.channel.basic_publish(exchange, key, options, &letter.body, properties).await;
            sent.expect("sent").await.expect("confirmed");
        });
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
