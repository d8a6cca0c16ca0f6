//! Everything that an end-to-end test needs, under names of its own: exchange, store, scratch space, workers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use mediamill::broker::Publisher;
use mediamill::config::{self, Config};
use mediamill::roles::worker;
use mediamill::store::Store;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bus::{Bus, Letter, block_on};
use super::cluster::Cluster;
use super::cmd::{program, repo_file};
use super::ledger::Outcome;
use super::rabbit::Rabbit;
use super::worker::Worker;
use super::{keeper, oracle};

/// A job takes a fraction of this, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// One test's world.
pub struct Rig {
    /// The world outside of mediamill.
    pub bus: Bus,
    /// Files of this test.
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Rig {
    /// Declares the topology and listens to outcomes. Assets go to a directory.
    pub fn new(rabbit: &Rabbit) -> Self {
        let mut rig = Self::deaf(rabbit);
        rig.bus.listen();
        rig
    }

    /// As [`Rig::new`], on all nodes of a cluster.
    pub fn on(cluster: &Cluster) -> Self {
        let [first, others @ ..] = cluster.nodes() else { panic!("no nodes") };
        let mut rig = Self::deaf(first);
        let addresses: Vec<_> = others.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        rig.set("BROKER_NODES", addresses.join(","));
        rig.bus = Bus::new(cluster.nodes().iter().map(Rabbit::url).collect(), &rig.config().broker.exchange);
        rig.bus.listen();
        rig
    }

    /// As [`Rig::new`], but nobody has bound a queue for outcomes yet.
    pub fn deaf(rabbit: &Rabbit) -> Self {
        let exchange = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = keeper::new_dir();
        for name in ["store", "scratch", "files"] {
            std::fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let roots = json!([repo_file("fixtures"), path("files")]).to_string();
        let env = [
            ("BROKER_URL", rabbit.url()),
            ("BROKER_EXCHANGE", exchange.clone()),
            ("BROKER_RETRY_DELAYS_S", "1,2".to_owned()),
            ("BROKER_RECONNECT_MAX_MS", "1000".to_owned()),
            ("STORE_URL", format!("file://{}", path("store"))),
            ("SOURCE_FILE_ROOTS", roots),
            ("WORKER_SLOTS", "2".to_owned()),
            ("WORKER_SCRATCH_DIR", path("scratch")),
            ("WORKER_SCRATCH_MIN_FREE_BYTES", "0".to_owned()),
        ];
        let env = env.map(|(key, value)| (format!("MEDIAMILL_{key}"), value)).to_vec();
        let rig = Self { bus: Bus::new(vec![rabbit.url()], &exchange), dir, env };
        rig.declare();
        rig
    }

    /// Sets `MEDIAMILL_<key>` for workers and commands that are started from now on.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        let name = format!("MEDIAMILL_{key}");
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.to_string()));
    }

    /// The configuration that workers have.
    pub fn config(&self) -> Config {
        let env = self.env.iter().map(|(name, value)| (name.into(), value.into()));
        config::load(None, env, &[]).expect("a valid configuration")
    }

    /// Declares exchange and queues as a worker would.
    pub fn declare(&self) {
        let broker = self.config().broker;
        let topology = worker::topology(&broker).expect("a topology");
        block_on(Publisher::new(&broker, topology).connect()).expect("declared");
    }

    /// A worker that consumes.
    pub fn worker(&self) -> Worker {
        let mut worker = self.spawn();
        worker.consumes(1);
        worker
    }

    /// A worker that was only just started.
    pub fn spawn(&self) -> Worker {
        Worker::spawn(&self.env, self.dir.path())
    }

    /// A command that becomes a worker, with the same configuration.
    pub fn worker_of(&self, mut command: std::process::Command) -> Worker {
        command.current_dir(self.dir.path()).envs(self.env.iter().cloned());
        Worker::of(command, self.dir.path())
    }

    /// Another command of the program, with the same configuration.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = program();
        command.args(args).current_dir(self.dir.path()).envs(self.env.iter().cloned());
        command
    }

    /// Half of the files end while a fault goes on, the others once all is healthy; then the workers stop. Ladders are climbed at the
    /// same time: what is left by then finds a healthy service. Each file has one event, whose objects are as it says, and there are
    /// no dead letters.
    #[track_caller]
    pub fn ends_healthy<const N: usize>(&self, jobs: usize, healthy: &AtomicBool, workers: [Worker; N]) {
        self.bus.ledger().wait_for_files(jobs / 2, SOON);
        healthy.store(true, Ordering::SeqCst);
        self.bus.ledger().wait_for_files(jobs, SOON * 2);
        for worker in workers {
            worker.stops();
        }
        for (media_id, outcomes) in self.bus.ledger().all() {
            assert!(outcomes.iter().all(|outcome| outcome.id() == outcomes[0].id()), "{media_id}: two events");
            self.vouch(&outcomes[0]);
        }
        assert_eq!(self.bus.depth("dead").ready, 0, "dead letters");
    }

    /// Scratch space of all workers.
    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    /// Names and sizes of the files of all jobs that are worked on.
    pub fn job_files(&self) -> Vec<(String, u64)> {
        let entries = |path| std::fs::read_dir(path).into_iter().flatten().flatten();
        let jobs = entries(self.scratch()).flat_map(|worker| entries(worker.path()));
        let files = jobs.flat_map(|job| entries(job.path()));
        let sized = files.filter_map(|file| Some((file.file_name().into_string().ok()?, file.metadata().ok()?.len())));
        sized.collect()
    }

    /// A file below an allowed root.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("files").join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Asks for a file to be processed.
    pub fn ask(&self, media_id: &str, path: &Path) {
        self.bus.publish(&letter(&event(media_id, path)));
    }

    /// Asks, and waits for the outcome.
    #[track_caller]
    pub fn outcome(&self, media_id: &str, path: &Path) -> Outcome {
        self.ask(media_id, path);
        self.bus.ledger().wait(media_id, SOON)
    }

    /// An object's bytes.
    #[track_caller]
    pub fn object(&self, key: &str) -> Vec<u8> {
        let store = block_on(Store::connect(&self.config().store)).expect("a store");
        block_on(store.get(key)).expect("the store answers").unwrap_or_else(|| panic!("no {key}")).to_vec()
    }

    /// Asserts that every object an outcome names is there with size and checksum, and that what plays, plays. Gives
    /// back a copy of the playback asset, where there is one.
    #[track_caller]
    pub fn vouch(&self, outcome: &Outcome) -> Option<tempfile::TempPath> {
        assert_eq!(outcome.word, "normalized", "{:#}", outcome.event);
        let mut playback = None;
        for asset in outcome.data()["assets"].as_array().expect("assets") {
            let key = asset["key"].as_str().expect("a key");
            let bytes = self.object(key);
            assert_eq!(asset["size_bytes"], bytes.len(), "{key}");
            assert_eq!(asset["sha256"], hex::encode(Sha256::digest(&bytes)), "{key}");
            let copy =
                tempfile::Builder::new().suffix(key.rsplit('/').next().expect("a name")).tempfile_in(keeper::dir());
            let copy = copy.expect("a file").into_temp_path();
            std::fs::write(&copy, &bytes).expect("written");
            let mime_type = asset["mime_type"].as_str().expect("a type");
            if ["audio/", "video/", "image/"].iter().any(|kind| mime_type.starts_with(kind)) {
                oracle::decodes(&copy).unwrap_or_else(|error| panic!("{key}: {error}"));
            }
            if asset["role"] == "playback" {
                playback = Some(copy);
            }
        }
        playback
    }
}

/// A fixture's path.
pub fn fixture(name: &str) -> PathBuf {
    let path = repo_file("fixtures").join(name);
    assert!(path.exists(), "no fixture {name}");
    path
}

/// A *media received* event for a local file.
pub fn event(media_id: &str, path: &Path) -> Value {
    event_from(media_id, json!({ "kind": "file", "path": path }))
}

/// A *media received* event for any origin.
pub fn event_from(media_id: &str, origin: Value) -> Value {
    json!({
        "specversion": "1.0", "id": format!("ask-{media_id}"), "source": "tests",
        "type": "mediamill.media.received.v1", "time": jiff::Timestamp::now().to_string(),
        "data": { "tenant": "acme", "media_id": media_id, "origin": origin },
    })
}

/// An event in structured mode, on its way to the lane that its file's name suggests.
pub fn letter(event: &Value) -> Letter {
    let path = event["data"]["origin"]["path"].as_str().or(event["data"]["origin"]["key"].as_str()).unwrap_or_default();
    let audio = [".ogg", ".mp3", ".wav", ".m4a", ".amr", ".opus"].iter().any(|end| path.ends_with(end));
    let routing_key = if audio { "media.received.audio" } else { "media.received" };
    let properties = BasicProperties::default().with_content_type("application/cloudevents+json".into());
    Letter { routing_key: routing_key.to_owned(), properties, body: event.to_string().into_bytes() }
}

/// Headers of a message.
pub fn headers(pairs: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 in base64.
pub fn sha256_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}
