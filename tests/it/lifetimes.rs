//! Files that a provider keeps for a time only: a worker tries again for as long, and what is about to end goes first.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::bus::Letter;
use crate::support::http::{Asked, Http, Step, answer, ok};
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, event_from, fixture, letter};
use crate::support::scrape::Scrape;

/// A rig with an account of the WhatsApp Cloud API, which keeps files for so long.
fn rig(rabbit: &crate::support::rabbit::Rabbit, api: &Http, lifetime_s: u64) -> Rig {
    let mut rig = Rig::new(rabbit);
    for (key, value) in [
        ("PROVIDER", "whatsapp-cloud"),
        ("TENANT", "acme"),
        ("TOKEN", "t"),
        ("API_BASE", &api.url("")),
        ("MEDIA_ID_LIFETIME_S", &lifetime_s.to_string()),
    ] {
        rig.set(&format!("CHANNELS__SUPPORT__{key}"), value);
    }
    rig.set("HTTP_LISTEN", "127.0.0.1:0");
    rig
}

/// A request for a file of the account that was sent so long ago.
fn sent(media_id: &str, ago: Duration) -> Value {
    let mut event = event_from(media_id, json!({ "kind": "channel", "account": "support", "media": "7" }));
    event["data"]["message"] = json!({ "sent_at": (jiff::Timestamp::now() - ago).to_string() });
    event
}

#[test]
fn a_provider_that_does_not_answer_is_asked_beyond_the_ladder_and_for_the_last_time_before_the_end() {
    let Some(rabbit) = calm() else { return };
    let api = Http::start(|_| answer("503 Service Unavailable", &["content-length: 0"], ""));
    let rig = rig(rabbit, &api, 45);
    let worker = rig.worker();
    let began = std::time::Instant::now();
    rig.bus.publish(&letter(&sent("patient", Duration::ZERO)));
    wait_until("tries beyond the ladder", || api.asked().len() > 5);
    let outcome = rig.bus.ledger().wait("patient", SOON);
    assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "source.unavailable"), "{:#}", outcome.event);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(45), "{took:?}");
    let scrape = Scrape::of(&worker);
    assert!(scrape.value("mediamill_put_off_total", &[("lane", "bulk"), ("why", "source")]) > 2.0);
    assert_eq!(scrape.value("mediamill_channel_lifetime_seconds", &[("account", "support")]), 45.0);
    assert_eq!(scrape.value("mediamill_channel_oldest_seconds", &[("account", "support")]), 0.0, "it has an outcome");
    worker.stops();
}

#[test]
fn a_job_that_waits_for_its_account_goes_on_in_the_urgent_lane_and_ends_with_the_files_life() {
    let Some(rabbit) = calm() else { return };
    let refused = r#"{"error":{"message":"expired","code":190}}"#;
    let api =
        Http::start(move |_| answer("401 Unauthorized", &[&format!("content-length: {}", refused.len())], refused));
    let rig = rig(rabbit, &api, 60);
    let worker = rig.worker();
    rig.bus.publish(&letter(&sent("last", Duration::from_secs(50))));
    wait_until("the oldest file", || {
        Scrape::of(&worker).get("mediamill_channel_oldest_seconds", &[("account", "support")]) >= Some(50.0)
    });
    wait_until("the urgent lane", || {
        Scrape::of(&worker).get("mediamill_put_off_total", &[("lane", "urgent"), ("why", "account")]) > Some(0.0)
    });
    let outcome = rig.bus.ledger().wait("last", SOON);
    assert_eq!((outcome.word.as_str(), outcome.code()), ("failed", "source.paused"), "{:#}", outcome.event);
    assert!(api.asked().len() < 3, "a refused account is asked once a minute, not {} times", api.asked().len());
    worker.stops();
}

/// The provider's API with a document behind every id; what it says of the id 8 it says for each permit once.
fn documents(open: &Arc<Semaphore>) -> Http {
    let document = std::fs::read(fixture("contact.vcf")).expect("a fixture");
    let open = Arc::clone(open);
    Http::start(move |asked: &Asked| -> Vec<Step> {
        if asked.path.starts_with("/file") {
            return ok(&document);
        }
        let host = asked.headers.iter().find_map(|line| line.strip_prefix("host: ")).expect("a host");
        let mut steps = ok(json!({ "url": format!("http://{host}/file"), "mime_type": "text/vcard" }).to_string());
        if asked.path.ends_with("/8") {
            steps.insert(0, Step::Wait(Arc::clone(&open)));
        }
        steps
    })
}

/// A film is at work in the only slot for what is no sound. Old files that stood behind it in the queue go on in another slot.
#[test]
fn files_in_the_last_fifth_of_their_life_that_nobody_has_touched_do_not_wait_behind_others() {
    const MINUTE: Duration = Duration::from_secs(60);
    let Some(rabbit) = calm() else { return };
    let open = Arc::new(Semaphore::new(0));
    let api = documents(&open);
    let mut rig = rig(rabbit, &api, 3600);
    rig.set("WORKER_SLOTS", 2);
    rig.set("WORKER_AUDIO_SLOTS", 1);
    let bulk = |event: &Value| Letter { routing_key: "media.received".to_owned(), ..letter(event) };
    let gated = |media_id: &str, age: Duration| {
        let mut event = sent(media_id, age);
        event["data"]["origin"]["media"] = "8".into();
        bulk(&event)
    };
    let mut film = event("film", &fixture("phone-portrait.mp4"));
    film["data"]["tenant"] = "films".into();
    // As after a time without a worker. The last but one is too late already, and the last one is young.
    let mut waiting = vec![bulk(&sent("old-0", MINUTE * 50)), bulk(&film)];
    waiting.extend((1..12).map(|n| gated(&format!("old-{n}"), MINUTE * 50)));
    waiting.extend([bulk(&sent("over", MINUTE * 61)), bulk(&sent("young", MINUTE))]);
    rig.bus.publish_all(&waiting);
    let worker = rig.worker();
    rig.vouch(&rig.bus.ledger().wait("old-0", SOON));
    let child = worker.job_child();
    signal(child, Signal::STOP);
    open.add_permits(waiting.len());
    for n in 1..12 {
        rig.vouch(&rig.bus.ledger().wait(&format!("old-{n}"), SOON));
    }
    for media_id in ["film", "over", "young"] {
        assert!(rig.bus.ledger().of(media_id).is_empty(), "{media_id} has no slot");
    }
    let moved = Scrape::of(&worker).value("mediamill_put_off_total", &[("lane", "bulk"), ("why", "age")]);
    assert_eq!(moved, 11.0, "all old ones behind the first");
    signal(child, Signal::CONT);
    for media_id in ["film", "over", "young"] {
        rig.vouch(&rig.bus.ledger().wait(media_id, SOON));
    }
    worker.stops();
}
