//! What holds when things are said twice, answered by nobody, or fail: nothing is lost, nothing is done twice.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::cmd::Run;
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::{calm, fragile};
use crate::support::rig::{Rig, SOON, event, fixture, letter};

#[test]
fn a_redelivery_says_the_same_again_without_encoding() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let first = rig.outcome("again", &fixture("voice-note.ogg"));
    rig.vouch(&first);
    let object = rig.dir.path().join("store").join(first.asset("playback")["key"].as_str().expect("a key"));
    let written = std::fs::metadata(&object).and_then(|meta| meta.modified()).expect("an object");
    rig.ask("again", &fixture("voice-note.ogg"));
    let outcomes = rig.bus.ledger().wait_for("again", 2, SOON);
    assert_eq!(outcomes[0].event, outcomes[1].event);
    assert_eq!(std::fs::metadata(&object).and_then(|meta| meta.modified()).expect("an object"), written);
    worker.stops();
}

#[test]
fn two_workers_share_a_queue() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let workers = [rig.worker(), rig.worker()];
    let letters: Vec<_> = (0..40).map(|n| letter(&event(&format!("shared-{n}"), &fixture("contact.vcf")))).collect();
    rig.bus.publish_all(&letters);
    rig.bus.ledger().wait_for_files(letters.len(), SOON);
    let done = workers.map(|worker| worker.stops().matches("\"outcome\":\"normalized\"").count());
    assert!(done.iter().all(|done| *done > 0) && done.iter().sum::<usize>() == letters.len(), "{done:?}");
    assert!(rig.bus.ledger().all().values().all(|outcomes| outcomes.len() == 1));
}

#[test]
fn a_node_that_does_not_answer_is_passed_over() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_NODES", format!("127.0.0.1:{},127.0.0.1:2", rabbit.port()));
    rig.set("BROKER_URL", "amqp://guest:guest@127.0.0.1:1/%2f");
    // Each of them starts with any of the three.
    for _ in 0..10 {
        rig.declare();
    }
    let worker = rig.worker();
    rig.vouch(&rig.outcome("passed-over", &fixture("contact.vcf")));
    assert_eq!(worker.logged("connecting to the broker again"), 0);
    worker.stops();
}

#[test]
fn an_outcome_that_nobody_waits_for_climbs_the_ladder_until_somebody_does() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::deaf(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", "2,2,2,2,2,2,2,2,2,2");
    rig.declare();
    let worker = rig.worker();
    rig.ask("unheard", &fixture("voice-note.ogg"));
    wait_until("a place on the ladder", || rig.bus.depth("retry.audio.2s").ready == 1);
    rig.bus.listen();
    let outcome = rig.bus.ledger().wait("unheard", SOON);
    rig.vouch(&outcome);
    assert!(worker.stops().contains("broker.unroutable"));
}

#[test]
fn an_outcome_that_nobody_ever_waited_for_is_kept_with_the_dead_and_replayed() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::deaf(rabbit);
    let worker = rig.worker();
    rig.ask("unwanted", &fixture("voice-note.ogg"));
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    rig.bus.listen();
    let replay = |options: &[&str]| Run::of(&mut rig.command(&[&["replay"], options].concat()));
    assert_eq!(replay(&["--code", "source.timeout"]).exits(0).stdout, "0 replayed, 1 left\n");
    assert_eq!(replay(&["--code", "source.timeout", "--discard"]).exits(0).stdout, "0 discarded, 1 left\n");
    let listed = replay(&["--list"]).exits(0).stdout;
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), ["1", "broker.unroutable", "audio"]);
    // Everything, at one wrong key: not without saying what.
    replay(&["--discard"]).exits(2);
    let replayed = Run::of(&mut rig.command(&["replay", "--code", "broker.unroutable"])).exits(0);
    assert_eq!(replayed.stdout, "1 replayed, 0 left\n");
    rig.vouch(&rig.bus.ledger().wait("unwanted", SOON));
    worker.stops();
}

#[test]
fn passing_trouble_climbs_the_ladder_then_fails_and_a_replay_mends_it() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    // Where the tenant's folder should be is a file.
    let in_the_way = rig.dir.path().join("store/acme");
    std::fs::write(&in_the_way, "").expect("a file");
    let outcome = rig.outcome("stubborn", &fixture("voice-note.ogg"));
    assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "store.unavailable"), "{:#}", outcome.event);
    assert_eq!(outcome.data()["attempts"], 3);
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    std::fs::remove_file(&in_the_way).expect("removed");
    assert_eq!(Run::of(&mut rig.command(&["replay"])).exits(0).stdout, "1 replayed, 0 left\n");
    let outcomes = rig.bus.ledger().wait_for("stubborn", 2, SOON);
    rig.vouch(&outcomes[1]);
    worker.stops();
}

#[test]
fn a_worker_without_its_store_takes_nothing_until_it_is_there() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let (store, elsewhere) = (rig.dir.path().join("store"), rig.dir.path().join("elsewhere"));
    std::fs::rename(&store, &elsewhere).expect("renamed");
    rig.ask("patient", &fixture("contact.vcf"));
    let mut worker = rig.spawn();
    wait_until("a word", || worker.logged("taking no messages until this has passed") > 1);
    assert_eq!(rig.bus.depth("bulk").ready, 1);
    std::fs::rename(&elsewhere, &store).expect("renamed");
    worker.consumes(1);
    rig.vouch(&rig.bus.ledger().wait("patient", SOON));
    worker.stops();
}

#[test]
fn a_worker_that_has_its_store_again_does_not_wait_for_the_film_that_it_works_on() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let (store, elsewhere) = (rig.dir.path().join("store"), rig.dir.path().join("elsewhere"));
    let worker = rig.worker();
    let child = stopped_in_the_middle(&rig, &worker, "film");
    std::fs::rename(&store, &elsewhere).expect("renamed");
    std::fs::write(&store, "").expect("a file in its place");
    rig.ask("unlucky", &fixture("voice-note.ogg"));
    wait_until("a trial that fails", || worker.logged("no job can be done here: the attempt does not count") == 1);
    wait_until("another look", || worker.logged("taking no messages until this has passed") > 0);
    std::fs::remove_file(&store).expect("removed");
    std::fs::rename(&elsewhere, &store).expect("renamed");
    rig.vouch(&rig.bus.ledger().wait("unlucky", SOON));
    rig.vouch(&rig.outcome("after", &fixture("voice-note.ogg")));
    assert_eq!(worker.job_children(), [child]);
    assert!(rig.bus.ledger().of("film").is_empty());
    signal(child, Signal::CONT);
    rig.vouch(&rig.bus.ledger().wait("film", SOON));
    wait_until("an empty queue", || rig.bus.depth("bulk").ready == 0);
    let log = worker.stops();
    assert!(!log.contains("the broker delivers a message again"), "its message could be acknowledged: {log}");
    assert_eq!(rig.bus.ledger().of("film").len(), 1);
}

#[test]
fn a_worker_without_room_takes_nothing_that_another_could_do() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SCRATCH_MIN_FREE_BYTES", i64::MAX);
    let full = rig.spawn();
    wait_until("a word", || full.logged("taking no messages until this has passed") > 0);
    rig.set("WORKER_SCRATCH_MIN_FREE_BYTES", 0);
    let well = rig.worker();
    let ids: Vec<_> = (0..20).map(|n| format!("room-{n}")).collect();
    for id in &ids {
        rig.ask(id, &fixture("contact.vcf"));
    }
    for id in &ids {
        let outcome = rig.bus.ledger().wait(id, SOON);
        assert_eq!((outcome.word.as_str(), rig.bus.depth("dead").ready), ("normalized", 0), "{:#}", outcome.event);
    }
    full.stops();
    assert!(!well.stops().contains("worker.scratch"));
}

#[test]
fn a_failed_job_lies_with_the_dead_with_its_reason() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", "[]");
    let worker = rig.worker();
    std::fs::write(rig.dir.path().join("store/acme"), "").expect("a file");
    assert_eq!(rig.outcome("reasoned", &fixture("voice-note.ogg")).word, "failed");
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    let dead = rig.bus.take_all("dead").remove(0);
    let header = |name: &str| dead.header(&format!("x-mediamill-{name}")).unwrap_or_default();
    assert_eq!((header("code").as_str(), header("stage").as_str()), ("store.unavailable", "store"));
    assert_eq!((header("attempts").as_str(), header("lane").as_str()), ("1", "audio"));
    worker.stops();
}

/// A job that is in the middle of its child's work, and stays there until its child goes on.
fn stopped_in_the_middle(rig: &Rig, worker: &crate::support::worker::Worker, media_id: &str) -> i32 {
    rig.ask(media_id, &long());
    let child = worker.job_child();
    signal(child, Signal::STOP);
    child
}

fn long() -> PathBuf {
    fixture("phone-portrait.mp4")
}

#[test]
fn a_stop_in_the_middle_lets_the_job_finish() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let mut worker = rig.worker();
    let child = stopped_in_the_middle(&rig, &worker, "graceful");
    worker.terminate();
    wait_until("no more consuming", || worker.logged("no longer consuming") == 1);
    rig.ask("too-late", &fixture("note.txt"));
    signal(child, Signal::CONT);
    assert_eq!(worker.ends(SOON).code(), Some(0), "{}", worker.log());
    rig.vouch(&rig.bus.ledger().wait("graceful", SOON));
    assert_eq!(rig.bus.depth("bulk").ready, 1, "what came after the stop is for another worker");
    assert!(rig.bus.ledger().of("too-late").is_empty());
    assert_eq!(std::fs::read_dir(rig.scratch()).expect("scratch").count(), 0);
}

#[test]
fn a_stop_with_too_little_grace_puts_the_job_back() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_GRACE_S", 1);
    let mut worker = rig.worker();
    stopped_in_the_middle(&rig, &worker, "hasty");
    worker.terminate();
    assert_eq!(worker.ends(SOON).code(), Some(0), "{}", worker.log());
    assert_eq!(rig.bus.depth("bulk").ready, 1);
    assert!(rig.bus.ledger().of("hasty").is_empty());
    let second = rig.worker();
    let outcome = rig.bus.ledger().wait("hasty", SOON);
    rig.vouch(&outcome);
    second.stops();
    assert_eq!(rig.bus.ledger().of("hasty").len(), 1);
}

#[test]
fn a_broker_that_restarts_costs_nothing_but_time() {
    let Some(mut rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let mut worker = rig.worker();
    let child = stopped_in_the_middle(&rig, &worker, "through-a-restart");
    rabbit.shut_down();
    signal(child, Signal::CONT);
    rabbit.boot();
    worker.consumes(2);
    rig.vouch(&rig.bus.ledger().wait("through-a-restart", SOON));
    rig.vouch(&rig.outcome("after-a-restart", &fixture("voice-note.ogg")));
    wait_until("an empty queue", || rig.bus.depth("bulk").ready == 0);
    drop(worker);
    let ids: Vec<_> = rig.bus.ledger().of("through-a-restart").iter().map(|one| one.id().to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_worker_waits_for_a_broker_that_is_not_there_yet() {
    let Some(mut rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    rabbit.kill();
    let mut worker = rig.spawn();
    wait_until("an attempt", || worker.logged("connecting to the broker again") > 0);
    rabbit.boot();
    worker.consumes(1);
    rig.vouch(&rig.outcome("early", &fixture("voice-note.ogg")));
    worker.terminate();
    assert_eq!(worker.ends(Duration::from_secs(30)).code(), Some(0));
}
