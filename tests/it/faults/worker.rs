//! Workers and their children die, stop and are restarted.

use std::time::Duration;

use rustix::process::Signal;

use super::trial::{Trial, jobs, part};
use crate::support::processes::{resume, signal, wait_until};
use crate::support::rabbit::fragile;
use crate::support::rig::Rig;
use crate::support::tap::{Point, Tap};
use crate::support::worker::Worker;

/// How often a worker dies in one trial.
const DEATHS: usize = 4;
/// How long a worker may take to end.
const END: Duration = Duration::from_secs(90);

/// Kills a worker again and again at a moment that `wait` waits for, each time with a share of the jobs before it.
fn dies_when(fault: &'static str, rig: &Rig, mut wait: impl FnMut(&mut Trial, &Worker), after: impl Fn()) {
    let mut trial = Trial::of(fault, rig);
    for _ in 0..DEATHS {
        let worker = trial.worker();
        wait(&mut trial, &worker);
        worker.kill();
        after();
    }
    trial.is_over();
    let last = trial.worker();
    trial.ends([last]);
}

/// A child that is stopped in the middle of its work, with many small files behind it.
fn caught(trial: &mut Trial, worker: &Worker, holds: impl Fn() -> bool) -> i32 {
    let (_, child) = trial.catch(&[worker], holds);
    trial.ask(part(DEATHS));
    child
}

#[test]
fn a_worker_killed_after_the_fetch() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let wait = |trial: &mut Trial, worker: &Worker| {
        caught(trial, worker, || true);
    };
    dies_when("worker SIGKILL after the fetch", &rig, wait, || ());
}

#[test]
fn a_worker_killed_in_the_middle_of_an_encode() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let wait = |trial: &mut Trial, worker: &Worker| {
        caught(trial, worker, || has_output(&rig));
    };
    dies_when("worker SIGKILL mid-encode", &rig, wait, || ());
}

/// Whether a job has written something besides its input.
fn has_output(rig: &Rig) -> bool {
    rig.job_files().iter().any(|(name, size_bytes)| name != "input" && *size_bytes > 0)
}

fn dies_at_frame(fault: &'static str, point: Point) {
    let Some(rabbit) = fragile() else { return };
    let tap = Tap::start(rabbit.port());
    let mut rig = Rig::new(&rabbit);
    rig.set("BROKER_URL", tap.url());
    let wait = |trial: &mut Trial, _: &Worker| {
        // Somewhere in the middle rather than always at the first.
        tap.hold_after(point, part(DEATHS) / 2);
        trial.ask(part(DEATHS));
        tap.wait_until_held();
    };
    dies_when(fault, &rig, wait, || tap.cut_all());
}

#[test]
fn a_worker_killed_before_its_outcome_reaches_the_broker() {
    dies_at_frame("worker SIGKILL before the outcome is published", Point::Publish);
}

#[test]
fn a_worker_killed_before_the_confirm_reaches_it() {
    dies_at_frame("worker SIGKILL before the confirm", Point::Confirm);
}

#[test]
fn a_worker_killed_after_the_confirm_and_before_the_ack() {
    dies_at_frame("worker SIGKILL after the confirm, before the ack", Point::Ack);
}

#[test]
fn a_fork_server_killed_under_load() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let mut trial = Trial::of("fork server SIGKILL", &rig);
    let worker = trial.worker();
    let mut before = None;
    for _ in 0..DEATHS {
        let child = caught(&mut trial, &worker, || true);
        wait_until("another fork server", || worker.fork_server().is_some_and(|pid| Some(pid) != before));
        before = worker.fork_server();
        if let Some(pid) = before {
            signal(pid, Signal::KILL);
        }
        // A child that was stopped before its first instruction outlives its fork server; it ends by itself once it goes on.
        resume(child);
        // A job that is hit in every round would be right to fail.
        trial.heard(trial.asked());
    }
    trial.is_over();
    trial.ask(1);
    trial.ends([worker]);
}

#[test]
fn children_killed_as_the_kernel_does_when_memory_is_short() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let mut trial = Trial::of("child SIGKILL (as by the OOM killer)", &rig);
    let worker = trial.worker();
    for _ in 0..DEATHS {
        signal(caught(&mut trial, &worker, || has_output(&rig)), Signal::KILL);
        // A job that is hit twice would be right to be rejected.
        trial.heard(trial.asked());
    }
    trial.is_over();
    trial.ask(1);
    trial.ends([worker]);
}

#[test]
fn children_that_hang() {
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    rig.set("LIMITS_WALL_S", 8);
    let mut trial = Trial::of("child SIGSTOP", &rig);
    let worker = trial.worker();
    caught(&mut trial, &worker, || has_output(&rig));
    trial.ask(jobs());
    trial.is_over();
    trial.ends([worker]);
}

#[test]
fn a_worker_told_to_stop_with_grace_enough() {
    stopped("SIGTERM mid-job, grace enough", 60);
}

#[test]
fn a_worker_told_to_stop_with_too_little_grace() {
    stopped("SIGTERM mid-job, too little grace", 0);
}

fn stopped(fault: &'static str, grace_s: u32) {
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    rig.set("WORKER_GRACE_S", grace_s);
    let mut trial = Trial::of(fault, &rig);
    for _ in 0..DEATHS {
        let mut worker = trial.worker();
        let child = caught(&mut trial, &worker, || true);
        worker.terminate();
        wait_until("no more consuming", || worker.logged("no longer consuming") == 1);
        if grace_s > 0 {
            signal(child, Signal::CONT);
        }
        assert_eq!(worker.ends(END).code(), Some(0), "{}", worker.log());
    }
    trial.is_over();
    let last = trial.worker();
    trial.ends([last]);
}

#[test]
fn three_workers_restarted_one_after_the_other_under_load() {
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    rig.set("WORKER_GRACE_S", 5);
    let mut trial = Trial::of("rolling restart of three workers", &rig);
    let mut workers: Vec<_> = (0..3).map(|_| trial.worker()).collect();
    for _ in 0..3 {
        let (n, child) = trial.catch(&workers.iter().collect::<Vec<_>>(), || true);
        let mut worker = workers.remove(n);
        trial.ask(part(DEATHS));
        worker.terminate();
        wait_until("no more consuming", || worker.logged("no longer consuming") == 1);
        signal(child, Signal::CONT);
        assert_eq!(worker.ends(END).code(), Some(0), "{}", worker.log());
        workers.push(trial.worker());
    }
    trial.is_over();
    trial.ask(1);
    trial.heard(trial.asked());
    trial.ends(workers);
}
