//! What a worker and `mediamill publish` do while the broker does not take what they publish.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mediamill::broker::{BrokerError, Message, Publisher};
use mediamill::events::Event;
use mediamill::roles::worker;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::support::bus::block_on;
use crate::support::cmd::{Dir, Run};
use crate::support::processes::wait_until;
use crate::support::rabbit::{calm, fragile};
use crate::support::rig::{Rig, SOON, event_from, fixture, letter};
use crate::support::tap::{Point, Tap};

#[test]
fn an_outcome_that_a_full_queue_refuses_and_then_nobody_wants_is_not_published_for_ever() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::deaf(rabbit);
    // Long enough for the queue to be gone before it has refused the message three times.
    rig.set("BROKER_RECONNECT_MIN_MS", 2000);
    rig.set("BROKER_RECONNECT_MAX_MS", 2000);
    rig.bus.bind_full_queue("full", "media.normalized.*");
    let worker = rig.worker();
    rig.ask("refused", &fixture("contact.vcf"));
    wait_until("a message that was not taken", || worker.logged("a message was not published: publishing again") == 1);
    rig.bus.delete("full");
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    let dead = rig.bus.take_all("dead").remove(0);
    assert_eq!(dead.header("x-mediamill-code").as_deref(), Some("broker.unroutable"));
    worker.stops();
}

#[test]
fn a_retry_is_published_only_while_the_delivery_is_ours() {
    let Some(mut rabbit) = fragile() else { return };
    let tap = Tap::start(rabbit.port());
    let mut rig = Rig::new(&rabbit);
    rig.set("BROKER_URL", tap.url());
    rig.set("BROKER_RETRY_DELAYS_S", 3600);
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", true);
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", json!(["127.0.0.1:1"]));
    rig.declare();
    let mut worker = rig.worker();
    // The copy for the ladder is on its way when the broker goes, and the message itself is delivered again.
    tap.hold_at(Point::Publish);
    let origin = json!({ "kind": "http", "url": "http://127.0.0.1:1/voice.ogg" });
    rig.bus.publish(&letter(&event_from("once", origin)));
    tap.wait_until_held();
    rabbit.kill();
    rabbit.boot();
    worker.consumes(2);
    wait_until("a place on the ladder", || rig.bus.depth("retry.bulk.3600s").ready > 0);
    // Whoever still has something to publish does it now.
    worker.stops();
    let left = ["retry.bulk.3600s", "bulk", "dead"].map(|queue| rig.bus.depth(queue).ready);
    assert_eq!(left, [1, 0, 0], "one message, one copy");
}

#[test]
fn what_is_no_longer_wanted_is_not_waited_for_while_the_connection_is_blocked() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    let topology = worker::topology(&rig.config().broker).expect("a topology");
    let publisher = Publisher::new(&rig.config().broker, topology.clone());
    block_on(publisher.connect()).expect("connected");
    rabbit.memory_alarm(true);
    let event = event_from("blocked", json!({ "kind": "file", "path": "/nowhere" })).to_string();
    let event = Event::decode(Some("application/cloudevents+json"), &Default::default(), event.as_bytes());
    let message = Message::event(&topology, "media.received", &event.expect("an event"));
    let wanted = AtomicBool::new(true);
    // The first is in the socket when the connection is blocked; the second finds it blocked.
    for _ in 0..2 {
        wanted.store(true, Ordering::SeqCst);
        let given_up = async {
            while !publisher.is_blocked() {
                sleep(Duration::from_millis(10)).await;
            }
            wanted.store(false, Ordering::SeqCst);
        };
        let delivered = publisher.deliver_while(&message, || wanted.load(Ordering::SeqCst));
        let both = async { tokio::join!(delivered, given_up) };
        let (result, ()) = block_on(async { timeout(SOON, both).await }).expect("it does not wait");
        assert_eq!(result, Err(BrokerError::Unwanted));
    }
    rabbit.memory_alarm(false);
}

#[test]
fn publish_says_what_it_waits_for_and_gives_up_in_time() {
    let Some(rabbit) = fragile() else { return };
    let rig = Rig::new(&rabbit);
    rabbit.memory_alarm(true);
    let run = Run::of(&mut rig.command(&["publish", "https://files.example/a.ogg", "--timeout", "8"])).exits(1);
    rabbit.memory_alarm(false);
    assert!(run.stderr.contains("RabbitMQ is short of memory or disk and accepts no messages"), "{}", run.stderr);
    assert!(run.stderr.contains("no message within 8 s: it is short of memory or disk"), "{}", run.stderr);
}

#[test]
fn publish_refuses_a_timeout_that_is_none() {
    let dir = Dir::new();
    for timeout in ["18446744073709551615", "4294967296", "0", "-1"] {
        let timeout = format!("--timeout={timeout}");
        dir.run(["publish", "a.ogg", "--wait", &timeout]).exits(2);
    }
}

#[test]
fn publish_removes_its_copy_when_the_file_is_normalized_and_not_before() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let store = rig.dir.path().join("store");
    rig.set("SOURCE_FILE_ROOTS", json!([store]));
    let inbox = || files_below(&store.join(".inbox"));
    let good = fixture("voice-note.ogg").display().to_string();
    let bad = fixture("garbage.bin").display().to_string();
    Run::of(&mut rig.command(&["publish", &good, "--media-id", "unwatched"])).exits(0);
    assert_eq!(inbox(), 1, "a worker has to fetch it");
    let worker = rig.worker();
    rig.vouch(&rig.bus.ledger().wait("unwatched", SOON));
    let run = Run::of(&mut rig.command(&["publish", &good, "--media-id", "watched", "--wait"])).exits(0);
    assert!(run.stdout.contains("\"media_id\": \"watched\""), "{}", run.stdout);
    assert_eq!(inbox(), 1, "nobody waited for the first");
    Run::of(&mut rig.command(&["publish", &bad, "--media-id", "rejected", "--wait"])).exits(3);
    assert_eq!(inbox(), 2, "what was rejected can be looked at");
    worker.stops();
}

fn files_below(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}
