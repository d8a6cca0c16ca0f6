//! The broker goes away, comes back, refuses, forgets and falls silent.

use std::time::Duration;

use rustix::process::Signal;

use super::trial::{Trial, part};
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::{Rabbit, fragile};
use crate::support::rig::Rig;
use crate::support::tap::{Point, Tap};
use crate::support::worker::Worker;

/// A worker that has done some jobs.
fn at_work<'a>(fault: &'static str, rig: &'a Rig) -> (Trial<'a>, Worker) {
    let mut trial = Trial::of(fault, rig);
    let worker = trial.worker();
    trial.ask(part(4));
    trial.heard(part(8));
    (trial, worker)
}

/// A worker that has done some jobs and is stopped before as many others, until it is resumed.
fn under_load<'a>(fault: &'static str, rig: &'a Rig) -> (Trial<'a>, Worker) {
    let (mut trial, worker) = at_work(fault, rig);
    trial.pause_with(&worker, part(4));
    (trial, worker)
}

#[test]
fn a_broker_restarted() {
    let Some(mut rabbit) = fragile() else { return };
    away("broker restart", &mut rabbit, Rabbit::shut_down);
}

#[test]
fn a_broker_killed() {
    let Some(mut rabbit) = fragile() else { return };
    away("broker SIGKILL", &mut rabbit, Rabbit::kill);
}

fn away(fault: &'static str, rabbit: &mut Rabbit, leave: fn(&mut Rabbit)) {
    let rig = Rig::new(rabbit);
    let (mut trial, worker) = under_load(fault, &rig);
    leave(rabbit);
    worker.resume();
    rabbit.boot();
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn connections_closed_by_the_broker() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let (mut trial, worker) = under_load("connections closed by force", &rig);
    rabbit.close_connections();
    worker.resume();
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn a_channel_closed_for_an_error() {
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    // Outcomes are unroutable until the listener has bound its queue anew.
    rig.set("BROKER_RETRY_DELAYS_S", "1,1,1,1,2,2,2,2,2,2");
    let (mut trial, worker) = under_load("channel error (exchange deleted)", &rig);
    rig.bus.delete_exchange();
    worker.resume();
    // The worker declares the exchange anew when its channel is closed over it.
    wait_until("a channel closed", || worker.logged("a message was not published: publishing again") > 0);
    rig.declare();
    rig.bus.bind();
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn queues_deleted_under_a_consumer() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let (mut trial, mut worker) = at_work("queues deleted", &rig);
    // What lies in a queue dies with it; what is being worked on does not.
    trial.heard(trial.asked());
    let (_, child) = trial.catch(&[&worker], || true);
    rig.bus.delete("bulk");
    rig.bus.delete("audio");
    worker.consumes(2);
    signal(child, Signal::CONT);
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn consumers_cancelled_by_the_broker() {
    let Some(rabbit) = fragile() else { return };
    let tap = Tap::start(rabbit.port());
    let mut rig = Rig::new(&rabbit);
    rig.set("BROKER_URL", tap.url());
    let (mut trial, worker) = under_load("consumers cancelled by the broker", &rig);
    for _ in 0..3 {
        worker.resume();
        // A worker has a consumer only while it waits for messages, and one that it gives up by itself is no loss: cancelled
        // again until it has noticed.
        let before = worker.logged("consuming");
        trial.heard(trial.asked());
        wait_until("consumers cancelled", || {
            tap.cancel_consumers();
            std::thread::sleep(Duration::from_millis(300));
            worker.logged("consuming") > before
        });
        trial.pause_with(&worker, part(6));
    }
    worker.resume();
    trial.is_over();
    trial.ends([worker]);
}

#[test]
fn publishers_blocked_by_a_memory_alarm() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let (mut trial, worker) = under_load("memory alarm (blocked publisher)", &rig);
    rabbit.memory_alarm(true);
    worker.resume();
    wait_until("a blocked connection", || rabbit.ctl(&["list_connections", "state"]).contains("blocked"));
    rabbit.memory_alarm(false);
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn a_broker_that_falls_silent() {
    let Some(rabbit) = fragile() else { return };
    let mut rig = Rig::new(&rabbit);
    rig.set("BROKER_HEARTBEAT_S", 2);
    rig.set("BROKER_CONNECT_TIMEOUT_S", 2);
    let (mut trial, worker) = under_load("broker frozen (heartbeat loss)", &rig);
    rabbit.freeze();
    worker.resume();
    wait_until("a connection given up", || worker.logged("connecting to the broker again") > 0);
    rabbit.thaw();
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn a_publishing_connection_that_falls_silent() {
    silent("frozen socket, publisher", Point::Confirm);
}

#[test]
fn a_consuming_connection_that_falls_silent() {
    silent("frozen socket, consumer", Point::Ack);
}

/// One way of one connection falls silent; others, and new ones, are well.
fn silent(fault: &'static str, point: Point) {
    let Some(rabbit) = fragile() else { return };
    let tap = Tap::start(rabbit.port());
    let mut rig = Rig::new(&rabbit);
    rig.set("BROKER_URL", tap.url());
    rig.set("BROKER_HEARTBEAT_S", 2);
    let (mut trial, worker) = at_work(fault, &rig);
    tap.hold_at(point);
    trial.ask(part(4));
    tap.wait_until_held();
    trial.ask(part(2));
    trial.ends([worker]);
}

#[test]
fn an_ack_timeout_shorter_than_a_job() {
    let Some(rabbit) = fragile() else { return };
    rabbit.ack_timeout(Some(Duration::from_secs(1)));
    let rig = Rig::new(&rabbit);
    let (mut trial, worker) = at_work("ack timeout shorter than a job", &rig);
    trial.heard(trial.asked());
    let (_, child) = trial.catch(&[&worker], || true);
    wait_until("the message back in its queue", || rig.bus.depth("bulk").ready > 0);
    rabbit.ack_timeout(None);
    signal(child, Signal::CONT);
    trial.is_over();
    trial.ask(part(2));
    trial.ends([worker]);
}
