//! S3 fails in every way that it knows, and workers die in the middle of their uploads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::trial::{Trial, jobs};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR, SLOW_DOWN, Seen};
use crate::support::ledger::Outcome;
use crate::support::processes::wait_until;
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::{Rig, event, fixture};
use crate::support::s3::S3;

/// Workers behind a gate, before an S3 server.
pub(super) struct World {
    s3: S3,
    rig: Rig,
    gate: Gate,
    well: Arc<AtomicBool>,
}

impl World {
    /// On the node that nobody disturbs.
    fn new(act: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Option<Self> {
        Some(Self::on(calm()?, act))
    }

    /// The gate does `act` to each request until all is well.
    pub(super) fn on(rabbit: &Rabbit, act: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        let s3 = S3::start();
        let well = Arc::new(AtomicBool::new(false));
        let calm_now = Arc::clone(&well);
        let gate = Gate::start(
            &s3.endpoint(),
            move |seen| {
                if calm_now.load(Ordering::SeqCst) { Act::Pass } else { act(seen) }
            },
        );
        let mut rig = Rig::new(rabbit);
        for (name, value) in s3.access().via(&gate.url()).env() {
            rig.set(name.strip_prefix("MEDIAMILL_").expect("a key of ours"), value);
        }
        // The pauses before its retries are most of what a job waits for.
        rig.set("WORKER_SLOTS", 4);
        rig.set("STORE_ATTEMPT_TIMEOUT_S", 1);
        rig.set("STORE_MAX_ATTEMPTS", 2);
        // Rungs enough for bad luck not to use them up.
        rig.set("BROKER_RETRY_DELAYS_S", "1,1,1,1,2,2,2,2,2,2");
        Self { s3, rig, gate, well }
    }

    pub(super) fn is_well(&self) {
        self.well.store(true, Ordering::SeqCst);
    }

    /// All outcomes by media id.
    pub(super) fn heard(&self) -> BTreeMap<String, Vec<Outcome>> {
        self.rig.bus.ledger().all()
    }

    pub(super) fn trial(&self, fault: &'static str) -> Trial<'_> {
        let mut trial = Trial::of(fault, &self.rig);
        trial.uploads_to(&self.s3);
        trial
    }
}

/// One request in so many meets the fault, until nine in ten jobs have made it nevertheless.
fn survives(fault: &'static str, one_in: usize, acts: &'static [Act]) {
    let count = AtomicUsize::new(0);
    let act = move |_: Seen<'_>| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        if nth % one_in == one_in - 1 { acts[nth / one_in % acts.len()] } else { Act::Pass }
    };
    let Some(world) = World::new(act) else { return };
    let mut trial = world.trial(fault);
    let worker = trial.worker();
    trial.ask(jobs());
    trial.heard(jobs() * 9 / 10);
    world.is_well();
    trial.is_over();
    trial.ask(1);
    trial.ends([worker]);
}

#[test]
fn internal_errors() {
    survives("S3: 500", 12, &[Act::Answer(500, INTERNAL_ERROR)]);
}

#[test]
fn slow_downs() {
    survives("S3: 503 SlowDown", 12, &[Act::Answer(503, SLOW_DOWN)]);
}

#[test]
fn connections_reset() {
    survives("S3: connection reset, also mid-body", 12, &[Act::Close, Act::CutAnswer(10)]);
}

#[test]
fn answers_that_never_come() {
    survives("S3: no answer, or an answer lost", 40, &[Act::Never, Act::LoseAnswer]);
}

#[test]
fn bytes_that_change_on_their_way() {
    survives("S3: wrong checksum", 12, &[Act::CorruptRequest, Act::CorruptAnswer]);
}

/// What an operator has to mend is *failed* at once for the jobs that meet it, and for no others.
fn calls_an_operator(fault: &'static str, answer: Act) {
    let Some(world) =
        World::new(move |seen| if seen.method == "PUT" && seen.nth % 4 == 3 { answer } else { Act::Pass })
    else {
        return;
    };
    let mut trial = world.trial(fault);
    trial.expect(|outcome| {
        let called = ["store.forbidden", "store.missing"].contains(&outcome.code());
        outcome.word == "normalized" || (outcome.word == "failed" && called)
    });
    let worker = trial.worker();
    trial.ask(jobs() / 2);
    trial.heard(jobs() / 2);
    world.is_well();
    trial.is_over();
    trial.ask(jobs() / 2);
    trial.ends([worker]);
    let failed = world.rig.bus.ledger().all().values().filter(|outcomes| outcomes[0].word == "failed").count();
    assert!(failed > 0);
    assert_eq!(world.rig.bus.depth("dead").ready as usize, failed);
}

#[test]
fn access_refused() {
    calls_an_operator("S3: 403 (failed and dead-lettered at once)", Act::Answer(403, ACCESS_DENIED));
}

#[test]
fn a_bucket_that_is_missing() {
    let answer = Act::Answer(404, "<Error><Code>NoSuchBucket</Code></Error>");
    calls_an_operator("S3: bucket missing (failed and dead-lettered at once)", answer);
}

/// The store fails at everything for much longer than the ladder is: `OUTAGE_S` seconds, or else 10.
fn outlasts_the_ladder(fault: &'static str, act: fn(Seen<'_>) -> Act) {
    let outage = std::env::var("OUTAGE_S").map_or(10, |text| text.parse().expect("OUTAGE_S is a number"));
    let begins = Arc::new(AtomicBool::new(false));
    let begun = Arc::clone(&begins);
    let Some(mut world) = World::new(move |seen| if begun.load(Ordering::SeqCst) { act(seen) } else { Act::Pass })
    else {
        return;
    };
    world.rig.set("BROKER_RETRY_DELAYS_S", "1,1,1");
    let mut trial = world.trial(fault);
    let worker = trial.worker();
    begins.store(true, Ordering::SeqCst);
    let over = Instant::now() + Duration::from_secs(outage);
    trial.ask(jobs().min(50));
    wait_until("a worker that takes nothing", || worker.logged("taking no messages until this has passed") > 0);
    sleep(over.saturating_duration_since(Instant::now()));
    assert!(world.heard().is_empty(), "nothing is said of a file while nothing could be done");
    world.is_well();
    trial.is_over();
    trial.ends([worker]);
    assert_eq!(world.rig.bus.depth("dead").ready, 0);
    let failed = world.heard().values().filter(|outcomes| outcomes[0].word == "failed").count();
    assert_eq!(failed, 0);
}

#[test]
fn an_outage_longer_than_the_ladder() {
    outlasts_the_ladder("S3: 500 for longer than the ladder", |_| Act::Answer(500, INTERNAL_ERROR));
}

#[test]
fn a_key_that_is_refused_for_longer_than_the_ladder() {
    let refuse = |seen: Seen<'_>| if seen.method == "PUT" { Act::Answer(403, ACCESS_DENIED) } else { Act::Pass };
    outlasts_the_ladder("S3: PUT refused for longer than the ladder", refuse);
}

#[test]
fn the_end_of_a_multipart_upload_that_hangs() {
    let count = AtomicUsize::new(0);
    let act = move |seen: Seen<'_>| {
        let hangs = seen.is_complete() && count.fetch_add(1, Ordering::SeqCst) % 3 != 2;
        if hangs { Act::Never } else { Act::Pass }
    };
    let Some(world) = World::new(act) else { return };
    let mut trial = world.trial("S3: CompleteMultipartUpload hangs");
    let worker = trial.worker();
    let mut bytes = std::fs::read(fixture("invoice.pdf")).expect("a fixture");
    // Above the size from which a document goes in parts.
    bytes.resize(6 << 20, b' ');
    for n in 0..jobs() / 50 {
        let path = world.rig.file(&format!("large-{n}.pdf"), &bytes);
        trial.ask_for(&event(&format!("large-{n}"), &path));
    }
    trial.ask(jobs() / 2);
    trial.ends([worker]);
    assert!(world.gate.log().iter().any(|line| line.starts_with("DELETE") && line.contains("uploadId=")));
}

/// Kills workers at a request that only `hit` knows.
fn dies_at(fault: &'static str, hit: fn(Seen<'_>) -> bool, act: Act) {
    const DEATHS: usize = 4;
    let armed = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicUsize::new(0));
    let (trigger, count) = (Arc::clone(&armed), Arc::clone(&held));
    let Some(world) = World::new(move |seen| {
        if hit(seen) && trigger.swap(false, Ordering::SeqCst) {
            count.fetch_add(1, Ordering::SeqCst);
            return act;
        }
        Act::Pass
    }) else {
        return;
    };
    let mut trial = world.trial(fault);
    for death in 1..=DEATHS {
        let worker = trial.worker();
        trial.ask_for(&event(&format!("voice-{death}"), &fixture("voice-note.ogg")));
        trial.ask(jobs() / DEATHS);
        armed.store(true, Ordering::SeqCst);
        wait_until("a request to die at", || held.load(Ordering::SeqCst) == death);
        worker.kill();
    }
    world.is_well();
    trial.is_over();
    let last = trial.worker();
    trial.ends([last]);
}

#[test]
fn a_worker_killed_after_its_first_upload() {
    dies_at("worker SIGKILL after the first upload", is_original, Act::Never);
}

#[test]
fn a_worker_killed_before_the_manifest() {
    dies_at("worker SIGKILL before the manifest", is_manifest, Act::Never);
}

#[test]
fn a_worker_killed_after_the_manifest() {
    dies_at("worker SIGKILL after the manifest", is_manifest, Act::LoseAnswer);
}

/// The original is stored after the outputs.
fn is_original(seen: Seen<'_>) -> bool {
    seen.method == "PUT" && seen.path.contains("/original.")
}

fn is_manifest(seen: Seen<'_>) -> bool {
    seen.method == "PUT" && seen.path.contains("manifest.json")
}
