//! The machine is short of something.

use std::process::Command;

use super::trial::{Trial, part, patience};
use crate::support::cgroup::Cgroup;
use crate::support::cmd::Run;
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, event, fixture, letter};
use crate::support::say;
use crate::support::scrape::Scrape;

/// Rungs enough for the shortage to be over before the last one.
const PATIENT: &str = "1,1,1,1,1,1,1,1,2,2,2,2";

/// Makes scratch space that is full after a few small files, visible to this worker alone.
const SMALL_SCRATCH: &str = r#"mount -t tmpfs -o size=300k tmpfs "$MEDIAMILL_WORKER_SCRATCH_DIR" && exec "$@""#;

#[test]
fn scratch_space_that_is_full() {
    let Some(rabbit) = calm() else { return };
    if Run::of(Command::new("unshare").args(["-rm", "true"])).code != Some(0) {
        say::skipped("no mount namespace can be had here");
        return;
    }
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("scratch space full (tmpfs)", &rig);
    trial.expect(|outcome| {
        let big = outcome.data()["media_id"].as_str().is_some_and(|media_id| media_id.starts_with("big"));
        if big {
            // It alone is larger than all of the scratch space: nothing that an operator has to look at.
            (outcome.word.as_str(), outcome.code()) == ("rejected", "media.limit-scratch")
        } else {
            outcome.word == "normalized"
        }
    });
    let mut command = Command::new("unshare");
    command.args(["-rm", "/bin/sh", "-c", SMALL_SCRATCH, "sh", env!("CARGO_BIN_EXE_mediamill"), "worker"]);
    let mut worker = rig.worker_of(command);
    worker.consumes(1);
    trial.know(&worker);
    for n in 0..4 {
        trial.ask_for(&event(&format!("big-{n}"), &fixture("phone-portrait.mp4")));
        trial.ask(part(4));
    }
    trial.ends([worker]);
    assert_eq!(rig.bus.depth("dead").ready, 0);
}

#[test]
fn scratch_space_for_one_film_at_a_time() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let film = fixture("phone-portrait.mp4");
    let size = film.metadata().expect("a fixture").len();
    rig.set("HTTP_LISTEN", "127.0.0.1:0");
    rig.set("WORKER_SLOTS", 3);
    // A film is promised three times its size, and one attempt more is all that the ladder has.
    rig.set("WORKER_SCRATCH_MAX_BYTES", size * 4);
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    let ids = ["film-1", "film-2", "film-3", "film-4", "film-5", "film-6"];
    let letters = ids.map(|id| {
        let mut ask = event(id, &film);
        ask["data"]["declared"] = serde_json::json!({ "size_bytes": size });
        letter(&ask)
    });
    rig.bus.publish_all(&letters);
    let worker = rig.worker();
    for id in ids {
        let outcome = rig.bus.ledger().wait(id, patience());
        assert_eq!((outcome.word.as_str(), outcome.code()), ("normalized", ""), "{id}");
    }
    let scrape = Scrape::of(&worker);
    assert!(scrape.get("mediamill_put_off_total", &[("lane", "bulk"), ("why", "scratch")]) > Some(0.0));
    assert_eq!(scrape.get("mediamill_put_off_total", &[("lane", "bulk"), ("why", "unable")]), Some(0.0));
    assert_eq!(scrape.get("mediamill_retries_total", &[]), None, "no attempt was counted");
    worker.stops();
}

#[test]
fn no_descriptors_left() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", PATIENT);
    let mut trial = Trial::of("no descriptors left", &rig);
    let worker = trial.worker();
    trial.ask(part(8));
    trial.heard(part(8));
    let limit = |files: &str| {
        let pid = worker.pid().to_string();
        Run::of(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")])).exits(0);
    };
    limit("8");
    trial.ask(part(8) * 3);
    wait_until("a worker that takes no more", || worker.logged("taking no messages until this has passed") > 0);
    limit("1024");
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn no_process_to_be_had() {
    let Some(rabbit) = calm() else { return };
    let Some(group) = Cgroup::of_pids() else {
        say::skipped("the number of processes cannot be limited here");
        return;
    };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", PATIENT);
    let mut trial = Trial::of("fork fails (no processes left)", &rig);
    let worker = trial.worker();
    group.take(worker.fork_server().expect("a fork server"));
    trial.ask(part(8));
    trial.heard(part(8));
    group.limit("1");
    trial.ask(part(8) * 3);
    wait_until("a worker that takes no more", || worker.logged("taking no messages until this has passed") > 0);
    group.limit("max");
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn a_child_that_needs_more_memory_than_the_machine_has() {
    let Some(rabbit) = calm() else { return };
    let Some(group) = Cgroup::of_memory() else {
        say::skipped("memory cannot be limited here");
        return;
    };
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("child out of memory (OOM killer)", &rig);
    trial.expect(|outcome| {
        let big = outcome.data()["media_id"].as_str().is_some_and(|media_id| media_id.starts_with("big"));
        // Far below the limit of the configuration: the machine is to blame, and the message can be replayed on a larger one.
        let crashed = (outcome.word.as_str(), outcome.code()) == ("rejected", "media.crashed-decoder");
        let killed = (outcome.word.as_str(), outcome.code()) == ("failed", "worker.killed");
        if big { crashed || killed } else { outcome.word == "normalized" }
    });
    let picture = rig.dir.path().join("files/big.png");
    let mut make = Command::new("ffmpeg");
    make.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=s=8000x6000,format=rgb24", "-frames:v", "1"]);
    Run::of(make.arg(&picture)).exits(0);
    let worker = trial.worker();
    let fork_server = worker.fork_server();
    group.limit(&(100 << 20).to_string());
    group.take(fork_server.expect("a fork server"));
    for n in 0..4 {
        trial.ask_for(&event(&format!("big-{n}"), &picture));
        trial.ask(part(4));
    }
    trial.heard(trial.asked());
    assert_eq!(worker.fork_server(), fork_server, "the kernel takes the child, not its parent");
    trial.ends([worker]);
}

#[test]
fn a_machine_whose_children_cannot_start() {
    let Some(rabbit) = calm() else { return };
    // Not root, for whom no limit is hard.
    if Run::of(Command::new("unshare").args(["-r", "true"])).code != Some(0) {
        say::skipped("no user namespace can be had here");
        return;
    }
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("hard limits lowered under a worker", &rig);
    let mut command = Command::new("unshare");
    command.args(["-r", env!("CARGO_BIN_EXE_mediamill"), "worker"]);
    let mut worker = rig.worker_of(command);
    worker.consumes(1);
    trial.know(&worker);
    let server = worker.fork_server().expect("a fork server").to_string();
    Run::of(Command::new("prlimit").args(["--pid", &server, "--cpu=100:100"])).exits(0);
    trial.ask(20);
    wait_until("a trial that fails", || worker.logged("no job can be done here: the attempt does not count") > 0);
    wait_until("a wait", || worker.logged("taking no messages until this has passed") > 0);
    assert_eq!(rig.bus.ledger().len(), 0, "nothing is said of a file while nothing could be done");
    // Another one, on a machine that is well, does what the first one took and could not do.
    let well = trial.worker();
    trial.is_over();
    trial.ends([worker, well]);
    assert_eq!(rig.bus.depth("dead").ready, 0);
}
