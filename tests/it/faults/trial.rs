//! One fault's trial: jobs that are followed from the asking to the outcome, over all queues, objects and processes.
//!
//! A fault is in force before the load that it is to hit is done, on any machine and with any number of jobs: until then a
//! worker ([`Trial::pause_with`]) or the child of a film ([`Trial::catch`]) is stopped, or the load is asked for after the
//! fault was set up.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mediamill::store::Store;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::bus::{Letter, block_on};
use crate::support::ledger::Outcome;
use crate::support::processes::{all, signal, stop, wait_until};
use crate::support::rig::{Rig, event, fixture, letter, sha256};
use crate::support::s3::S3;
use crate::support::worker::Worker;

/// Recovery takes no longer than this after the broker answers again.
const RECOVERY: Duration = Duration::from_secs(10);

/// How many jobs a fault has to bear.
pub fn jobs() -> usize {
    std::env::var("JOBS").map_or(200, |text| text.parse().expect("JOBS is a number"))
}

/// How long so many jobs may take in the end.
pub fn patience() -> Duration {
    Duration::from_secs(60) + Duration::from_millis(300) * u32::try_from(jobs()).expect("a sensible number")
}

/// One part of the jobs in so many; one job at least.
pub fn part(of: usize) -> usize {
    (jobs() / of).max(1)
}

/// Asks for all, spread over time, so that the load goes on before, while and after something happens: so many at a time,
/// with a pause between. The last ones are held back until it has happened.
pub fn spread(rig: &Rig, letters: &[Letter], has_happened: impl Fn() -> bool) {
    const HANDFUL: usize = 10;
    const PAUSE: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + patience();
    let handfuls = letters.chunks(HANDFUL);
    let count = handfuls.len();
    for (n, handful) in handfuls.enumerate() {
        while n + 1 == count && !has_happened() {
            assert!(Instant::now() < deadline, "what the load is to last for does not happen");
            sleep(PAUSE);
        }
        rig.bus.publish_all(handful);
        sleep(PAUSE);
    }
}

/// A trial that is going on.
pub struct Trial<'a> {
    fault: &'static str,
    rig: &'a Rig,
    asked: BTreeSet<String>,
    /// Messages beside those, which take a worker's time as well.
    others: usize,
    pids: BTreeSet<i32>,
    recovery: Option<Instant>,
    s3: Option<&'a S3>,
    expected: fn(&Outcome) -> bool,
}

/// What came of it: a line of the table.
#[derive(Debug, Default, PartialEq)]
struct Result {
    jobs: usize,
    lost: usize,
    unexpected: Vec<String>,
    duplicates: usize,
    contradictions: usize,
    wrong_objects: usize,
    /// Begun, and neither completed nor aborted; nothing where there is no S3.
    uploads: Option<usize>,
    leaked: usize,
    recovery_s: Option<f64>,
}

impl<'a> Trial<'a> {
    /// Nothing asked yet.
    pub fn of(fault: &'static str, rig: &'a Rig) -> Self {
        let expected = |outcome: &Outcome| outcome.word == "normalized";
        Self {
            fault,
            rig,
            asked: BTreeSet::new(),
            others: 0,
            pids: BTreeSet::new(),
            recovery: None,
            s3: None,
            expected,
        }
    }

    /// Outcomes other than *normalized* are right, too.
    pub fn expect(&mut self, expected: fn(&Outcome) -> bool) {
        self.expected = expected;
    }

    /// So many messages are published beside those that are asked for.
    pub fn beside(&mut self, others: usize) {
        self.others = others;
    }

    /// Unfinished uploads to this server count.
    pub fn uploads_to(&mut self, s3: &'a S3) {
        self.s3 = Some(s3);
    }

    /// A worker whose processes are looked after.
    pub fn worker(&mut self) -> Worker {
        let worker = self.rig.worker();
        self.know(&worker);
        worker
    }

    /// Looks after the processes of a worker.
    pub fn know(&mut self, worker: &Worker) {
        self.pids.insert(worker.pid());
    }

    /// Asks for so many files: mostly small ones, a voice note now and then.
    pub fn ask(&mut self, count: usize) {
        let letters = self.letters(count);
        self.rig.bus.publish_all(&letters);
    }

    /// Stops a worker as it is, and asks for so many files: none of them is done before the worker is resumed.
    pub fn pause_with(&mut self, worker: &Worker, count: usize) {
        worker.pause();
        self.ask(count);
    }

    /// Stops a child in the middle of its work, when `holds`, and gives back whose of these workers it is and its process
    /// id. What takes the time that this takes is a film; one that is done all the same is asked for again.
    #[track_caller]
    pub fn catch(&mut self, workers: &[&Worker], holds: impl Fn() -> bool) -> (usize, i32) {
        let deadline = Instant::now() + patience();
        loop {
            let media_id = format!("video-{}", self.asked());
            self.ask_for(&event(&media_id, &fixture("browser.webm")));
            while self.rig.bus.ledger().of(&media_id).is_empty() {
                assert!(Instant::now() < deadline, "no child is caught at its work");
                let at_work = workers.iter().enumerate().map(|(n, worker)| (n, worker.job_children()));
                let child = at_work.filter_map(|(n, children)| Some((n, *children.first()?))).next();
                if let Some((n, child)) = child.filter(|(_, child)| holds() && stop(*child)) {
                    if holds() {
                        return (n, child);
                    }
                    // Another one's work was seen.
                    signal(child, Signal::CONT);
                }
                sleep(Duration::from_millis(1));
            }
        }
    }

    /// Asks for one file by its event, whose media id is new.
    pub fn ask_for(&mut self, event: &Value) {
        self.asked.insert(event["data"]["media_id"].as_str().expect("an id").to_owned());
        self.rig.bus.publish(&letter(event));
    }

    /// As [`Trial::ask_for`], for a message that the caller publishes.
    pub fn note(&mut self, event: &Value) -> Letter {
        self.asked.insert(event["data"]["media_id"].as_str().expect("an id").to_owned());
        letter(event)
    }

    /// The next of the usual files.
    pub fn next_event(&mut self) -> Value {
        const SMALL: [&str; 4] = ["contact.vcf", "note.txt", "invoice.pdf", "letter.docx"];
        let n = self.asked.len();
        let name = if n % 25 == 24 { "voice-amr.amr" } else { SMALL[n % SMALL.len()] };
        let media_id = format!("job-{n}");
        self.asked.insert(media_id.clone());
        event(&media_id, &fixture(name))
    }

    /// So many of the usual files, for the caller to ask for.
    pub fn letters(&mut self, count: usize) -> Vec<Letter> {
        (0..count).map(|_| letter(&self.next_event())).collect()
    }

    /// How many were asked for.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Waits until so many files have an outcome.
    #[track_caller]
    pub fn heard(&self, count: usize) {
        let others = Duration::from_millis(60) * u32::try_from(self.others).expect("a sensible number");
        self.rig.bus.ledger().wait_for_files(count, patience() + others);
    }

    /// From here on the time to the next outcome counts as recovery.
    pub fn is_over(&mut self) {
        self.recovery = Some(Instant::now());
    }

    /// Waits for all outcomes, stops the workers, and counts.
    #[track_caller]
    pub fn ends(mut self, workers: impl IntoIterator<Item = Worker>) {
        self.heard(self.asked.len());
        let lanes = ["audio", "audio.later", "bulk", "bulk.later"];
        let ladder = ["retry.audio.1s", "retry.audio.2s", "retry.bulk.1s", "retry.bulk.2s"];
        let work = [lanes, ladder].concat();
        wait_until("empty queues", || work.iter().all(|queue| self.rig.bus.depth(queue).ready == 0));
        for worker in workers {
            self.know(&worker);
            worker.stops();
        }
        // What a stopping worker held would be back by now.
        let left: Vec<_> = work.iter().filter(|queue| self.rig.bus.depth(queue).ready > 0).collect();
        assert!(left.is_empty(), "left in {left:?}");
        // The next worker tidies up after the dead.
        self.rig.worker().stops();
        let result = self.count();
        self.write(&result);
        let good = Result {
            jobs: result.jobs,
            duplicates: result.duplicates,
            uploads: result.uploads.map(|_| 0),
            recovery_s: result.recovery_s,
            ..Result::default()
        };
        assert_eq!(result, good);
        assert!(result.recovery_s.is_none_or(|s| s <= RECOVERY.as_secs_f64()), "{result:?}");
    }

    fn count(&self) -> Result {
        let uploads = self.s3.map(|s3| block_on(s3.pending_uploads()));
        let mut result = Result { jobs: self.asked.len(), leaked: self.leaked(), uploads, ..Result::default() };
        let store = block_on(Store::connect(&self.rig.config().store)).expect("a store");
        let heard = self.rig.bus.ledger().all();
        result.unexpected = heard.keys().filter(|media_id| !self.asked.contains(*media_id)).cloned().collect();
        for media_id in &self.asked {
            let Some(outcomes) = heard.get(media_id) else {
                result.lost += 1;
                continue;
            };
            let first = &outcomes[0];
            result.duplicates += outcomes.len() - 1;
            let same = |one: &Outcome| {
                (one.id(), &one.word, one.data()["assets"] == first.data()["assets"]) == (first.id(), &first.word, true)
            };
            result.contradictions += usize::from(!outcomes.iter().all(same));
            if !(self.expected)(first) {
                result.unexpected.push(first.event.to_string());
            }
            for asset in first.data()["assets"].as_array().into_iter().flatten() {
                let key = asset["key"].as_str().expect("a key");
                let bytes = block_on(store.get(key)).expect("the store answers");
                let right = bytes.is_some_and(|bytes| asset["sha256"] == sha256(&bytes));
                result.wrong_objects += usize::from(!right);
            }
        }
        let ledger = self.rig.bus.ledger();
        let recovered = self.recovery.map(|over| (over, ledger.first_heard_after(over)));
        result.recovery_s = recovered.map(|(over, at)| at.map_or(0.0, |at| (at - over).as_secs_f64()));
        result
    }

    /// Processes and scratch folders of workers that are gone.
    fn leaked(&self) -> usize {
        let processes = all().into_iter().filter(|process| self.is_ours(process.pid)).count();
        processes + std::fs::read_dir(self.rig.scratch()).expect("scratch space").count()
    }

    /// Whether it is a worker, or has one as its parent on its command line, as every sandboxed process has.
    fn is_ours(&self, pid: i32) -> bool {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let parent = words.get(5).and_then(|word| word.parse().ok());
        let sandboxed = words.get(1).is_some_and(|word| word == "fork-server" || word == "job-child");
        self.pids.contains(&pid) || (sandboxed && parent.is_some_and(|parent: i32| self.pids.contains(&parent)))
    }

    fn write(&self, result: &Result) {
        let mut line = format!("| {} | {} | {} | {} |", self.fault, result.jobs, result.lost, result.duplicates);
        let Result { wrong_objects, contradictions, leaked, .. } = result;
        let uploads = result.uploads.map_or("–".to_owned(), |uploads| uploads.to_string());
        write!(line, " {} | {uploads} | {leaked} |", wrong_objects + contradictions).expect("a string");
        let recovery = result.recovery_s.map_or("–".to_owned(), |seconds| format!("{seconds:.1}"));
        writeln!(line, " {recovery} |").expect("a string");
        eprint!("{line}");
        if let Some(dir) = std::env::var_os("FAULTS_TABLE") {
            let name = self.fault.replace(|c: char| !c.is_alphanumeric(), "-");
            std::fs::write(std::path::Path::new(&dir).join(name), line).expect("a line of the table");
        }
    }
}
