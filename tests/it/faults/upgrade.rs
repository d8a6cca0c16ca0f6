//! Two versions of the worker at the same queues: each rolled over the other under load, there and back.

use std::path::PathBuf;
use std::thread::scope;

use serde_json::json;

use super::trial::{Trial, jobs, spread};
use crate::support::bus::Letter;
use crate::support::cmd::program_at;
use crate::support::processes::wait_until;
use crate::support::rabbit::fragile;
use crate::support::rig::{Rig, letter};
use crate::support::say::say;
use crate::support::worker::Worker;

/// As many workers at a time.
const WORKERS: usize = 3;
/// Files that each version is asked for again after the other one did them.
const AGAIN: usize = 40;

#[derive(Clone, Copy)]
enum Version {
    Older,
    This,
}

struct Fleet<'a> {
    rig: &'a Rig,
    trial: Trial<'a>,
    older: PathBuf,
    running: Vec<Worker>,
    /// Outcomes of stopped workers, by version.
    said: [usize; 2],
}

impl Fleet<'_> {
    fn start(&mut self, version: Version) {
        let worker = match version {
            Version::This => self.trial.worker(),
            Version::Older => {
                let mut command = program_at(&self.older);
                command.arg("worker");
                let mut worker = self.rig.worker_of(command);
                worker.consumes(1);
                self.trial.know(&worker);
                worker
            }
        };
        self.running.push(worker);
    }

    /// Replaces all workers, one after another: the next begins before the last one ends.
    fn roll(&mut self, from: Version, to: Version) {
        for _ in 0..WORKERS {
            self.start(to);
            let log = self.running.remove(0).stops();
            self.said[from as usize] += log.matches("\"outcome\":\"normalized\"").count();
        }
    }

    /// The usual files, every other one asked for in a way that no version knows yet.
    fn letters(&mut self, count: usize) -> Vec<Letter> {
        let mut next = |n: usize| {
            let mut event = self.trial.next_event();
            if n.is_multiple_of(2) {
                event["novelty"] = json!("an attribute");
                event["data"]["novelty"] = json!({ "of": ["a", "later", "version"] });
            }
            letter(&event)
        };
        (0..count).map(&mut next).collect()
    }
}

#[test]
#[ignore = "make upgrade"]
fn an_upgrade_and_a_way_back_under_load() {
    let older = std::env::var_os("OLDER").expect("OLDER names an older mediamill: make upgrade builds one").into();
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    rig.set("WORKER_GRACE_S", 5);
    let trial = Trial::of("upgrade and way back: two versions at the same queues", &rig);
    let mut fleet = Fleet { rig: &rig, trial, older, running: Vec::new(), said: [0; 2] };
    for _ in 0..WORKERS {
        fleet.start(Version::Older);
    }
    let by_older = fleet.letters(AGAIN);
    rig.bus.publish_all(&by_older);
    fleet.trial.heard(AGAIN);
    let load = fleet.letters(jobs());
    scope(|scope| {
        let asking = scope.spawn(|| spread(&rig, &load, || true));
        fleet.roll(Version::Older, Version::This);
        rig.bus.publish_all(&by_older);
        fleet.roll(Version::This, Version::Older);
        assert!(!asking.is_finished(), "the load ends too soon to say anything: more JOBS");
    });
    let [older, this] = fleet.said;
    say(format_args!("{older} outcomes by the older version before the way back, {this} by this one"));
    assert!(older > AGAIN && this > AGAIN, "each worked");
    // What is done by now, by both.
    rig.bus.publish_all(&load[..AGAIN]);
    let heard = |media: &str| rig.bus.ledger().all().get(media).map_or(0, Vec::len);
    wait_until("the second outcomes", || (AGAIN..2 * AGAIN).all(|n| heard(&format!("job-{n}")) == 2));
    fleet.trial.ends(fleet.running);
}
