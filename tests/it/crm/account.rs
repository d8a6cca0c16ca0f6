//! What `deliver` promises of an account, read there by clients that are not ours (`tests/account`): over the fakes here, and by
//! `make crm-live` over an account at the vendor.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::amendments::addition_to;
use super::trial::{SOUND, erasure, marker, stored};
use super::vendors::{Vendor, chatwoot, hubspot, salesforce, zendesk, zoho};
use crate::deliver::{deliverer, destination, rig, sent};
use crate::support::cmd::repo_file;
use crate::support::crm::Crm;
use crate::support::rig::Rig;
use crate::support::say::{no_service, say};
use crate::support::worker::Worker;

/// How slow the account is.
struct Pace {
    /// How long it may take until something can be read.
    patience: Duration,
    /// How long nothing more has to come.
    quiet: Duration,
    /// `ledger.retry_delays_s`.
    retry_delays_s: &'static str,
}

/// What names the destination to `deliver` and to the reader.
const PREFIX: &str = "MEDIAMILL_DELIVER__CRM__";
/// Kills of `deliver`, more of them early: of the time until a note is read, the delivery itself takes the first part.
const KILLS: u32 = 6;
const TRANSCRIPT: &str = "good day to the account";

/// A client of the CRM that is not ours.
struct Reader {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Whether something in the account has to be deleted.
    has_made: bool,
}

impl Reader {
    /// Nothing where the clients are not installed.
    fn start(keys: &[(String, String)]) -> Option<Self> {
        let python = repo_file("target/venv-crm/bin/python");
        if !python.exists() {
            no_service("the clients of CRMs are not installed; scripts/venv.sh crm does that");
            return None;
        }
        let mut command = Command::new(python);
        command.args(["-B", "-W", "ignore"]).arg(repo_file("tests/account"));
        command.envs(keys.iter().map(|(key, value)| (format!("{PREFIX}{}", key.to_uppercase()), value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let requests = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self { child, requests, answers, has_made: false })
    }

    #[track_caller]
    fn ask(&mut self, what: &str) -> Value {
        self.try_ask(what).unwrap_or_else(|| panic!("no answer to {what}: what the client says stands above"))
    }

    fn try_ask(&mut self, what: &str) -> Option<Value> {
        writeln!(self.requests, "{}", json!({ "do": what })).ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// Makes what notes go to; gives back the `context` of events.
    #[track_caller]
    fn makes(&mut self) -> Value {
        self.has_made = true;
        self.ask("make")
    }

    #[track_caller]
    fn removes(&mut self) {
        self.ask("remove");
        self.has_made = false;
    }
}

/// What a test made in the account is deleted also where it fails.
impl Drop for Reader {
    fn drop(&mut self) {
        if self.has_made && self.try_ask("remove").is_none() {
            say("what was made in the account could not be deleted there: look for `mediamill test`");
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An account with a deliverer.
struct Account {
    deliverer: Option<Worker>,
    reader: Reader,
    rig: Rig,
    context: Value,
    events: Vec<Value>,
    /// Of the ids of media, so that no run finds what an earlier one has left.
    run: String,
    pace: Pace,
}

impl Account {
    fn publish(&mut self) {
        let media_id = format!("{}-{}", self.run, self.events.len());
        let event = stored(&self.rig, &media_id, &self.context);
        self.rig.bus.publish(&sent("media.normalized.audio", &event));
        self.events.push(event);
    }

    /// The last event comes so many times more.
    fn again(&self, times: usize) {
        let last = self.events.last().expect("an event");
        let letters: Vec<_> = (0..times).map(|_| sent("media.normalized.audio", last)).collect();
        self.rig.bus.publish_all(&letters);
    }

    /// How many notes have these words.
    fn notes(&mut self, words: &str) -> usize {
        let notes = self.reader.ask("notes");
        let all = notes.as_array().expect("a list").iter();
        all.filter(|text| text.as_str().is_some_and(|text| text.contains(words))).count()
    }

    #[track_caller]
    fn wait(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + self.pace.patience;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}\ndead letters: {:#?}", self.dead());
            std::thread::sleep(self.pace.quiet / 4);
        }
    }

    /// Why deliveries were given up.
    fn dead(&self) -> Vec<Option<String>> {
        let found = self.rig.bus.take_all("deliver.crm.dead");
        found.iter().map(|letter| letter.header("x-mediamill-reason")).collect()
    }

    /// Waits until nothing is left to do: every event was taken, and nothing came for a while.
    #[track_caller]
    fn settles(&mut self) {
        self.wait("an empty queue", |account| account.rig.bus.depth("deliver.crm").ready == 0);
        std::thread::sleep(self.pace.quiet);
    }

    /// The last event has one note, and every event one file; gives how long that took.
    #[track_caller]
    fn arrives(&mut self, what: &str) -> Duration {
        let begun = Instant::now();
        let marker = marker(self.events.last().expect("an event"));
        self.wait(what, |account| account.notes(&marker) > 0);
        let took = begun.elapsed();
        self.settles();
        assert_eq!(self.notes(&marker), 1, "{what}: notes with the marker");
        assert_eq!(self.reader.ask("files"), json!(vec![SOUND.len(); self.events.len()]), "{what}: bytes of all files");
        took
    }

    /// The process is killed so long after the event has come; then it comes three times more.
    fn killed_after(&mut self, delay: Duration) {
        self.publish();
        std::thread::sleep(delay);
        self.deliverer.take().expect("one that runs").kill();
        self.again(3);
        self.deliverer = Some(deliverer(&self.rig));
        self.arrives(&format!("killed after {} ms", delay.as_millis()));
    }

    #[track_caller]
    fn is_transcribed(&mut self) {
        let media_id = self.events[0]["data"]["media_id"].as_str().expect("text").to_owned();
        let data = json!({ "text": TRANSCRIPT, "language": "en" });
        let event = addition_to(&media_id, "media.transcribed", &jiff::Timestamp::now().to_string(), data);
        self.rig.bus.publish_all(&[(); 3].map(|()| sent("media.transcribed", &event)));
        self.wait("the transcript", |account| account.notes(TRANSCRIPT) > 0);
        self.settles();
        assert_eq!(self.notes(TRANSCRIPT), 1, "notes with the transcript");
    }

    /// No text of ours and no file is left, also when all events come again.
    #[track_caller]
    fn is_erased(&mut self) {
        for event in self.events.clone() {
            self.rig.bus.publish(&sent("media.erased", &erasure(&event)));
        }
        let gone = |account: &mut Self| {
            account.notes("mediamill ") == 0
                && account.notes(TRANSCRIPT) == 0
                && account.reader.ask("files") == json!([])
        };
        self.wait("notes, transcript and files are gone", gone);
        for event in &self.events {
            self.rig.bus.publish(&sent("media.normalized.audio", event));
        }
        self.settles();
        assert!(gone(self), "something came back");
    }
}

/// One note with one file for each media whatever happens to `deliver`, a transcript once, and nothing of it after an erasure.
fn keeps_the_contract(keys: &[(String, String)], pace: Pace) {
    let Some(mut rig) = rig() else { return };
    let Some(mut reader) = Reader::start(keys) else { return };
    for (key, value) in keys {
        destination(&mut rig, "crm", &[(key, value)]);
    }
    rig.set("LEDGER_RETRY_DELAYS_S", pace.retry_delays_s);
    let context = reader.makes();
    let run = format!("live{}", &Uuid::new_v4().simple().to_string()[..8]);
    let deliverer = Some(deliverer(&rig));
    let mut account = Account { deliverer, reader, rig, context, events: Vec::new(), run, pace };
    account.publish();
    let took = account.arrives("a first media");
    account.again(3);
    account.settles();
    account.arrives("the same event three times more");
    for kill in 0..KILLS {
        account.killed_after(took * (kill * kill) / (KILLS * KILLS));
    }
    account.is_transcribed();
    account.is_erased();
    account.deliverer.take().expect("one that runs").stops();
    account.reader.removes();
    say(format!("{} media: one note and one file each, and none after the erasure", account.events.len()));
}

fn over_a_fake(vendor: &Vendor) {
    let crm = Crm::start(vendor.name);
    // A search of the fake is slowed down as HubSpot's is; this test asks often.
    if vendor.name == "hubspot" {
        crm.act(json!({"act": "set", "search_per_s": 1000, "max": 10000}));
    }
    let own = [("kind", vendor.name), ("url", crm.url()), ("allow_private", "true"), ("read_back_lag_s", "0")];
    let own = own.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let keys: Vec<_> = own.chain(vendor.keys.clone()).map(|(key, value)| (key.to_owned(), value)).collect();
    let pace = Pace { patience: Duration::from_secs(40), quiet: Duration::from_millis(400), retry_delays_s: "1,2" };
    keeps_the_contract(&keys, pace);
}

#[test]
fn hubspot_keeps_the_contract() {
    over_a_fake(&hubspot());
}

#[test]
fn salesforce_keeps_the_contract() {
    over_a_fake(&salesforce());
}

#[test]
fn zendesk_keeps_the_contract() {
    over_a_fake(&zendesk(true));
}

#[test]
fn zoho_keeps_the_contract() {
    over_a_fake(&zoho());
}

#[test]
fn chatwoot_keeps_the_contract() {
    over_a_fake(&chatwoot(true));
}

#[test]
#[ignore = "needs an account at the vendor: make crm-live"]
fn a_real_account_keeps_the_contract() {
    let variables = std::env::vars().filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX)?.to_lowercase();
        Some((key, value))
    });
    let keys: Vec<_> = variables.collect();
    assert!(
        keys.iter().any(|(key, value)| key == "kind" && !value.is_empty()),
        "{PREFIX}KIND names the CRM, and further variables its credentials, as its page in docs/deliver says"
    );
    // Longer than a vendor's lists and searches lag behind, and than its limits of calls last.
    let pace = Pace { patience: Duration::from_secs(300), quiet: Duration::from_secs(20), retry_delays_s: "10,60" };
    keeps_the_contract(&keys, pace);
}
