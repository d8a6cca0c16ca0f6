//! Once erased, always erased: whatever brings a message again.
//!
//! `MEDIAMILL_RESURRECTIONS=2000` (`make resurrections`) does it with so many media.

use serde_json::{Value, json};

use super::world::{ask, erase, known, message, objects, sent, state};
use crate::support::cmd::Run;
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, fixture, letter};
use crate::support::say::say;

const PHONE: &str = "+5511999990000";
/// Media of the person who asks to be erased, where nothing else is said.
const MEDIA: usize = 12;
/// Ids that the person has had at the provider.
const USER_IDS: usize = 10;
/// Media that are on their way at the same time.
const AT_ONCE: usize = 100;

/// Redelivery, a dead letter to be replayed, a second webhook, another event, renormalize, another profile.
fn bring_back(rig: &Rig, events: &[(usize, &Value)]) {
    let mut asked = Vec::new();
    for (n, first) in events {
        let first = *first;
        let mut second = first.clone();
        second["id"] = json!(format!("again-{n}"));
        let mut forced = first.clone();
        (forced["id"], forced["data"]["renormalize"]) = (json!(format!("forced-{n}")), json!(true));
        let mut profile = first.clone();
        (profile["id"], profile["data"]["profile"]) = (json!(format!("profile-{n}")), json!("archive"));
        asked.extend([first, &second, &forced, &profile].map(letter));
    }
    rig.bus.publish_all(&asked);
    rig.bus.put_all("dead", &events.iter().map(|(_, first)| letter(first)).collect::<Vec<_>>());
}

#[test]
fn nothing_that_was_erased_comes_back_and_what_is_sent_later_does() {
    let Some(rabbit) = calm() else { return };
    let count = std::env::var("MEDIAMILL_RESURRECTIONS").ok().map_or(MEDIA, |text| text.parse().expect("a number"));
    let mut rig = Rig::new(rabbit);
    known(&mut rig);
    rig.bus.bind_queue("told", "media.erased");
    let worker = rig.worker();
    let store = rig.dir.path().join("store");
    let by_person = |n: usize| {
        let mut message = message(PHONE, &format!("c{n}"));
        message["user_id"] = json!(format!("user-c{}", n % USER_IDS));
        sent(&format!("m{n}"), message)
    };
    let events: Vec<Value> = (0..count).map(by_person).collect();
    let other = sent("other", message("+5511999990001", "other"));
    ask(&rig, &other);
    for (n, chunk) in events.chunks(AT_ONCE).enumerate() {
        rig.bus.publish_all(&chunk.iter().map(letter).collect::<Vec<_>>());
        rig.bus.ledger().wait_for_files(n * AT_ONCE + chunk.len() + 1, SOON);
    }
    // What waits for an operator when the erasure comes.
    rig.bus.put("dead", &letter(&events[0]));
    rig.bus.put("dead", &letter(&other));

    let certificate = erase(&rig, &format!("phone={PHONE}\n"));
    assert_eq!((&certificate["media"], &certificate["dead_letters"]), (&json!(count), &json!(1)), "{certificate:#}");
    assert_eq!(rig.bus.depth("dead").ready, 1, "the other person's stays");
    let told = rig.bus.take_all("told");
    assert_eq!(told.len(), count);
    for found in &told {
        let said: Value = serde_json::from_slice(&found.body).expect("JSON");
        assert_eq!((&said["type"], &said["data"]["because"]), (&json!("mediamill.media.erased.v1"), &json!("request")));
        assert_eq!(said["data"]["certificate"], certificate["number"]);
    }

    rig.bus.take_all("dead");
    for chunk in events.iter().enumerate().collect::<Vec<_>>().chunks(AT_ONCE) {
        bring_back(&rig, chunk);
        Run::of(&mut rig.command(&["replay"])).exits(0);
        for (n, _) in chunk {
            let all = rig.bus.ledger().wait_for(&format!("m{n}"), 6, SOON);
            for outcome in &all[1..] {
                let ended = (outcome.word.as_str(), outcome.code());
                assert_eq!(ended, ("rejected", "privacy.erased"), "{:#}", outcome.event);
            }
        }
    }
    ask(&rig, &sent("late", message(PHONE, "late")));
    rig.vouch(&rig.bus.ledger().wait("late", SOON));
    for n in 0..count {
        assert_eq!(objects(&store, &format!("m{n}")), ["manifest.json"], "m{n}");
        assert_eq!(state(&store, &format!("m{n}")), "erased");
    }
    assert_eq!(state(&store, "other"), "normalized");
    say(format_args!("resurrections: {count} media, each brought back in 5 ways: 0 came back"));

    // A media of the person that nobody had seen when the erasure came: by user id alone, and sent before.
    let mut unseen = sent("unseen", json!({ "user_id": "user-c3", "sent_at": "2020-01-01T00:00:00Z" }));
    ask(&rig, &unseen);
    assert_eq!(rig.bus.ledger().wait("unseen", SOON).code(), "privacy.erased", "the user id is the same person's");
    assert_eq!(objects(&store, "unseen"), [""; 0]);
    unseen["data"]["media_id"] = json!("newer");
    unseen["data"]["message"]["sent_at"] = json!(jiff::Timestamp::now().to_string());
    ask(&rig, &unseen);
    rig.vouch(&rig.bus.ledger().wait("newer", SOON));
    worker.stops();
}

#[test]
fn what_a_worker_is_at_when_the_erasure_comes_is_removed_by_it() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    known(&mut rig);
    let worker = rig.worker();
    let mut film = event("film", &fixture("phone-portrait.mp4"));
    film["data"]["message"] = message(PHONE, "film");
    ask(&rig, &film);
    wait_until("a child at work", || !worker.job_children().is_empty());
    worker.pause();
    let certificate = erase(&rig, &format!("phone={PHONE}\n"));
    assert_eq!(certificate["media"], json!(0), "it has no manifest yet: {certificate:#}");
    worker.resume();
    let outcome = rig.bus.ledger().wait("film", SOON);
    assert_eq!(outcome.code(), "privacy.erased", "{:#}", outcome.event);
    let store = rig.dir.path().join("store");
    assert!(["manifest.json"].starts_with(&objects(&store, "film").iter().map(String::as_str).collect::<Vec<_>>()));
    worker.stops();
}
