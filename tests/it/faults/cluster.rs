//! The broker is three nodes, and the one that leads the work queues dies under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use super::trial::{Trial, jobs, spread};
use crate::support::cluster::Cluster;
use crate::support::rig::Rig;
use crate::support::say::say;
use crate::support::worker::Worker;

/// How long the node stays away.
const AWAY: Duration = Duration::from_secs(5);

#[test]
#[ignore = "make cluster"]
fn the_leader_killed() {
    let Some(mut cluster) = Cluster::start() else { return };
    let rig = Rig::on(&cluster);
    let exchange = rig.config().broker.exchange;
    let lanes = ["audio", "bulk"].map(|lane| format!("{exchange}.{lane}"));
    let mut trial = Trial::of("cluster of three: leader SIGKILL, back after 5 s", &rig);
    let workers = [trial.worker(), trial.worker()];
    let letters = trial.letters(jobs());
    let [leader, other] = [&lanes[0], &lanes[1]].map(|lane| cluster.leader_of(lane));
    assert_eq!(leader, other, "where they were declared");
    // The load goes on until the node is back.
    let back = AtomicBool::new(false);
    let killed = scope(|scope| {
        scope.spawn(|| spread(&rig, &letters, || back.load(Ordering::SeqCst)));
        trial.heard(jobs() / 8);
        cluster.node(leader).kill();
        trial.is_over();
        let (killed, before) = (Instant::now(), rig.bus.ledger().len());
        sleep(AWAY);
        let meanwhile = rig.bus.ledger().len() - before;
        assert!(meanwhile > 0, "two nodes of three are a majority");
        let start = Instant::now();
        cluster.node(leader).boot();
        let answers_s = start.elapsed().as_secs_f64();
        for lane in &lanes {
            cluster.wait_until_in_sync(leader, lane);
        }
        let in_sync_s = start.elapsed().as_secs_f64();
        back.store(true, Ordering::SeqCst);
        say(format_args!("{meanwhile} outcomes while it was away"));
        say(format_args!("{answers_s:.1} s from its start until it answers, {in_sync_s:.1} s until it is in sync"));
        killed
    });
    let lost = |worker: &Worker| worker.logged("connecting to the broker again");
    say(format_args!("connections lost by workers that consume: {}", workers.iter().map(lost).sum::<usize>()));
    trial.ends(workers);
    let silence_s = rig.bus.ledger().longest_silence(killed).as_secs_f64();
    say(format_args!("{silence_s:.1} s at most between two outcomes, from the SIGKILL to the end"));
}
