//! Real workers on S3 that fails: no job is lost, none is done twice, and no upload stays unfinished.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mediamill::store::{PutOptions, Store};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::bus::block_on;
use crate::support::cmd::repo_file;
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event_from, fixture, letter};
use crate::support::s3::{Access, S3};

const JOBS: usize = 12;

/// A rig whose assets go to S3.
fn rig(access: &Access) -> Option<Rig> {
    let mut rig = Rig::new(calm()?);
    for (name, value) in access.env() {
        rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
    }
    rig.set("STORE_ATTEMPT_TIMEOUT_S", 2);
    rig.set("STORE_MAX_ATTEMPTS", 2);
    rig.set("SOURCE_READ_TIMEOUT_S", 2);
    // Rungs enough for every fault to be over before the last one.
    rig.set("BROKER_RETRY_DELAYS_S", "1,1,2,2,4,4");
    rig.declare();
    Some(rig)
}

/// Puts a file where a channel would put it, and asks for it to be processed, with its SHA-256: for objects that were
/// put in parts S3 has no other that the reader could check.
fn ask(rig: &Rig, s3: &S3, media_id: &str, path: &Path) {
    let store = block_on(Store::connect(&s3.store_config())).expect("a store");
    let key = format!("inbox/{media_id}/{}", path.file_name().expect("a name").to_str().expect("UTF-8"));
    let stored = block_on(store.put_file(&key, path, PutOptions::default())).expect("stored");
    let mut event = event_from(media_id, json!({ "kind": "s3", "bucket": s3.bucket(), "key": key }));
    event["data"]["declared"] = json!({ "sha256": stored.sha256 });
    rig.bus.publish(&letter(&event));
}

/// A document that is large enough to go in parts. Documents keep their original.
fn large_document(rig: &Rig) -> std::path::PathBuf {
    let mut bytes = std::fs::read(fixture("invoice.pdf")).expect("a fixture");
    bytes.resize(6 << 20, b' ');
    rig.file("large.pdf", &bytes)
}

/// From now on the rig itself talks to the server; workers that run already do not.
fn look_past_the_gate(rig: &mut Rig, s3: &S3) {
    rig.set("STORE_ENDPOINT", s3.endpoint());
}

#[test]
fn from_s3_to_s3() {
    let s3 = S3::start();
    let Some(rig) = rig(s3.access()) else { return };
    let worker = rig.worker();
    ask(&rig, &s3, "note", &fixture("voice-note.ogg"));
    ask(&rig, &s3, "large", &large_document(&rig));
    let note = rig.bus.ledger().wait("note", SOON);
    rig.vouch(&note);
    let key = note.asset("playback")["key"].as_str().expect("a key").to_owned();
    let sha256 = note.asset("playback")["sha256"].as_str().expect("a hash");
    assert_eq!(key, format!("assets/acme/note/{}/audio.mp3", &sha256[..32]));
    assert!(s3.file("assets/acme/note/manifest.json").exists());
    let large = rig.bus.ledger().wait("large", SOON);
    rig.vouch(&large);
    assert_eq!(large.asset("original")["size_bytes"], 6 << 20);
    let log = worker.stops();
    assert!(!log.contains("not a secret"), "{log}");
    assert_eq!(block_on(s3.pending_uploads()), 0);
}

/// Requests of a voice note to the store, by method, with this added to the profile's text.
fn requests_of_a_note(more: &str) -> Option<BTreeMap<String, usize>> {
    let s3 = S3::start();
    let gate = Gate::start(&s3.endpoint(), |_| Act::Pass);
    let mut rig = rig(&s3.access().via(&gate.url()))?;
    let profiles = rig.dir.path().join("profiles");
    std::fs::create_dir(&profiles).expect("a directory");
    let built_in = std::fs::read_to_string(repo_file("src/config/profiles/crm.toml")).expect("a profile");
    std::fs::write(profiles.join("crm.toml"), built_in + more).expect("a profile");
    rig.set("WORKER_PROFILES_DIR", profiles.display());
    let worker = rig.worker();
    rig.ask("note", &fixture("voice-note.ogg"));
    let note = rig.bus.ledger().wait("note", SOON);
    worker.stops();
    let log = gate.log();
    rig.vouch(&note);
    let of_note = log.iter().filter(|line| line.contains("acme/note/"));
    let mut counts = BTreeMap::new();
    for line in of_note {
        *counts.entry(line.split(' ').next().expect("a method").to_owned()).or_default() += 1;
    }
    Some(counts)
}

#[test]
fn a_voice_note_is_three_uploads_and_five_where_peaks_and_picture_are_objects() {
    let Some(few) = requests_of_a_note("") else { return };
    let Some(many) = requests_of_a_note("\n[waveform]\npeaks = \"object\"\npicture = true\n") else { return };
    eprintln!("requests of a voice note: {few:?}, with peaks and picture as objects: {many:?}");
    assert_eq!((few["PUT"], many["PUT"]), (3, 5));
    let all = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
    assert!(all(&few) + 2 <= all(&many), "{few:?} {many:?}");
}

/// Every third request meets the fault, for as long as there are jobs. Not what begins an upload: this server lists none,
/// so that nobody finds one again whose beginning was done and not heard of (`store::multipart` has one that does).
fn survives(name: &str, acts: &'static [Act]) {
    let s3 = S3::start();
    let healthy = Arc::new(AtomicBool::new(false));
    let (calm, count) = (Arc::clone(&healthy), AtomicUsize::new(0));
    let gate = Gate::start(&s3.endpoint(), move |seen| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        if calm.load(Ordering::SeqCst) || nth % 3 != 2 || seen.is_begin() {
            Act::Pass
        } else {
            acts[nth / 3 % acts.len()]
        }
    });
    let Some(mut rig) = rig(&s3.access().via(&gate.url())) else { return };
    let workers = [rig.worker(), rig.worker()];
    look_past_the_gate(&mut rig, &s3);
    for n in 0..JOBS {
        let large = large_document(&rig);
        let path = if n % 6 == 5 { large } else { fixture(["voice-note.ogg", "photo-exif.jpg", "contact.vcf"][n % 3]) };
        ask(&rig, &s3, &format!("{name}-{n}"), &path);
    }
    rig.ends_healthy(JOBS, &healthy, workers);
    assert_eq!(block_on(s3.pending_uploads()), 0, "unfinished uploads");
}

#[test]
fn servers_that_are_busy_or_broken_lose_nothing() {
    survives("busy", &[Act::Answer(500, INTERNAL_ERROR), Act::Answer(503, SLOW_DOWN)]);
}

#[test]
fn connections_that_break_lose_nothing() {
    survives("broken", &[Act::Close, Act::CutAnswer(10)]);
}

#[test]
fn answers_that_never_come_lose_nothing() {
    survives("silent", &[Act::Never, Act::LoseAnswer]);
}

#[test]
fn bytes_that_change_on_their_way_lose_nothing() {
    survives("corrupt", &[Act::CorruptRequest, Act::CorruptAnswer]);
}

/// What an operator has to mend: the job fails at once, and a replay finds it mended.
fn calls_an_operator(answer: Act, code: &str, hit: fn(Seen<'_>) -> bool) {
    let s3 = S3::start();
    let mended = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&mended);
    let gate = Gate::start(
        &s3.endpoint(),
        move |seen| {
            if hit(seen) && !well.load(Ordering::SeqCst) { answer } else { Act::Pass }
        },
    );
    let Some(mut rig) = rig(&s3.access().via(&gate.url())) else { return };
    let worker = rig.worker();
    look_past_the_gate(&mut rig, &s3);
    ask(&rig, &s3, "note", &fixture("voice-note.ogg"));
    let failed = rig.bus.ledger().wait("note", SOON);
    assert_eq!((failed.word.as_str(), failed.code()), ("failed", code), "{:#}", failed.event);
    assert_eq!(failed.data()["attempts"], 1);
    wait_until("a dead letter", || rig.bus.depth("dead").ready == 1);
    mended.store(true, Ordering::SeqCst);
    crate::support::cmd::Run::of(&mut rig.command(&["replay", "--code", code])).exits(0);
    let outcomes = rig.bus.ledger().wait_for("note", 2, SOON);
    rig.vouch(&outcomes[1]);
    worker.stops();
}

/// One file's objects: where the store takes nothing at all, no message is to blame (`faults::store`).
fn is_of_the_note(seen: Seen<'_>) -> bool {
    seen.method == "PUT" && seen.path.contains("/note/")
}

#[test]
fn a_store_that_refuses_access_calls_an_operator() {
    calls_an_operator(Act::Answer(403, ACCESS_DENIED), "store.forbidden", is_of_the_note);
}

#[test]
fn a_bucket_that_is_missing_calls_an_operator() {
    let answer = Act::Answer(404, "<Error><Code>NoSuchBucket</Code></Error>");
    calls_an_operator(answer, "store.missing", is_of_the_note);
}

#[test]
fn an_origin_that_refuses_access_calls_an_operator() {
    calls_an_operator(Act::Answer(403, ACCESS_DENIED), "source.forbidden", |seen| seen.path.contains("/inbox/"));
}

#[test]
fn an_object_that_is_not_there_is_rejected() {
    let s3 = S3::start();
    let Some(rig) = rig(s3.access()) else { return };
    let worker = rig.worker();
    let ask = |media_id: &str, origin: Value| {
        rig.bus.publish(&letter(&event_from(media_id, origin)));
        let outcome = rig.bus.ledger().wait(media_id, SOON);
        assert_eq!(outcome.word, "rejected", "{:#}", outcome.event);
        outcome.code().to_owned()
    };
    assert_eq!(ask("none", json!({ "kind": "s3", "bucket": "media", "key": "inbox/none" })), "source.not-found");
    assert_eq!(ask("other", json!({ "kind": "s3", "bucket": "other", "key": "inbox/none" })), "source.denied");
    worker.stops();
}

/// Stops a worker by this signal in the middle of an upload whose end hangs, and lets another one finish.
fn ends_in_the_middle(s3: S3, how: Signal) {
    let healthy = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&healthy);
    let gate = Gate::start(&s3.endpoint(), move |seen| {
        if seen.is_complete() && !well.load(Ordering::SeqCst) { Act::Never } else { Act::Pass }
    });
    let Some(mut rig) = rig(&s3.access().via(&gate.url())) else { return };
    rig.set("STORE_ATTEMPT_TIMEOUT_S", 60);
    rig.set("WORKER_GRACE_S", 0);
    let mut worker = rig.worker();
    ask(&rig, &s3, "large", &large_document(&rig));
    wait_until("the end of an upload", || {
        gate.log().iter().any(|line| line.starts_with("POST") && line.contains("uploadId="))
    });
    assert_ne!(block_on(s3.pending_uploads()), 0);
    signal(worker.pid(), how);
    worker.ends(Duration::from_secs(30));
    healthy.store(true, Ordering::SeqCst);
    if how == Signal::TERM {
        assert_eq!(block_on(s3.pending_uploads()), 0, "it had the time to clear up");
    }
    look_past_the_gate(&mut rig, &s3);
    let next = rig.worker();
    let outcome = rig.bus.ledger().wait("large", SOON);
    rig.vouch(&outcome);
    next.stops();
    assert_eq!(rig.bus.ledger().of("large").len(), 1);
    assert_eq!(block_on(s3.pending_uploads()), 0);
}

#[test]
fn a_worker_that_stops_while_an_upload_hangs_aborts_it() {
    ends_in_the_middle(S3::start(), Signal::TERM);
}

#[test]
fn what_a_killed_worker_was_uploading_is_cleared_away_by_the_next_one() {
    let Some(s3) = block_on(S3::moto()) else { return };
    ends_in_the_middle(s3, Signal::KILL);
}
