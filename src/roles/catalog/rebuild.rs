//! The index from what is in the store: manifests of every state, and what is kept below `.catalog/`. It may run while outcomes
//! come in, since changes lead to the same rows in any order, and again where it was broken off.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::index::{Change, Index};
use super::ingest::{Hasher, change_of_manifest, erased};
use super::overrides::{Kept, Overrides, Said};
use crate::database::DatabaseError;
use crate::events::{Erased, Manifest};
use crate::store::keys::MANIFEST;
use crate::store::{MAX_PAGE, Store, StoreError};

/// Most changes of one transaction.
const BATCH: usize = 200;

/// What a rebuild has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Manifests that were read.
    pub manifests: u64,
    /// Of those, tombstones.
    pub erased: u64,
    /// Objects below `.catalog/` that were read.
    pub overrides: u64,
    /// Rows that are different now.
    pub changed: u64,
    /// Manifests and objects that nobody can read: they are named in the log by their keys.
    pub unreadable: u64,
}

/// Why a rebuild has ended early. What it has stored stays.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] DatabaseError),
}

/// Reads a store into an index.
pub struct Rebuild<'a> {
    /// The store.
    pub store: &'a Store,
    /// The index.
    pub index: Arc<dyn Index>,
    /// Who messages are from.
    pub hasher: &'a Hasher,
}

impl Rebuild<'_> {
    /// Reads all of it. `progress` is told after each batch.
    ///
    /// # Errors
    /// [`RebuildError`]
    pub async fn run(&self, progress: &(dyn Fn(Rebuilt) + Send + Sync)) -> Result<Rebuilt, RebuildError> {
        let (mut done, mut batch) = (Rebuilt::default(), Vec::new());
        let overrides = Overrides::new(self.store.clone());
        // First what manifests cannot give: no row is shown in between that it would have changed.
        for kept in Kept::ALL {
            self.walk(&overrides.prefix(kept), Some(kept), &mut done, &mut batch, progress).await?;
        }
        self.store_batch(&mut batch, &mut done, 1).await?;
        let prefix = self.store.location().prefix();
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        self.walk(&prefix, None, &mut done, &mut batch, progress).await?;
        self.store_batch(&mut batch, &mut done, 1).await?;
        progress(done);
        Ok(done)
    }

    /// Reads the objects of this kind, or the manifests, below a prefix.
    async fn walk(
        &self,
        prefix: &str,
        kept: Option<Kept>,
        done: &mut Rebuilt,
        batch: &mut Vec<Change>,
        progress: &(dyn Fn(Rebuilt) + Send + Sync),
    ) -> Result<(), RebuildError> {
        // No tenant's folder begins with a dot.
        let own = format!("{prefix}.");
        let is_manifest = |key: &str| {
            key.strip_suffix(MANIFEST).is_some_and(|folder| folder.ends_with('/')) && !key.starts_with(&own)
        };
        let mut after = None;
        loop {
            let page = self.store.list(prefix, after.as_ref(), MAX_PAGE).await?;
            for object in page.objects {
                match kept {
                    Some(kept) => self.kept(kept, &object.key, done, batch).await?,
                    None if is_manifest(&object.key) => self.manifest(&object.key, done, batch).await?,
                    None => {}
                }
                if self.store_batch(batch, done, BATCH).await? {
                    progress(*done);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn kept(
        &self,
        kept: Kept,
        key: &str,
        done: &mut Rebuilt,
        batch: &mut Vec<Change>,
    ) -> Result<(), RebuildError> {
        let Some(json) = self.store.get(key).await? else { return Ok(()) };
        done.overrides += 1;
        match Overrides::read(kept, &json) {
            Some(Said::Change(change)) => batch.push(change),
            Some(Said::Revoked { link, at }) => self.index.revoke(&link, at).await?,
            None => {
                done.unreadable += 1;
                tracing::warn!(key, "an object of .catalog cannot be read: what it says is not in the index");
            }
        }
        Ok(())
    }

    async fn manifest(&self, key: &str, done: &mut Rebuilt, batch: &mut Vec<Change>) -> Result<(), RebuildError> {
        // Gone since it was listed.
        let Some(json) = self.store.get(key).await? else { return Ok(()) };
        done.manifests += 1;
        let change = match tombstone(&json) {
            Some(data) => {
                done.erased += 1;
                Some(erased(data, Timestamp::now()))
            }
            None => Manifest::read(&json).ok().and_then(|manifest| change_of_manifest(&manifest, self.hasher)),
        };
        match change {
            Some(change) => batch.push(change),
            None => {
                done.unreadable += 1;
                tracing::warn!(key, "a manifest cannot be read by this version: its media is not in the index");
            }
        }
        Ok(())
    }

    /// Stores the changes where there are at least so many. Whether it did.
    async fn store_batch(
        &self,
        batch: &mut Vec<Change>,
        done: &mut Rebuilt,
        least: usize,
    ) -> Result<bool, RebuildError> {
        if batch.is_empty() || batch.len() < least {
            return Ok(false);
        }
        done.changed += self.index.apply(batch).await?;
        batch.clear();
        Ok(true)
    }
}

/// What a manifest says of a media that was erased; nothing of any other.
fn tombstone(json: &[u8]) -> Option<Erased> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let is_erased = value.get("state").and_then(Value::as_str) == Some("erased");
    Erased::deserialize(value.get("data")?).ok().filter(|_| is_erased)
}
