//! Messages that wait for an operator: dead letters without a code, and requests that no lane is bound for.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use serde_json::Value;

use crate::support::bus::Letter;
use crate::support::cmd::Run;
use crate::support::processes::wait_until;
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::{Rig, SOON, event, fixture, headers, letter};

/// A command of the program.
fn run(rig: &Rig, args: &[&str]) -> Run {
    Run::of(&mut rig.command(args))
}

/// Words of each line.
fn table(run: &Run) -> Vec<Vec<&str>> {
    run.stdout.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// Sets the policy as the program tells an operator to.
fn set_policy(rabbit: &Rabbit, rig: &Rig) {
    let told = run(rig, &["topology"]).exits(0).stdout;
    let command = told.lines().find_map(|line| line.split_once("rabbitmqctl ")).expect("a command").1;
    let words: Vec<_> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    rabbit.ctl(&words);
}

#[test]
fn letters_without_a_code_are_listed_discarded_and_replayed_by_themselves() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let dead = |media_id: &str, pairs: &[(&str, &str)]| {
        let mut letter = letter(&event(media_id, &fixture("contact.vcf")));
        letter.properties = letter.properties.with_headers(headers(pairs));
        rig.bus.put("dead", &letter);
    };
    let none = run(&rig, &["replay", "--list"]).exits(0).stdout;
    assert!(none.starts_with("nothing to list: of 0 messages in ") && none.contains(".dead"), "{none}");
    dead("coded", &[("x-mediamill-code", "store.forbidden"), ("x-mediamill-lane", "bulk")]);
    // As RabbitMQ writes it when it gives a message up by itself.
    let queue = format!("{}.audio", rig.config().broker.exchange);
    dead("without-1", &[("x-first-death-queue", &queue), ("x-first-death-reason", "delivery_limit")]);
    dead("without-2", &[]);
    dead("of-a-later-version", &[("x-mediamill-code", "media.novel")]);
    let listed = run(&rig, &["replay", "--list"]).exits(0);
    let (coded, later) = (["1", "store.forbidden", "bulk"], ["1", "unknown", "bulk"]);
    assert_eq!(table(&listed), [["1", "none", "audio"], ["1", "none", "bulk"], coded, later]);
    let listed = run(&rig, &["replay", "--list", "--code", "none"]).exits(0);
    assert_eq!(table(&listed), [["1", "none", "audio"], ["1", "none", "bulk"]]);
    let unknown = run(&rig, &["replay", "--list", "--code", "broker.unroutable"]).exits(0).stdout;
    assert!(unknown.starts_with("nothing to list: of 4 messages in "), "{unknown}");
    let replayed = run(&rig, &["replay", "--code", "none", "--limit", "1"]).exits(0).stdout;
    assert_eq!(replayed, "1 replayed, 3 left\n");
    assert_eq!(run(&rig, &["replay", "--code", "none", "--discard"]).exits(0).stdout, "1 discarded, 2 left\n");
    let listed = run(&rig, &["replay", "--list"]).exits(0);
    assert_eq!(table(&listed), [coded, later]);
    run(&rig, &["replay", "--code", "nothing"]).exits(2);
    run(&rig, &["replay", "--discard"]).exits(2);
}

#[test]
fn a_request_with_a_key_that_no_lane_has_waits_and_finds_its_way_back() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    set_policy(rabbit, &rig);
    for (media_id, key) in [("a-typo", "media.received.voice"), ("too-much", "media.received.audio.ogg")] {
        let asked = letter(&event(media_id, &fixture("voice-note.ogg")));
        // A message that is returned would be published again, and the test end here.
        rig.bus.publish(&Letter { routing_key: key.to_owned(), ..asked });
    }
    assert_eq!(rig.bus.depth("unrouted").ready, 2);
    let listed = run(&rig, &["replay", "--unrouted", "--list"]).exits(0);
    assert_eq!(table(&listed), [["1", "media.received.audio.ogg", "audio"], ["1", "media.received.voice", "bulk"]]);
    assert_eq!(rig.bus.depth("unrouted").ready, 2, "listing moves nothing");
    run(&rig, &["replay", "--unrouted", "--code", "none"]).exits(2);
    let worker = rig.worker();
    assert_eq!(run(&rig, &["replay", "--unrouted"]).exits(0).stdout, "2 replayed, 0 left\n");
    for media_id in ["a-typo", "too-much"] {
        rig.vouch(&rig.bus.ledger().wait(media_id, SOON));
    }
    let none = run(&rig, &["replay", "--unrouted", "--list"]).exits(0).stdout;
    assert!(none.starts_with("nothing to list: of 0 messages in ") && none.contains(".unrouted"), "{none}");
    worker.stops();
}

#[test]
fn requests_that_no_lane_is_bound_for_can_be_thrown_away() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    set_policy(rabbit, &rig);
    let (properties, body) = (BasicProperties::default(), b"no event".to_vec());
    rig.bus.publish(&Letter { routing_key: "media.received.x.y".to_owned(), properties, body });
    assert_eq!(run(&rig, &["replay", "--unrouted", "--discard"]).exits(0).stdout, "1 discarded, 0 left\n");
}

#[test]
fn an_outcome_that_nobody_wants_does_not_go_to_the_alternate_exchange() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::deaf(rabbit);
    rig.set("BROKER_RETRY_DELAYS_S", "1");
    rig.declare();
    set_policy(rabbit, &rig);
    let worker = rig.worker();
    rig.ask("unwanted", &fixture("contact.vcf"));
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    let dead = rig.bus.take_all("dead").remove(0);
    assert_eq!(dead.header("x-mediamill-code").as_deref(), Some("broker.unroutable"));
    assert_eq!(rig.bus.depth("unrouted").ready, 0);
    worker.stops();
}

#[test]
fn doctor_says_whether_the_policy_is_set_and_leaves_nothing_behind() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    let queues = || -> BTreeSet<String> {
        let exchange = format!("{}.", rig.config().broker.exchange);
        let all = rabbit.ctl(&["list_queues", "name", "messages"]);
        all.lines().filter(|line| line.starts_with(&exchange)).map(str::to_owned).collect()
    };
    let before = queues();
    let doctor = || -> Value {
        let lines = run(&rig, &["doctor", "--format", "json"]).exits(0).json_lines();
        lines.into_iter().find(|line| line["what"] == "unrouted").expect("a line")
    };
    let missing = doctor();
    assert_eq!(missing["state"], "lacking", "{missing}");
    let told = run(&rig, &["topology"]).exits(0).stdout;
    let command = told.lines().find_map(|line| Some(&line[line.find("rabbitmqctl")?..])).expect("a command");
    assert!(missing["advice"].as_str().is_some_and(|advice| advice.ends_with(command)), "{missing}");
    set_policy(rabbit, &rig);
    let set = doctor();
    assert_eq!(set["state"], "ok", "{set}");
    assert_eq!(queues(), before);
}

#[test]
fn doctor_says_where_a_queue_takes_every_key() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    set_policy(rabbit, &rig);
    rig.bus.bind_queue("everything", "#");
    let lines = run(&rig, &["doctor", "--format", "json"]).exits(0).json_lines();
    let line = lines.iter().find(|line| line["what"] == "unrouted").expect("a line");
    assert_eq!(line["state"], "lacking", "{line}");
    assert!(line["found"].as_str().is_some_and(|found| found.contains("every key")), "{line}");
}
