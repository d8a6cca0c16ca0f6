//! Who opened what: entries of the audit log.
//!
//! What shows or gives out media is answered after its entry is stored, so that a process that is killed has told nobody anything
//! that the log does not know. Entries of requests that come while others are being stored are stored together, as one object: a
//! request waits for at most two writes to the store, however many there are. The same by the same person within
//! `catalog.audit_repeat_s` is one entry, so that a player that asks for a hundred ranges waits once.
//!
//! Refusals do not wait: they are stored with the next batch, and a kill may lose those of the last moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Api;
use super::problem::Refusal;
use crate::error::Code;
use crate::privacy::ContactHash;
use crate::privacy::audit::{Action, AuditLog, Entry};
use crate::roles::catalog::index::Row;

/// Entries that wait to be stored; a request for which there is no place waits, and a refusal is left out and counted in the log.
const QUEUE: usize = 4096;
/// Most entries of one object.
const BATCH: usize = 500;
/// Repetitions that are remembered.
const MAX_RECENT: usize = 65_536;
/// How long a batch of refusals alone waits after the store refused it.
const PAUSE: Duration = Duration::from_secs(5);
/// New entries are sealed by a checkpoint after this, and when the process ends.
const CHECKPOINT: Duration = Duration::from_secs(600);
/// Actor of a request by nobody known.
const NOBODY: &str = "nobody known";

/// What is found out about a request while it is answered. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    actor: OnceLock<String>,
    tenant: OnceLock<String>,
    media: OnceLock<(String, Vec<ContactHash>)>,
}

impl Trail {
    pub(super) fn of(request: &Parts) -> Self {
        request.extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Who asks. The first answer counts.
    pub(super) fn is_by(&self, actor: String) {
        self.0.actor.get_or_init(|| actor);
    }

    /// Whose media is asked for, where the caller may know the tenant.
    pub(super) fn is_of(&self, tenant: &str) {
        self.0.tenant.get_or_init(|| tenant.to_owned());
    }

    /// Which media is asked for. One that does not exist is not named: the path could have anything in it.
    pub(super) fn is_for(&self, row: &Row) {
        self.is_of(&row.tenant);
        self.0.media.get_or_init(|| (row.media_id.clone(), hashes(row.contacts.iter().map(String::as_str))));
    }

    /// An entry about what was found out.
    pub(super) fn entry(&self, action: Action) -> Entry {
        let actor = self.0.actor.get().map_or(NOBODY, String::as_str);
        let mut entry = Entry::now(actor, action, self.0.tenant.get().map_or("", String::as_str));
        if let Some((media_id, contacts)) = self.0.media.get() {
            entry.media_id = Some(media_id.clone());
            entry.contact.clone_from(contacts);
        }
        entry
    }
}

/// Hashes as they stand in the index and in paths, each once. What is none is left out.
pub(super) fn hashes<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<ContactHash> {
    let mut hashes: Vec<_> = texts.filter_map(ContactHash::from_hex).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

type Waiting = oneshot::Sender<bool>;

enum Job {
    Entry(Entry, Option<Waiting>),
    /// Everything before it is to be stored and sealed.
    Flush(oneshot::Sender<()>),
}

/// Adds entries to the audit log.
#[derive(Debug)]
pub(super) struct Recorder {
    jobs: mpsc::Sender<Job>,
    recent: Mutex<HashMap<[u8; 32], Instant>>,
    repeat: Duration,
}

impl Recorder {
    /// To be made within a runtime: a task of it stores the entries.
    pub(super) fn new(log: AuditLog, repeat_s: u64) -> Self {
        let (jobs, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(Storing { log, jobs: receiver, left: Vec::new(), unsealed_since: None }.run());
        Self { jobs, recent: Mutex::default(), repeat: Duration::from_secs(repeat_s) }
    }

    /// Stores an entry, or finds that there was the same a short while ago.
    async fn record(&self, entry: Entry) -> Result<(), Refusal> {
        let key = key(&entry);
        if self.was_there(&key) {
            return Ok(());
        }
        let (done, stored) = oneshot::channel();
        let sent = self.jobs.send(Job::Entry(entry, Some(done))).await.is_ok();
        if sent && stored.await.unwrap_or(false) {
            self.remember(key);
            return Ok(());
        }
        Err(Refusal::of(Code::StoreUnavailable))
    }

    fn record_later(&self, entry: Entry) {
        let key = key(&entry);
        if self.was_there(&key) {
            return;
        }
        if self.jobs.try_send(Job::Entry(entry, None)).is_ok() {
            self.remember(key);
        } else {
            tracing::warn!("a refusal is not in the audit log: too many entries wait to be stored");
        }
    }

    /// Waits until everything before is stored, or was refused by the store.
    async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            // Where the task is gone nothing waits any more.
            drop(flushed.await);
        }
    }

    fn was_there(&self, key: &[u8; 32]) -> bool {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(key).is_some_and(|at| at.elapsed() < self.repeat)
    }

    fn remember(&self, key: [u8; 32]) {
        if self.repeat.is_zero() {
            return;
        }
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= MAX_RECENT {
            recent.retain(|_, at| at.elapsed() < self.repeat);
            // Still too many: some are written once more than needed.
            if recent.len() >= MAX_RECENT {
                recent.clear();
            }
        }
        recent.insert(key, Instant::now());
    }
}

/// What is the same in a repetition: all but the time.
fn key(entry: &Entry) -> [u8; 32] {
    let entry = Entry { time: Timestamp::UNIX_EPOCH, ..entry.clone() };
    Sha256::digest(serde_json::to_vec(&entry).unwrap_or_default()).into()
}

/// The task that stores entries.
struct Storing {
    log: AuditLog,
    jobs: mpsc::Receiver<Job>,
    /// Refusals that could not be stored yet.
    left: Vec<Entry>,
    unsealed_since: Option<Instant>,
}

impl Storing {
    async fn run(mut self) {
        let mut jobs = Vec::new();
        loop {
            let limit = match self.unsealed_since {
                _ if !self.left.is_empty() => PAUSE,
                Some(since) => CHECKPOINT.saturating_sub(since.elapsed()),
                None => Duration::MAX,
            };
            match timeout(limit, self.jobs.recv_many(&mut jobs, BATCH)).await {
                Ok(0) => return,
                Ok(_) => self.store(std::mem::take(&mut jobs)).await,
                Err(_elapsed) if !self.left.is_empty() => self.store(Vec::new()).await,
                Err(_elapsed) => self.seal().await,
            }
        }
    }

    async fn store(&mut self, jobs: Vec<Job>) {
        let later = self.left.len();
        let (mut entries, mut waiting, mut flushes) = (std::mem::take(&mut self.left), Vec::new(), Vec::new());
        let mut refusals = entries.clone();
        for job in jobs {
            match job {
                Job::Entry(entry, Some(done)) => {
                    entries.push(entry);
                    waiting.push(done);
                }
                Job::Entry(entry, None) => {
                    refusals.push(entry.clone());
                    entries.push(entry);
                }
                Job::Flush(done) => flushes.push(done),
            }
        }
        let stored = self.log.append(&entries).await;
        if let Err(error) = &stored {
            tracing::error!(%error, entries = entries.len(), "the audit log takes no entries: nothing is shown until it does");
            refusals.truncate(QUEUE.max(later));
            self.left = refusals;
        } else if !entries.is_empty() {
            self.unsealed_since.get_or_insert_with(Instant::now);
        }
        for done in waiting {
            // Who asked may have gone.
            done.send(stored.is_ok()).ok();
        }
        if !flushes.is_empty() || self.unsealed_since.is_some_and(|since| since.elapsed() >= CHECKPOINT) {
            self.seal().await;
        }
        for done in flushes {
            done.send(()).ok();
        }
    }

    /// Signs what was added, where anything was.
    async fn seal(&mut self) {
        if self.unsealed_since.is_some() {
            match self.log.checkpoint().await {
                Ok(_) => self.unsealed_since = None,
                Err(error) => {
                    tracing::error!(%error, "the audit log cannot be sealed");
                    self.unsealed_since = Some(Instant::now());
                }
            }
        }
    }
}

impl Api {
    /// Notes what is about to be shown, where there is an audit log.
    pub(super) async fn note(
        &self,
        request: &Parts,
        action: Action,
        edit: impl FnOnce(&mut Entry),
    ) -> Result<(), Refusal> {
        let Some(recorder) = &self.0.recorder else { return Ok(()) };
        let mut entry = Trail::of(request).entry(action);
        edit(&mut entry);
        recorder.record(entry).await
    }

    /// Notes that somebody asked for what is not theirs.
    pub(super) fn note_refusal(&self, trail: &Trail, refusal: &Refusal) {
        if let Some(recorder) = self.0.recorder.as_ref().filter(|_| refusal.is_denial()) {
            let mut entry = trail.entry(Action::Refused);
            entry.about = Some(refusal.code.as_str().to_owned());
            recorder.record_later(entry);
        }
    }

    /// Stores and seals what the audit log has not yet, at the end of the process.
    pub(super) async fn flush(&self) {
        if let Some(recorder) = &self.0.recorder {
            recorder.flush().await;
        }
    }
}
