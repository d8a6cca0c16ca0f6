//! Verifies the audit log as a whole: every entry that is there against every checkpoint that is there.

use super::note::{NoteError, Verifier};
use super::tree::Tree;
use super::{CHECKPOINTS, ENTRIES, add_lines, keys, segment_key};
use crate::store::{Store, StoreError};

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Entries that there are.
    pub entries: u64,
    /// Entries that the latest checkpoint signs.
    pub sealed: u64,
    /// Checkpoints, each of which fits.
    pub checkpoints: u64,
}

/// What is wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not all of it could be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Entries are missing in between.
    #[error("entry {missing} is missing, and later ones are there")]
    Gap {
        /// Number of the first missing one, from 0.
        missing: u64,
    },
    /// An object that is no list of entries.
    #[error("the entries from {first} on are damaged")]
    Damaged {
        /// Number of the first one, from 0.
        first: u64,
    },
    /// A checkpoint cannot be believed.
    #[error("the checkpoint over {size} entries: {error}")]
    Checkpoint {
        /// What it is named after.
        size: String,
        /// Why not.
        error: NoteError,
    },
    /// Fewer entries than were signed.
    #[error("a checkpoint signs {signed} entries, and there are {entries}: the tail is cut off")]
    Cut {
        /// As many as were signed.
        signed: u64,
        /// As many as there are.
        entries: u64,
    },
    /// Entries are not those that were signed.
    #[error("the first {size} entries are not those that a checkpoint signs")]
    Changed {
        /// How many it signs.
        size: u64,
    },
    /// Nothing is signed.
    #[error("there are {entries} entries and no checkpoint")]
    Unsigned {
        /// As many as there are.
        entries: u64,
    },
}

/// Verifies the log of a store. `kept` are checkpoints that were kept elsewhere: they are held against the log as its own are.
///
/// # Errors
/// [`AuditError`]: the first thing that is wrong.
pub async fn verify(store: &Store, verifier: &Verifier, kept: &[String]) -> Result<Verified, AuditError> {
    let mut signed = Vec::new();
    for key in keys(store, CHECKPOINTS).await? {
        let size = key.rsplit('/').next().unwrap_or_default().to_owned();
        let note = store.get(&key).await?.unwrap_or_default();
        let opened = verifier.open(&String::from_utf8_lossy(&note));
        signed.push(opened.map_err(|error| AuditError::Checkpoint { size, error })?);
    }
    let checkpoints = u64::try_from(signed.len()).unwrap_or(u64::MAX);
    for note in kept {
        let opened = verifier.open(note);
        signed.push(opened.map_err(|error| AuditError::Checkpoint { size: "that was kept".to_owned(), error })?);
    }
    signed.sort_by_key(|checkpoint| checkpoint.size);
    let (mut tree, mut next) = (Tree::default(), signed.iter().peekable());
    for key in keys(store, ENTRIES).await? {
        let first = tree.size();
        if key != segment_key(store, first) {
            return Err(AuditError::Gap { missing: first });
        }
        let lines = store.get(&key).await?.unwrap_or_default();
        // Where a checkpoint ends within a segment, it is compared there.
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            while let Some(checkpoint) = next.next_if(|checkpoint| checkpoint.size == tree.size()) {
                if checkpoint.root != tree.root() {
                    return Err(AuditError::Changed { size: checkpoint.size });
                }
            }
            if !add_lines(&mut tree, line) {
                return Err(AuditError::Damaged { first });
            }
        }
        if tree.size() == first {
            return Err(AuditError::Damaged { first });
        }
    }
    let entries = tree.size();
    for checkpoint in next {
        if checkpoint.size > entries {
            return Err(AuditError::Cut { signed: checkpoint.size, entries });
        }
        if checkpoint.root != tree.root() {
            return Err(AuditError::Changed { size: checkpoint.size });
        }
    }
    let Some(last) = signed.last() else {
        return if entries == 0 {
            Ok(Verified { entries: 0, sealed: 0, checkpoints: 0 })
        } else {
            Err(AuditError::Unsigned { entries })
        };
    };
    Ok(Verified { entries, sealed: last.size, checkpoints })
}
