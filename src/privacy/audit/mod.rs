//! The audit log: who did what with whose media. Entries are only ever added, as objects below `.catalog/audit/`, so that the log
//! outlives any database. A checkpoint signs how many entries there are and the root of a Merkle tree over them, in the formats of
//! the public transparency logs, so that software that is not ours can verify it. A changed byte and a missing entry change the
//! root, and a tail that is cut off leaves fewer entries than a checkpoint says.
//!
//! Formats: RFC 6962 section 2.1 (tree), C2SP signed-note and tlog-checkpoint (<https://c2sp.org/tlog-checkpoint>).
//!
//! | key below `.catalog/audit/` | what it is |
//! |---|---|
//! | `entries/<number of its first entry, 16 digits>.jsonl` | entries, one JSON object a line |
//! | `checkpoints/<number of entries, 16 digits>` | a signed checkpoint |
//! | `frontier.json` | the right edge of the tree at the last checkpoint, which saves reading all entries again |

mod entry;
mod find;
mod note;
mod tree;
mod verify;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

pub use entry::{Action, Entry};
pub use find::{
    AuditIndex, FindError, IndexError, Named, Place as AuditPlace, about_media, about_person, entries_about, extend,
};
pub use note::{NoteError, Signer, Verifier};
pub use verify::{AuditError, Verified, verify};

use crate::config;
use crate::store::{MAX_PAGE, PutOptions, Store, StoreError};
use tree::Tree;

const ENTRIES: &str = "entries";
const CHECKPOINTS: &str = "checkpoints";
/// Segments that are read at the same time.
const AT_ONCE: usize = 16;
/// How often others may add entries while these are about to be added.
const MAX_RACES: usize = 64;
const JSON_LINES: PutOptions<'static> = PutOptions::of("application/x-ndjson");
const TEXT: PutOptions<'static> = PutOptions::of("text/plain; charset=utf-8");

/// The log of one store. Cheap to clone; several processes may write to it.
#[derive(Debug, Clone)]
pub struct AuditLog {
    store: Store,
    signer: Arc<Signer>,
    /// The part of the log that this process has seen.
    seen: Arc<Mutex<Tree>>,
}

impl AuditLog {
    /// As configured, in this store; nothing where no key is configured.
    ///
    /// # Errors
    /// [`NoteError`] where the key is no seed of Ed25519.
    pub fn new(config: &config::Privacy, store: &Store) -> Result<Option<Self>, NoteError> {
        if config.audit_key.is_empty() {
            return Ok(None);
        }
        let signer = Signer::new(&config.audit_name, &config.audit_key.expose())?;
        Ok(Some(Self { store: store.clone(), signer: Arc::new(signer), seen: Arc::default() }))
    }

    /// Adds entries. When this returns they are stored.
    ///
    /// # Errors
    /// [`StoreError`]; then they may be stored or not, and a repetition may add them twice.
    pub async fn append(&self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for entry in entries {
            lines.extend(serde_json::to_vec(entry).map_err(|_| unreadable())?);
            lines.push(b'\n');
        }
        let lines = Bytes::from(lines);
        let mut seen = self.seen.lock().await;
        begin_at_frontier(&self.store, &mut seen).await?;
        for _ in 0..MAX_RACES {
            if self.store.put_new(&segment_key(&self.store, seen.size()), lines.clone(), JSON_LINES).await? {
                add_lines(&mut seen, &lines);
                return Ok(());
            }
            read_on(&self.store, &mut seen).await?;
        }
        let (action, detail) = ("add to the audit log", "others add entries all the time".to_owned());
        Err(StoreError::Unavailable { action, detail, source: None })
    }

    /// Signs the log as it is now. The checkpoint, which is worth keeping elsewhere too: whoever can write to the store could
    /// remove entries together with every checkpoint that knows of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn checkpoint(&self) -> Result<String, StoreError> {
        let mut seen = self.seen.lock().await;
        begin_at_frontier(&self.store, &mut seen).await?;
        read_on(&self.store, &mut seen).await?;
        let note = self.signer.checkpoint(seen.size(), &seen.root());
        let key = self.store.catalog_key(&["audit", CHECKPOINTS, &format!("{:016}", seen.size())]);
        self.store.put_new(&key, Bytes::from(note.clone()), TEXT).await?;
        let frontier = serde_json::to_vec(&*seen).map_err(|_| unreadable())?;
        self.store.put_bytes(&frontier_key(&self.store), Bytes::from(frontier), TEXT).await?;
        tracing::info!(entries = seen.size(), root = hex::encode(seen.root()), "audit log: a checkpoint is signed");
        Ok(note)
    }

    /// Who can verify the checkpoints.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        self.signer.verifier()
    }
}

/// All entries, in order.
///
/// # Errors
/// [`StoreError`]; a line that is no entry is [`StoreError::Invalid`].
pub async fn entries(store: &Store) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    let segments = keys(store, ENTRIES).await?;
    let reads: Vec<_> = segments.iter().map(|key| store.get(key)).collect();
    let mut reads = stream::iter(reads).buffered(AT_ONCE);
    while let Some(lines) = reads.next().await {
        let lines = lines?.unwrap_or_default();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            entries.push(serde_json::from_slice(line).map_err(|_| unreadable())?);
        }
    }
    Ok(entries)
}

fn segment_key(store: &Store, first: u64) -> String {
    store.catalog_key(&["audit", ENTRIES, &format!("{first:016}.jsonl")])
}

fn frontier_key(store: &Store) -> String {
    store.catalog_key(&["audit", "frontier.json"])
}

/// Where nothing was seen yet: the tree as the last checkpoint left it, so that not every entry is read to add one. Whoever changes
/// that object spoils the checkpoints that come after, which `verify` finds; it reads every entry.
async fn begin_at_frontier(store: &Store, tree: &mut Tree) -> Result<(), StoreError> {
    if tree.size() == 0
        && let Some(bytes) = store.get(&frontier_key(store)).await?
    {
        *tree = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    }
    Ok(())
}

/// Adds what stands behind the part that was seen.
async fn read_on(store: &Store, tree: &mut Tree) -> Result<(), StoreError> {
    while let Some(lines) = store.get(&segment_key(store, tree.size())).await? {
        if !add_lines(tree, &lines) {
            return Err(unreadable());
        }
    }
    Ok(())
}

/// Adds the entries of a segment; whether there was any, and each ended.
fn add_lines(tree: &mut Tree, lines: &[u8]) -> bool {
    let Some(lines) = lines.strip_suffix(b"\n") else { return false };
    lines.split(|byte| *byte == b'\n').for_each(|line| tree.add(line));
    true
}

/// Keys of a folder of the log, in the order of their numbers.
async fn keys(store: &Store, folder: &str) -> Result<Vec<String>, StoreError> {
    let prefix = store.catalog_key(&["audit", folder]) + "/";
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(&prefix, after.as_ref(), MAX_PAGE).await?;
        keys.extend(page.objects.into_iter().map(|object| object.key));
        after = page.next;
        if after.is_none() {
            keys.sort_unstable();
            return Ok(keys);
        }
    }
}

fn unreadable() -> StoreError {
    let detail = "a segment of it has no complete entry".to_owned();
    StoreError::Invalid { action: "read the audit log", detail }
}
