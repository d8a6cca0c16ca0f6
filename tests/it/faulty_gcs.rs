//! Real workers on Google Cloud Storage that fails, as `faulty_store` has them on S3: no job is lost, none is done twice, and
//! nothing stays in the bucket that no manifest names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mediamill::store::{Store, keys::Folder};

use crate::support::bus::block_on;
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::gcs::Gcs;
use crate::support::processes::wait_until;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, fixture};

const JOBS: usize = 12;

fn rig(gcs: &Gcs, endpoint: &str) -> Option<Rig> {
    let mut rig = Rig::new(calm()?);
    for (name, value) in gcs.env_at(endpoint) {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    rig.set("STORE_ATTEMPT_TIMEOUT_S", 2);
    rig.set("STORE_MAX_ATTEMPTS", 2);
    // Rungs enough for every fault to be over before the last one.
    rig.set("BROKER_RETRY_DELAYS_S", "1,1,2,2,4,4");
    rig.declare();
    Some(rig)
}

/// A voice note, a picture, a document, or a document that goes by a resumable upload.
fn ask(rig: &Rig, media_id: &str, n: usize) {
    if n % 6 == 5 {
        let mut bytes = std::fs::read(fixture("invoice.pdf")).expect("a fixture");
        bytes.resize(6 << 20, b' ');
        rig.ask(media_id, &rig.file("large.pdf", &bytes));
    } else {
        rig.ask(media_id, &fixture(["voice-note.ogg", "photo-exif.jpg", "contact.vcf"][n % 3]));
    }
}

/// Every object in the bucket is a manifest, or named by an outcome.
fn nothing_is_left_behind(rig: &Rig) {
    let store = block_on(Store::connect(&rig.config().store)).expect("a store");
    let mut named = BTreeSet::new();
    for (media_id, outcomes) in rig.bus.ledger().all() {
        let folder: Folder = store.folder("acme", &media_id);
        named.insert(folder.manifest());
        let assets = outcomes[0].data()["assets"].as_array().expect("assets");
        named.extend(assets.iter().map(|asset| asset["key"].as_str().expect("a key").to_owned()));
    }
    let stored = block_on(store.list("assets/acme/", None, 1000)).expect("a list").objects;
    let left: Vec<_> = stored.iter().filter(|object| !named.contains(&object.key)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert_eq!(stored.len(), named.len());
}

/// Every third request meets the fault, for as long as there are jobs.
fn survives(gcs: Option<Gcs>, name: &str, acts: &'static [Act]) {
    let Some(gcs) = gcs else { return };
    let healthy = Arc::new(AtomicBool::new(false));
    let (calm, count) = (Arc::clone(&healthy), AtomicUsize::new(0));
    let met = Arc::new(AtomicUsize::new(0));
    let seen_faults = Arc::clone(&met);
    let gate = Gate::start(&gcs.endpoint(), move |_| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        if calm.load(Ordering::SeqCst) || nth % 3 != 2 {
            return Act::Pass;
        }
        seen_faults.fetch_add(1, Ordering::SeqCst);
        acts[nth / 3 % acts.len()]
    });
    let Some(mut rig) = rig(&gcs, &gate.url()) else { return };
    let workers = [rig.worker(), rig.worker()];
    rig.set("STORE_ENDPOINT", gcs.endpoint());
    for n in 0..JOBS {
        ask(&rig, &format!("{name}-{n}"), n);
    }
    rig.ends_healthy(JOBS, &healthy, workers);
    nothing_is_left_behind(&rig);
    let faults = met.load(Ordering::SeqCst);
    assert!(faults >= JOBS / 2, "{faults} faults are too few to say anything");
    eprintln!("{name}: {JOBS} jobs, {faults} faults, 0 lost, 0 left behind");
}

#[test]
fn servers_that_are_busy_or_broken_lose_nothing() {
    let acts = &[Act::Answer(500, INTERNAL_ERROR), Act::Answer(503, SLOW_DOWN)];
    survives(block_on(Gcs::fake_gcs_server()), "busy", acts);
}

#[test]
fn connections_that_break_lose_nothing() {
    survives(block_on(Gcs::fake_gcs_server()), "broken", &[Act::Close, Act::CutAnswer(10)]);
}

#[test]
fn answers_that_never_come_lose_nothing() {
    survives(block_on(Gcs::fake_gcs_server()), "silent", &[Act::Never, Act::LoseAnswer]);
}

/// The other emulator takes wrong checksums.
#[test]
fn bytes_that_change_on_their_way_lose_nothing() {
    survives(block_on(Gcs::gcp_storage_emulator()), "corrupt", &[Act::CorruptRequest, Act::CorruptAnswer]);
}

/// A store that takes nothing at all is no message's fault: it waits, and its attempts do not count.
fn waits_for_the_operator(answer: Act) {
    let Some(gcs) = block_on(Gcs::fake_gcs_server()) else { return };
    let mended = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let (well, count) = (Arc::clone(&mended), Arc::clone(&refused));
    let gate = Gate::start(&gcs.endpoint(), move |seen: Seen<'_>| {
        if seen.method != "POST" || well.load(Ordering::SeqCst) {
            return Act::Pass;
        }
        count.fetch_add(1, Ordering::SeqCst);
        answer
    });
    let Some(mut rig) = rig(&gcs, &gate.url()) else { return };
    let worker = rig.worker();
    rig.set("STORE_ENDPOINT", gcs.endpoint());
    rig.ask("note", &fixture("voice-note.ogg"));
    wait_until("refusals", || refused.load(Ordering::SeqCst) >= 4);
    assert!(rig.bus.ledger().of("note").is_empty(), "no outcome yet");
    mended.store(true, Ordering::SeqCst);
    rig.vouch(&rig.bus.ledger().wait("note", SOON));
    worker.stops();
    assert_eq!(rig.bus.ledger().of("note").len(), 1);
    nothing_is_left_behind(&rig);
    assert_eq!(rig.bus.depth("dead").ready, 0, "dead letters");
}

#[test]
fn a_store_that_refuses_access_is_waited_for() {
    waits_for_the_operator(Act::Answer(403, ACCESS_DENIED));
}

#[test]
fn a_bucket_that_is_missing_is_waited_for() {
    let answer =
        r#"{"error":{"code":404,"message":"The specified bucket does not exist.","errors":[{"reason":"notFound"}]}}"#;
    waits_for_the_operator(Act::Answer(404, answer));
}
