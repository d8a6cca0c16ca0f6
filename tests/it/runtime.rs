//! A second role, as small as a role can be, run by the same runtime as the worker: what it gets without saying anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use mediamill::broker::{BrokerError, DeadLetterQueue, Delivery, Ladder, Publisher, QueueSpec, Topology};
use mediamill::config::Broker;
use mediamill::error::{Code, Fault};
use mediamill::events::Stage;
use mediamill::runtime::replay::{Action, Found, replay};
use mediamill::runtime::{Failure, Incoming, Intake, Metrics, Role, Service, Verdict};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::support::bus::{Letter, block_on};
use crate::support::processes::wait_until;
use crate::support::rabbit::{calm, fragile};
use crate::support::rig::{Rig, SOON};

/// What the role has been asked to do.
#[derive(Debug, Default)]
struct Seen {
    batches: Mutex<Vec<Vec<String>>>,
    times: Mutex<BTreeMap<String, Vec<Instant>>>,
    /// Whether notes that failed succeed from now on.
    is_mended: AtomicBool,
}

/// Reads notes.
#[derive(Debug)]
struct Notes(Arc<Seen>);

impl Role for Notes {
    const NAME: &'static str = "notes";
    type Message = String;

    fn queues(&self) -> Vec<QueueSpec> {
        vec![QueueSpec::new("notes", &["note.*"], Ladder { delays_s: vec![1, 2], jitter_percent: 0 })]
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: 20, batch: 10 }
    }

    fn read(&self, delivery: &Delivery) -> String {
        String::from_utf8_lossy(delivery.body()).into_owned()
    }

    async fn handle(&self, notes: &[Incoming<String>]) -> Vec<Verdict> {
        self.0.has_seen(notes);
        let failed = |fault| Verdict::Failed(Failure { stage: Stage::Store, fault });
        let mut verdicts = Vec::new();
        for note in notes {
            verdicts.push(match note.message.as_str() {
                _ if self.0.is_mended.load(Ordering::Relaxed) => Verdict::Done,
                "later" if note.delivery.tries().attempts == 0 => {
                    failed(Fault::transient(Code::StoreUnavailable, "not yet"))
                }
                "never" => failed(Fault::rejected(Code::EventInvalid, "no note")),
                "busy" => failed(Fault::transient(Code::StoreUnavailable, "never yet")),
                "panic" => panic!("over a note"),
                "slow" => {
                    sleep(Duration::from_secs(1)).await;
                    Verdict::Done
                }
                "stuck" => std::future::pending().await,
                _ => Verdict::Done,
            });
        }
        verdicts
    }
}

impl Seen {
    fn has_seen(&self, notes: &[Incoming<String>]) {
        let names: Vec<String> = notes.iter().map(|note| note.message.clone()).collect();
        let mut times = self.times.lock().expect("no panic");
        for name in &names {
            times.entry(name.clone()).or_default().push(Instant::now());
        }
        self.batches.lock().expect("no panic").push(names);
    }

    /// When a note was handled.
    fn times(&self, note: &str) -> Vec<Instant> {
        self.times.lock().expect("no panic").get(note).cloned().unwrap_or_default()
    }
}

/// The role at work.
struct Running {
    seen: Arc<Seen>,
    service: Arc<Service<Notes>>,
    shutdown: CancellationToken,
    run: JoinHandle<Result<(), BrokerError>>,
}

impl Running {
    fn start(rig: &Rig, grace: Duration) -> Self {
        block_on(Self::started(rig, rig.config().broker, grace))
    }

    async fn started(rig: &Rig, broker: Broker, grace: Duration) -> Self {
        let seen = Arc::<Seen>::default();
        let publisher = Publisher::new(&broker, topology(rig));
        let service = Service::new(&broker, grace, Notes(Arc::clone(&seen)), publisher, Metrics::default());
        let service = Arc::new(service.expect("a service"));
        let shutdown = CancellationToken::new();
        let (running, stop) = (Arc::clone(&service), shutdown.clone());
        let run = tokio::spawn(async move { running.run(stop).await });
        Self { seen, service, shutdown, run }
    }

    fn stops(self) -> Arc<Seen> {
        self.shutdown.cancel();
        block_on(self.run).expect("no panic").expect("it ends well");
        self.seen
    }
}

fn topology(rig: &Rig) -> Topology {
    Topology::new(&rig.config().broker, Notes(Arc::default()).queues()).expect("a topology")
}

/// Declares the role's queues, and nothing of the worker's.
fn declare(rig: &Rig) {
    block_on(Publisher::new(&rig.config().broker, topology(rig)).connect()).expect("declared");
}

fn publish(rig: &Rig, notes: &[&str]) {
    let note = |note: &&str| Letter {
        routing_key: "note.written".to_owned(),
        properties: BasicProperties::default(),
        body: note.as_bytes().to_vec(),
    };
    rig.bus.publish_all(&notes.iter().map(note).collect::<Vec<_>>());
}

fn letters(rig: &Rig, action: Action) -> Found {
    let code = |delivery: &Delivery| delivery.dead_code().map(|code| code.to_string());
    let queue = DeadLetterQueue::Named("notes.dead".to_owned());
    block_on(replay(&rig.config().broker, &topology(rig), queue, action, u32::MAX, code)).expect("an answer")
}

#[test]
fn a_role_of_its_own_has_batches_retries_dead_letters_and_replay() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    declare(&rig);
    let mut notes = vec!["good"; 25];
    notes.extend(["later", "never", "busy", "panic"]);
    publish(&rig, &notes);
    let role = Running::start(&rig, Duration::from_secs(10));
    wait_until("three dead letters", || rig.bus.depth("notes.dead").ready == 3);
    wait_until("all notes are done", || {
        block_on(role.service.health().metrics())
            .contains(r#"mediamill_jobs_total{lane="notes",kind="",action="",outcome="done",code=""} 26"#)
    });

    let batches = role.seen.batches.lock().expect("no panic").clone();
    assert!(batches.iter().any(|batch| batch.len() > 1), "they are handled together: {batches:?}");
    assert!(batches.iter().all(|batch| batch.len() <= 10), "at most so many: {batches:?}");
    let later = role.seen.times("later");
    let waited = later[later.len() - 1] - later[later.len() - 2];
    assert!(waited >= Duration::from_secs(1), "it waited in the retry queue, and not for {waited:?}");
    assert!(batches.contains(&vec!["panic".to_owned()]), "handled alone after a panic: {batches:?}");

    let health = role.service.health();
    let readiness = block_on(health.readiness());
    let parts: Vec<_> = readiness.parts.iter().map(|part| part.name).collect();
    assert!(readiness.is_ready() && parts == ["lanes", "broker"], "{readiness:?}");
    let metrics = block_on(health.metrics());
    for sample in [
        r#"mediamill_dead_letters_total{lane="notes",stage="store",code="event.invalid"} 1"#,
        r#"mediamill_dead_letters_total{lane="notes",stage="store",code="store.unavailable"} 1"#,
        r#"mediamill_dead_letters_total{lane="notes",stage="parse",code="worker.broken"} 1"#,
        r#"mediamill_retries_total{lane="notes",stage="store",code="store.unavailable"} 3"#,
        r#"mediamill_queue_messages{queue="notes.dead"} 3"#,
    ] {
        assert!(metrics.contains(sample), "no {sample} in {metrics}");
    }

    let found = letters(&rig, Action::List);
    let reasons: Vec<_> = found.tally.keys().map(|(code, queue)| (code.as_str(), queue.as_str())).collect();
    assert_eq!(reasons, [("event.invalid", "notes"), ("store.unavailable", "notes"), ("worker.broken", "notes")]);
    let failed = ["never", "busy", "panic"];
    let before = failed.map(|note| role.seen.times(note).len());
    role.seen.is_mended.store(true, Ordering::Relaxed);
    assert_eq!(letters(&rig, Action::Replay).left, 0);
    wait_until("the replayed notes are read", || {
        failed.map(|note| role.seen.times(note).len()) == before.map(|times| times + 1)
    });
    role.stops();
    for queue in ["notes", "notes.dead", "retry.notes.1s", "retry.notes.2s"] {
        assert_eq!(rig.bus.depth(queue).ready, 0, "{queue}");
    }
}

#[test]
fn a_role_that_stops_ends_what_it_can_and_puts_back_the_rest() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    declare(&rig);
    let role = Running::start(&rig, Duration::from_secs(2));
    publish(&rig, &["slow"]);
    wait_until("a slow note", || !role.seen.times("slow").is_empty());
    publish(&rig, &["stuck"]);
    wait_until("a note that does not end", || !role.seen.times("stuck").is_empty());
    let asked = Instant::now();
    let seen = role.stops();
    assert!(asked.elapsed() < Duration::from_secs(10), "it waits no longer than its grace period");
    assert_eq!((seen.times("slow").len(), seen.times("stuck").len()), (1, 1));
    wait_until("the note is back", || rig.bus.depth("notes").ready == 1);
    let left = rig.bus.take_all("notes");
    assert_eq!((left.len(), left[0].body.as_slice()), (1, &b"stuck"[..]));
    assert_eq!(left[0].header("x-mediamill-attempts"), None, "the attempt does not count");
}

/// Two notes use up the time of all batches. The note that waits behind them has too little of its own time left by then: it
/// would fail if it were begun.
#[test]
fn a_note_that_waited_behind_slow_batches_is_given_back_and_loses_no_attempt() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::deaf(rabbit);
    declare(&rig);
    let broker = Broker { ack_timeout_s: 4, ..rig.config().broker };
    let role = block_on(Running::started(&rig, broker, Duration::from_secs(2)));
    for batch in 1..=2 {
        publish(&rig, &["stuck"]);
        wait_until("a batch that does not end", || role.seen.times("stuck").len() == batch);
    }
    publish(&rig, &["slow"]);
    let done = r#"mediamill_jobs_total{lane="notes",kind="",action="",outcome="done",code=""} 1"#;
    wait_until("the note is done", || block_on(role.service.health().metrics()).contains(done));
    assert_eq!(role.seen.times("slow").len(), 1, "it was begun once, with enough time");
    assert!(role.seen.times("slow")[0] > role.seen.times("stuck")[0] + Duration::from_secs(3), "it had to wait");
    role.stops();
}

/// A role that takes no messages.
#[derive(Debug)]
struct Silent;

impl Role for Silent {
    const NAME: &'static str = "silent";
    type Message = ();

    fn queues(&self) -> Vec<QueueSpec> {
        Vec::new()
    }

    fn intake(&self) -> Intake {
        Intake::Consume { prefetch: 1, batch: 1 }
    }

    fn read(&self, _delivery: &Delivery) {}

    async fn handle(&self, messages: &[Incoming<()>]) -> Vec<Verdict> {
        vec![Verdict::PutBack; messages.len()]
    }
}

#[test]
fn a_role_without_queues_has_health_and_stops() {
    let Some(rabbit) = calm() else { return };
    let broker = Rig::deaf(rabbit).config().broker;
    let publisher = Publisher::new(&broker, Topology::new(&broker, Vec::new()).expect("a topology"));
    let service = Service::new(&broker, Duration::from_secs(1), Silent, publisher, Metrics::default());
    let service = service.expect("a service");
    let shutdown = CancellationToken::new();
    let (health, stop) = (service.health(), shutdown.clone());
    let is_ready = async {
        while !health.readiness().await.is_ready() {
            sleep(Duration::from_millis(100)).await;
        }
        shutdown.cancel();
    };
    block_on(async {
        let both = tokio::time::timeout(SOON, async { tokio::join!(service.run(stop), is_ready) });
        both.await.expect("ready, and then stopped").0.expect("it ends well");
    });
}

#[test]
fn a_role_goes_on_after_its_broker_was_gone() {
    let Some(mut rabbit) = fragile() else { return };
    let rig = Rig::deaf(&rabbit);
    declare(&rig);
    let role = Running::start(&rig, Duration::from_secs(10));
    publish(&rig, &["before"]);
    wait_until("a note before", || role.seen.times("before").len() == 1);
    rabbit.kill();
    rabbit.boot();
    publish(&rig, &["after"]);
    wait_until("a note after", || !role.seen.times("after").is_empty());
    role.stops();
}
