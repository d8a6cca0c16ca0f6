//! Mixed load and random faults for `MINUTES`, and at the end the books: everything that was asked for has its outcome,
//! and the worker that lived through it all is no bigger than it was.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use serde_json::json;

use super::store::World;
use super::trial::Trial;
use crate::support::gate::{Act, INTERNAL_ERROR, SLOW_DOWN};
use crate::support::processes::{descriptors, memory_bytes, signal};
use crate::support::rabbit::{Rabbit, fragile};
use crate::support::rig::{event, event_from, fixture};
use crate::support::say::say;
use crate::support::worker::Worker;

/// Files that end normalized, some of them often.
const GOOD: [&str; 12] = [
    "voice-note.ogg",
    "voice-amr.amr",
    "voice-amr.3gp",
    "memo.m4a",
    "music.mp3",
    "photo-exif.jpg",
    "picture.webp",
    "invoice.pdf",
    "contact.vcf",
    "letter.docx",
    "conforming.mp4",
    "animation.gif",
];
/// No more than so many jobs wait at a time: a soak is about time, not about queues.
const BACKLOG: usize = 60;
/// How much more memory the survivor may have at the end than after its first tenth, and how many more descriptors.
const GROWTH: f64 = 1.25;
const MORE_DESCRIPTORS: usize = 4;

/// What the survivor takes.
#[derive(Debug, Clone, Copy)]
struct Size {
    memory_bytes: u64,
    descriptors: usize,
}

impl Size {
    /// Of the worker and of its fork server.
    fn of(worker: &Worker) -> Self {
        let pids = [Some(worker.pid()), worker.fork_server()];
        let pids = || pids.into_iter().flatten();
        Self { memory_bytes: pids().map(memory_bytes).sum(), descriptors: pids().map(descriptors).sum() }
    }
}

#[test]
#[ignore = "make soak MINUTES=…"]
fn mixed_load_under_random_faults() {
    let minutes: f64 = std::env::var("MINUTES").map_or(10.0, |text| text.parse().expect("MINUTES is a number"));
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |text| text.parse().expect("SEED is a number"));
    say(format_args!("soaking for {minutes} minutes, SEED={seed}"));
    let Some(mut rabbit) = fragile() else { return };
    let world = World::on(&rabbit, |seen| match seen.nth % 40 {
        11 => Act::Answer(500, INTERNAL_ERROR),
        22 => Act::Answer(503, SLOW_DOWN),
        33 => Act::Close,
        39 => Act::LoseAnswer,
        _ => Act::Pass,
    });
    let mut chance = StdRng::seed_from_u64(seed);
    let mut trial = world.trial("soak");
    trial.expect(|outcome| {
        let good = outcome.data()["media_id"].as_str().is_some_and(|media_id| media_id.starts_with("good"));
        outcome.word == if good { "normalized" } else { "rejected" }
    });
    let survivor = trial.worker();
    let mut victim = trial.worker();
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let warm = Instant::now() + Duration::from_secs_f64(minutes * 6.0);
    let mut next_fault = Instant::now() + Duration::from_secs(10);
    let mut first = None;
    while Instant::now() < end {
        ask(&mut trial, &mut chance);
        trial.heard(trial.asked().saturating_sub(BACKLOG));
        if Instant::now() >= next_fault {
            victim = hurt(&mut trial, &mut chance, &mut rabbit, victim, &survivor);
            next_fault = Instant::now() + Duration::from_secs(chance.random_range(5..20));
        }
        if first.is_none() && Instant::now() >= warm {
            trial.heard(trial.asked());
            first = Some(Size::of(&survivor));
        }
    }
    world.is_well();
    trial.heard(trial.asked());
    let (first, last) = (first.unwrap_or_else(|| Size::of(&survivor)), Size::of(&survivor));
    say(format_args!("{} jobs; the survivor after a tenth of the time {first:?}, at the end {last:?}", trial.asked()));
    trial.ends([survivor, victim]);
    let mut words = std::collections::BTreeMap::<String, usize>::new();
    for outcomes in world.heard().into_values() {
        *words.entry(outcomes[0].word.clone()).or_default() += 1;
    }
    say(format_args!("{words:?}"));
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let growth = last.memory_bytes as f64 / first.memory_bytes as f64;
    assert!(growth < GROWTH, "memory grew by a factor of {growth:.2}: {first:?}, {last:?}");
    assert!(last.descriptors <= first.descriptors + MORE_DESCRIPTORS, "{first:?}, {last:?}");
}

fn ask(trial: &mut Trial, chance: &mut StdRng) {
    let n = trial.asked();
    let event = match chance.random_range(0..20) {
        0 => event(&format!("bad-garbage-{n}"), &fixture("garbage.bin")),
        1 => event_from(&format!("bad-origin-{n}"), json!({ "kind": "file", "path": "/etc/hostname" })),
        2 => {
            let mut event = event(&format!("bad-hash-{n}"), &fixture("note.txt"));
            event["data"]["declared"] = json!({ "sha256": "0".repeat(64) });
            event
        }
        _ => event(&format!("good-{n}"), &fixture(GOOD[chance.random_range(0..GOOD.len())])),
    };
    trial.ask_for(&event);
}

/// One fault. Gives back the worker that is there to be killed afterwards.
fn hurt(trial: &mut Trial, chance: &mut StdRng, rabbit: &mut Rabbit, victim: Worker, survivor: &Worker) -> Worker {
    let fault = chance.random_range(0..9);
    say(format_args!("{} asked; fault {fault}", trial.asked()));
    match fault {
        0 => {
            victim.kill();
            return trial.worker();
        }
        1 => {
            victim.stops();
            return trial.worker();
        }
        2 => kill(victim.fork_server()),
        3 => kill(victim.job_children().first().copied()),
        4 => rabbit.close_connections(),
        5 => {
            rabbit.shut_down();
            rabbit.boot();
        }
        6 => {
            rabbit.kill();
            rabbit.boot();
        }
        7 => {
            rabbit.memory_alarm(true);
            rabbit.memory_alarm(false);
        }
        _ => kill(survivor.fork_server()),
    }
    victim
}

fn kill(pid: Option<i32>) {
    // A child may have ended before.
    if let Some(pid) = pid.filter(|pid| crate::support::processes::lives(*pid)) {
        signal(pid, Signal::KILL);
    }
}
