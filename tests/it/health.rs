//! What a worker says of itself: that it lives, whether it can work, and what it has counted.

use std::collections::BTreeSet;

use mediamill::roles::worker::METRICS;
use rustix::process::Signal;

use crate::support::bus::Letter;
use crate::support::cmd::Run;
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::{Rabbit, calm, fragile};
use crate::support::rig::{Rig, SOON, event, fixture, letter};
use crate::support::scrape::{Scrape, address, get, troubles};

/// Workers listen on any free port.
fn rig(rabbit: &Rabbit) -> Rig {
    let mut rig = Rig::new(rabbit);
    rig.set("HTTP_LISTEN", "127.0.0.1:0");
    rig
}

fn size(name: &str) -> f64 {
    f64::from(u32::try_from(fixture(name).metadata().expect("a fixture").len()).expect("a small one"))
}

#[test]
fn a_worker_says_that_it_is_well_and_counts_what_it_does() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let worker = rig.worker();
    assert_eq!(get(&worker, "/livez"), (true, "the consume loop runs\n".to_owned()));
    assert!(troubles(&worker).is_empty());
    let listen = format!("http.listen={}", address(&worker));
    let health = Run::of(&mut rig.command(&["health", "--set", &listen])).exits(0);
    assert!(health.stdout.contains("\"ready\":true"), "{}", health.stdout);
    Run::of(&mut rig.command(&["health", "--live", "--set", &listen])).exits(0);
    Run::of(&mut rig.command(&["health", "--set", "http.listen=127.0.0.1:1"])).exits(1);
    Run::of(&mut rig.command(&["health", "--set", "http.listen="])).exits(2);

    let files = ["voice-note.ogg", "voice-note.ogg", "contact.vcf", "garbage.bin"];
    let ask = |(n, name): (usize, &&str)| letter(&event(&format!("counted-{n}"), &fixture(name)));
    rig.bus.publish_all(&files.iter().enumerate().map(ask).collect::<Vec<_>>());
    rig.bus.ledger().wait_for_files(files.len(), SOON);
    rig.bus.publish(&Letter { body: b"not JSON".to_vec(), ..letter(&event("unreadable", &fixture("note.txt"))) });
    wait_until("a dead letter", || {
        Scrape::of(&worker).get("mediamill_queue_messages", &[("queue", "dead")]) == Some(1.0)
    });

    let scrape = Scrape::of(&worker);
    let jobs = |labels: &[(&str, &str)]| scrape.value("mediamill_jobs_total", labels);
    let audio = [("lane", "audio"), ("kind", "audio"), ("action", "encoded"), ("outcome", "normalized"), ("code", "")];
    assert_eq!(jobs(&audio), 2.0);
    assert_eq!(jobs(&[("lane", "bulk"), ("kind", "document"), ("action", "kept-original")]), 1.0);
    assert_eq!(jobs(&[("lane", "bulk"), ("outcome", "rejected"), ("code", "media.unsupported")]), 1.0);
    assert_eq!(jobs(&[("lane", "bulk"), ("outcome", "dead"), ("code", "event.malformed")]), 1.0);
    assert_eq!(jobs(&[]), 5.0);
    assert_eq!(scrape.value("mediamill_dead_letters_total", &[("code", "event.malformed"), ("stage", "parse")]), 1.0);
    assert_eq!(scrape.value("mediamill_lag_seconds_count", &[("lane", "audio"), ("outcome", "normalized")]), 2.0);
    assert_eq!(scrape.value("mediamill_wait_seconds_count", &[]), 4.0);
    for (stage, times) in [("fetch", 4.0), ("transcode", 4.0), ("store", 3.0), ("publish", 4.0)] {
        assert_eq!(scrape.value("mediamill_stage_duration_seconds_count", &[("stage", stage)]), times, "{stage}");
    }
    assert_eq!(scrape.value("mediamill_input_bytes_total", &[("kind", "audio")]), 2.0 * size("voice-note.ogg"));
    assert_eq!(scrape.value("mediamill_output_bytes_total", &[("kind", "document")]), size("contact.vcf"));
    assert_eq!(scrape.value("mediamill_children_total", &[]), 4.0);
    assert!(scrape.value("mediamill_child_cpu_seconds_total", &[]) > 0.1);
    assert!(scrape.value("mediamill_child_peak_memory_bytes", &[]) > 1e6);
    assert_eq!(scrape.value("mediamill_slots", &[]), 2.0);
    assert_eq!(scrape.value("mediamill_queue_messages", &[("queue", "audio")]), 0.0);
    assert_eq!(scrape.value("mediamill_ready", &[]), 5.0);
    assert_eq!(scrape.value("mediamill_broker_reconnects_total", &[]), 0.0);
    let full = [("mode", "required"), ("landlock", "full"), ("seccomp", "true")];
    assert_eq!(scrape.value("mediamill_sandbox_info", &full), 1.0);
    described(&scrape);
    wait_until("no slot busy", || Scrape::of(&worker).value("mediamill_slots_busy", &[]) == 0.0);
    worker.stops();
}

/// Series that there are none of while all goes well, or in a worker, which shows no certificate.
const RARE: [&str; 5] = [
    "mediamill_retries_total",
    "mediamill_put_off_total",
    "mediamill_channel_oldest_seconds",
    "mediamill_channel_lifetime_seconds",
    "mediamill_tls_certificate_not_after_timestamp_seconds",
];

/// Every metric is as the table says, and nothing in it could grow without bound.
fn described(scrape: &Scrape) {
    let mut seen = BTreeSet::new();
    for sample in &scrape.samples {
        let parts = ["", "_bucket", "_sum", "_count"];
        let is = |name: &str| parts.iter().any(|part| sample.name == format!("{name}{part}"));
        let metric = METRICS.iter().find(|metric| is(metric.name)).unwrap_or_else(|| panic!("{sample:?}"));
        let labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{}", metric.name);
        assert!(sample.labels.values().all(|value| !value.contains("counted") && !value.contains("acme")));
        seen.insert(metric.name);
    }
    for metric in METRICS.iter().filter(|metric| !RARE.contains(&metric.name)) {
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let line = format!("# TYPE {name} {}\n", metric.kind);
        assert!(scrape.text.contains(&line) && seen.contains(metric.name), "no {line}");
    }
}

#[test]
fn a_slot_is_busy_while_its_job_runs_and_who_drains_is_not_ready() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let mut worker = rig.worker();
    rig.ask("slow", &fixture("phone-portrait.mp4"));
    let child = worker.job_child();
    signal(child, Signal::STOP);
    let scrape = Scrape::of(&worker);
    assert_eq!(scrape.value("mediamill_slots_busy", &[("lane", "bulk")]), 1.0);
    assert_eq!(scrape.value("mediamill_slots_busy", &[("lane", "audio")]), 0.0);
    worker.terminate();
    wait_until("not ready", || !troubles(&worker).is_empty());
    assert_eq!(troubles(&worker)["lanes"], "the worker is stopping");
    assert!(get(&worker, "/livez").0);
    signal(child, Signal::CONT);
    assert_eq!(worker.ends(SOON).code(), Some(0), "{}", worker.log());
    rig.vouch(&rig.bus.ledger().wait("slow", SOON));
}

#[test]
fn a_store_that_goes_away_is_named_and_retries_are_counted() {
    let Some(rabbit) = calm() else { return };
    let rig = rig(rabbit);
    let worker = rig.worker();
    assert!(troubles(&worker).is_empty());
    let (store, elsewhere) = (rig.dir.path().join("store"), rig.dir.path().join("elsewhere"));
    std::fs::rename(&store, &elsewhere).expect("renamed");
    wait_until("not ready", || !troubles(&worker).is_empty());
    assert_eq!(troubles(&worker).keys().collect::<Vec<_>>(), ["store"]);
    assert_eq!(Scrape::of(&worker).value("mediamill_ready", &[("part", "store")]), 0.0);
    assert!(get(&worker, "/livez").0);
    std::fs::rename(&elsewhere, &store).expect("renamed");
    wait_until("ready", || troubles(&worker).is_empty());
    // Where the tenant's folder should be is a file.
    std::fs::write(store.join("acme"), "").expect("a file");
    rig.ask("retried", &fixture("note.txt"));
    let code = [("lane", "bulk"), ("code", "store.unavailable")];
    wait_until("a retry", || Scrape::of(&worker).get("mediamill_retries_total", &code) == Some(1.0));
    worker.stops();
}

#[test]
fn scratch_space_below_its_floor_is_named() {
    let Some(rabbit) = calm() else { return };
    let mut rig = rig(rabbit);
    rig.set("WORKER_SCRATCH_MIN_FREE_BYTES", i64::MAX);
    let worker = rig.spawn();
    wait_until("a word", || worker.logged("taking no messages until this has passed") > 0);
    assert!(troubles(&worker).contains_key("scratch"));
    assert!(Scrape::of(&worker).value("mediamill_scratch_free_bytes", &[]) > 0.0);
    worker.stops();
}

#[test]
fn a_broker_that_goes_away_is_named() {
    let Some(rabbit) = fragile() else { return };
    let rig = rig(&rabbit);
    let mut worker = rig.worker();
    assert!(troubles(&worker).is_empty());
    rabbit.freeze();
    wait_until("not ready", || !troubles(&worker).is_empty());
    assert_eq!(troubles(&worker)["broker"], "it does not answer in time");
    assert!(get(&worker, "/livez").0);
    let scrape = Scrape::of(&worker);
    assert_eq!(scrape.get("mediamill_queue_messages", &[]), None, "what is not known is not said");
    rabbit.thaw();
    wait_until("ready", || troubles(&worker).is_empty());
    rabbit.close_connections();
    worker.consumes(2);
    wait_until("ready", || troubles(&worker).is_empty());
    assert_eq!(Scrape::of(&worker).value("mediamill_broker_reconnects_total", &[]), 1.0);
    worker.stops();
}
