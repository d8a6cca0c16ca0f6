//! Who is served next: no message waits with a busy worker while another is idle, and no tenant with many messages keeps
//! those of others waiting.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::bus::Letter;
use crate::support::http::{Http, Step, answer};
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, event_from, fixture, letter};
use crate::support::say::say;

/// What others may wait for besides the job that has the slot.
const ALLOWANCE: Duration = Duration::from_millis(500);

fn of(tenant: &str, mut event: Value) -> Value {
    event["data"]["tenant"] = tenant.into();
    event
}

fn note(tenant: &str, media_id: &str) -> Letter {
    letter(&of(tenant, event(media_id, &fixture("voice-note.ogg"))))
}

/// The longest time that a job of these had a slot.
fn longest(rig: &Rig, media_ids: &str) -> Duration {
    let all = rig.bus.ledger().all();
    let of_these = all.iter().filter(|(media_id, _)| media_id.starts_with(media_ids));
    let total = |outcome: &Value| outcome["timings_ms"]["total"].as_u64().expect("a time");
    Duration::from_millis(of_these.map(|(_, outcomes)| total(outcomes[0].data())).max().expect("a job"))
}

#[test]
fn voice_notes_do_not_wait_with_a_worker_that_is_busy() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SLOTS", 1);
    let workers = [rig.worker(), rig.worker()];
    rig.ask("film", &fixture("phone-portrait.mp4"));
    wait_until("a film at work", || workers.iter().any(|worker| !worker.job_children().is_empty()));
    let child = workers.iter().flat_map(|worker| worker.job_children()).next().expect("a child");
    signal(child, Signal::STOP);
    let notes: Vec<_> = (0..6).map(|n| format!("note-{n}")).collect();
    rig.bus.publish_all(&notes.iter().map(|id| note("acme", id)).collect::<Vec<_>>());
    for id in &notes {
        rig.vouch(&rig.bus.ledger().wait(id, SOON));
    }
    assert!(rig.bus.ledger().of("film").is_empty(), "its worker was busy all the time");
    signal(child, Signal::CONT);
    rig.vouch(&rig.bus.ledger().wait("film", SOON));
    workers.into_iter().for_each(|worker| drop(worker.stops()));
}

/// How long a note of another tenant waited, from the confirm that the broker has it to its outcome, besides its own work.
fn waits(rig: &Rig, media_id: &str) -> Duration {
    rig.bus.publish(&note("beta", media_id));
    let asked_at = Instant::now();
    let outcome = rig.bus.ledger().wait(media_id, SOON);
    assert_eq!(
        (outcome.word.as_str(), &outcome.data()["tenant"]),
        ("normalized", &json!("beta")),
        "{:#}",
        outcome.event
    );
    let own = Duration::from_millis(outcome.data()["timings_ms"]["total"].as_u64().expect("a time"));
    outcome.at.saturating_duration_since(asked_at).saturating_sub(own)
}

/// Many notes of one tenant, then single ones of another, each sent when the one before is done: `JOBS` and 50 where that
/// is set, else 300 and 10. On one slot as many as outlast the single ones.
fn many_of_one_then_single_ones(slots: usize) {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SLOTS", slots);
    let worker = rig.worker();
    let many = std::env::var("JOBS").ok().map(|jobs| jobs.parse::<usize>().expect("JOBS is a number"));
    let singles = if many.is_some() { 50 } else { 10 };
    let many = many.unwrap_or(if slots == 1 { 60 } else { 300 });
    // What a note waits for on this machine when nothing else is asked for: connections, confirms, a child that starts.
    let idle = (0..5).map(|n| waits(&rig, &format!("idle-{n}"))).max().expect("five");
    let flood: Vec<_> = (0..many).map(|n| note("flood", &format!("flood-{n}"))).collect();
    rig.bus.publish_all(&flood);
    let waited: Vec<_> = (0..singles).map(|n| waits(&rig, &format!("single-{n}"))).collect();
    let left = many - rig.bus.ledger().all().keys().filter(|media_id| media_id.starts_with("flood")).count();
    assert!(left > 0, "the many were done before the single ones");
    rig.bus
        .ledger()
        .wait_for_files(many + singles + 5, SOON + Duration::from_secs(2) * u32::try_from(many).expect("few"));
    let mut waited = waited;
    waited.sort();
    let (longest, median, worst) = (longest(&rig, "flood"), waited[singles / 2], waited[singles - 1]);
    say(format_args!(
        "{slots} slots, {many} notes of one tenant: {singles} single ones of another waited {median:.2?} (median), \
         {worst:.2?} (worst) besides their own work, {idle:.2?} at most on the idle worker; the longest of the many took {longest:.2?}; \
         {left} were left then"
    ));
    assert!(worst <= longest + ALLOWANCE + idle * 2, "{worst:?}");
    for (media_id, outcomes) in rig.bus.ledger().all() {
        assert_eq!((outcomes.len(), outcomes[0].word.as_str()), (1, "normalized"), "{media_id}");
    }
    for queue in ["audio", "audio.later", "retry.audio.1s", "dead"] {
        wait_until("an empty queue", || rig.bus.depth(queue).ready == 0);
    }
    worker.stops();
}

#[test]
fn a_tenant_with_many_messages_delays_others_by_one_job() {
    many_of_one_then_single_ones(2);
}

#[test]
fn a_tenant_with_many_messages_delays_others_by_one_job_where_there_is_one_slot() {
    many_of_one_then_single_ones(1);
}

#[test]
fn a_picture_does_not_wait_behind_many_voice_notes() {
    const NOTES: usize = 60;
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    rig.bus.publish_all(&(0..NOTES).map(|n| note("acme", &format!("note-{n}"))).collect::<Vec<_>>());
    let picture = rig.outcome("picture", &fixture("photo-exif.jpg"));
    let all = rig.bus.ledger().all();
    let before = all.values().flatten().filter(|outcome| outcome.at < picture.at).count();
    assert!(before < NOTES * 2 / 3, "{before} of {NOTES} notes came before it");
    rig.vouch(&picture);
    rig.bus.ledger().wait_for_files(NOTES + 1, SOON * 2);
    worker.stops();
}

#[test]
fn two_tenants_with_many_messages_take_turns() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let worker = rig.worker();
    let of_tenant = |tenant: &'static str| (0..150).map(move |n| note(tenant, &format!("{tenant}-{n}")));
    rig.bus.publish_all(&of_tenant("first").collect::<Vec<_>>());
    rig.bus.publish_all(&of_tenant("second").collect::<Vec<_>>());
    rig.bus.ledger().wait_for_files(150, SOON * 4);
    let done = rig.bus.ledger().all().keys().filter(|media_id| media_id.starts_with("second")).count();
    // One behind the other would be a few: those that were begun before anything was put off.
    assert!((25..=125).contains(&done), "{done} of the second tenant's among the first 150");
    rig.bus.ledger().wait_for_files(300, SOON * 4);
    worker.stops();
}

#[test]
fn repeats_of_a_running_film_take_no_slot() {
    /// More than one tenant may have waiting: the others are not taken.
    const REPEATS: usize = 9;
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("WORKER_SLOTS", 3);
    let worker = rig.worker();
    rig.ask("film", &fixture("phone-portrait.mp4"));
    let child = worker.job_child();
    signal(child, Signal::STOP);
    let repeats: Vec<_> = (0..REPEATS).map(|_| letter(&event("film", &fixture("phone-portrait.mp4")))).collect();
    rig.bus.publish_all(&repeats);
    rig.bus.publish(&letter(&of("other", event("document", &fixture("contact.vcf")))));
    rig.vouch(&rig.bus.ledger().wait("document", SOON));
    assert!(rig.bus.ledger().of("film").is_empty());
    assert_eq!(worker.job_children(), [child]);
    signal(child, Signal::CONT);
    let outcomes = rig.bus.ledger().wait_for("film", REPEATS + 1, SOON);
    assert!(outcomes.iter().all(|outcome| outcome.word == "normalized"));
    worker.stops();
}

#[test]
fn origins_that_keep_one_waiting_hold_no_slot() {
    let Some(rabbit) = calm() else { return };
    let server = Http::start(|_| {
        let mut steps = answer("200 OK", &["content-length: 9"], "OggS");
        steps.push(Step::Stall);
        steps
    });
    let mut rig = Rig::new(rabbit);
    rig.set("SOURCE_HTTP_ALLOW_PLAIN", true);
    rig.set("SOURCE_HTTP_ALLOW_HOSTS", json!([server.authority()]));
    rig.set("SOURCE_READ_TIMEOUT_S", 120);
    rig.set("WORKER_GRACE_S", 0);
    let worker = rig.worker();
    let slow = |n: usize| {
        let url = server.url(&format!("/{n}.ogg"));
        of("slow", event_from(&format!("slow-{n}"), json!({ "kind": "http", "url": url })))
    };
    let letters: Vec<_> = (0..20).map(|n| letter(&slow(n))).collect();
    rig.bus.publish_all(&letters);
    // As many as one tenant may have waiting.
    wait_until("fetches that hang", || server.asked().len() >= 4);
    for (n, file) in ["contact.vcf", "note.txt", "voice-note.ogg"].iter().enumerate() {
        let media_id = format!("quick-{n}");
        rig.bus.publish(&letter(&of("other", event(&media_id, Path::new(&fixture(file))))));
        rig.vouch(&rig.bus.ledger().wait(&media_id, SOON));
    }
    assert!(server.asked().len() < 20, "the others wait in a queue");
    assert!(rig.bus.ledger().all().keys().all(|media_id| media_id.starts_with("quick")));
    worker.stops();
}
