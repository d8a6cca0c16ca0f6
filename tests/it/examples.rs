//! The consumers of `examples/`: each runs against RabbitMQ and a worker, and applies every outcome exactly once.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use serde_json::{Value, json};

use crate::support::bus::block_on;
use crate::support::cmd::repo_file;
use crate::support::processes::wait_until;
use crate::support::rabbit::{Rabbit, calm};
use crate::support::rig::{Rig, event, fixture, letter};
use crate::support::{keeper, say};

/// The queue that a consumer declares, below the exchange's name.
const QUEUE: &str = "crm";

/// The Rust example, built as the tests are.
fn rust() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--example", "consumer"]).current_dir(repo_file(""));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let target = Path::new(env!("CARGO_BIN_EXE_mediamill")).parent().expect("a folder of programs");
    // Where a target folder was set for the tests, it is in force for this build too.
    cargo.env("CARGO_TARGET_DIR", target.parent().expect("the target folder"));
    assert!(cargo.status().expect("cargo starts").success(), "the example does not build");
    vec![target.join("examples/consumer")]
}

/// The Python example with the interpreter of the tests' virtual environment.
fn python() -> Option<Vec<PathBuf>> {
    let python = repo_file("target/venv/bin/python");
    let has_pika = Command::new(&python).args(["-c", "import pika"]).stderr(Stdio::null()).status();
    if !has_pika.is_ok_and(|status| status.success()) {
        say::no_service("pika is not installed; scripts/venv.sh test does that");
        return None;
    }
    Some(vec![python, repo_file("examples/consumer.py")])
}

/// A consumer with its memory of applied ids, both below one test's folder.
struct Consumer<'r> {
    rig: &'r Rig,
    rabbit: &'r Rabbit,
    program: Vec<PathBuf>,
    memory: &'static str,
}

impl Consumer<'_> {
    /// Starts it for so many messages.
    fn start(&self, count: usize) -> Child {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]);
        command.args(["--url", &self.rabbit.url(), "--exchange", &self.exchange(), "--queue", &self.queue()]);
        command.args([self.memory, "seen", "--count", &count.to_string()]);
        command.current_dir(self.rig.dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        keeper::spawn(&mut command)
    }

    fn exchange(&self) -> String {
        self.rig.config().broker.exchange
    }

    fn queue(&self) -> String {
        format!("{}.{QUEUE}", self.exchange())
    }

    /// What a consumer printed by its end: records, and lines for people.
    #[track_caller]
    fn end(child: Child) -> (Vec<Value>, String) {
        let output = child.wait_with_output().expect("an end");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {errors}", output.status);
        let text = String::from_utf8(output.stdout).expect("text");
        (text.lines().map(|line| serde_json::from_str(line).expect(line)).collect(), errors)
    }

    /// Takes the message that waits, does not acknowledge it, and hangs up: RabbitMQ delivers it again.
    fn take_and_lose(&self) {
        block_on(async {
            let connection =
                Connection::connect(&self.rabbit.url(), ConnectionProperties::default()).await.expect("RabbitMQ");
            let channel = connection.create_channel().await.expect("a channel");
            let got = channel.basic_get(self.queue().as_str().into(), BasicGetOptions { no_ack: false }).await;
            let got = got.expect("an answer").expect("a message");
            assert!(!got.delivery.redelivered, "the first delivery");
            connection.close(200, "without an acknowledgement".into()).await.expect("closed");
        });
    }

    fn waits_for(&self, messages: u32) {
        wait_until("messages for the consumer", || self.rig.bus.depth(QUEUE).ready == messages);
    }
}

/// A request with what a CRM needs to find its records again.
fn request(media_id: &str, file: &str) -> Value {
    let mut event = event(media_id, &fixture(file));
    event["data"]["message"] = json!({ "contact_id": "contact-42" });
    event["data"]["context"] = json!({ "deal": 7 });
    event
}

/// Three kinds of outcome, one of them repeated by the worker and one redelivered by the broker.
fn applies_each_outcome_once(program: Vec<PathBuf>, memory: &'static str) {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let consumer = Consumer { rig: &rig, rabbit, program, memory };
    let worker = rig.worker();

    let first = consumer.start(4);
    wait_until("the consumer's queue", || rig.bus.depth(QUEUE).consumers == 1);
    let requests =
        [request("note", "voice-note.ogg"), request("broken", "garbage.bin"), request("paper", "invoice.pdf")];
    for event in &requests {
        rig.bus.publish(&letter(event));
    }
    let sent = ["note", "broken", "paper"].map(|id| rig.bus.ledger().wait(id, crate::support::rig::SOON));
    // The same request again: the worker publishes the same event with the same id.
    rig.bus.publish(&letter(&requests[0]));
    let (mut records, errors) = Consumer::end(first);

    let order = |record: &Value| record["media"].as_str().map(str::to_owned);
    records.sort_by_key(order);
    let key = |outcome: &Value, role: &str| {
        let assets = outcome["assets"].as_array().expect("assets");
        assets.iter().find(|asset| asset["role"] == role).expect(role)["key"].clone()
    };
    let [note, _, paper] = &sent;
    let expected = [
        json!({ "write": "note", "code": "media.unsupported", "media": "acme/broken", "contact": "contact-42", "deal": 7 }),
        json!({
            "write": "attachment", "kind": "audio", "key": key(note.data(), "playback"), "mime_type": "audio/mpeg",
            "duration_ms": note.data()["assets"][0]["duration_ms"], "thumbnail": null,
            "media": "acme/note", "contact": "contact-42", "deal": 7,
        }),
        json!({
            "write": "attachment", "kind": "document", "key": key(paper.data(), "original"),
            "mime_type": "application/pdf", "duration_ms": null, "thumbnail": null,
            "media": "acme/paper", "contact": "contact-42", "deal": 7,
        }),
    ];
    assert_eq!(records, expected);
    assert!(errors.contains(&format!("{}: repeated, skipped", note.id())), "{errors}");

    // Another process with the same memory, and a message that RabbitMQ delivers a second time.
    rig.bus.publish(&letter(&requests[2]));
    consumer.waits_for(1);
    consumer.take_and_lose();
    consumer.waits_for(1);
    let (records, errors) = Consumer::end(consumer.start(1));
    assert_eq!(records, [Value::Null; 0]);
    assert!(errors.contains(&format!("{}: repeated, skipped", paper.id())), "{errors}");
    consumer.waits_for(0);
    worker.stops();
}

#[test]
fn the_consumer_in_rust_applies_each_outcome_once() {
    applies_each_outcome_once(rust(), "--seen");
}

#[test]
fn the_consumer_in_python_applies_each_outcome_once() {
    let Some(program) = python() else { return };
    applies_each_outcome_once(program, "--database");
}
