//! Finds the entries about somebody without reading the whole log. An index says in which segments a person or a media is named, up
//! to a place in the log; what stands behind that place is read. The index can be lost, and is made again from the log.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{AT_ONCE, ENTRIES, Entry, entries, keys, segment_key, unreadable};
use crate::privacy::ContactHash;
use crate::store::{Store, StoreError};

/// About so many names are stored by one transaction.
const BATCH: usize = 2_000;

/// That a segment has an entry about somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Whose media.
    pub tenant: String,
    /// See [`about_person`] and [`about_media`].
    pub about: String,
    /// Number of the segment's first entry.
    pub segment: u64,
}

/// Up to where an index knows the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// How many entries there are before it.
    pub entries: u64,
    /// The segment before it: number of its first entry, and SHA-256 of its bytes in hex. By these it is noticed that the log is
    /// another one, from a backup.
    pub last: Option<(u64, String)>,
}

/// Why an index could not be asked or extended: what its database says.
pub type IndexError = Box<dyn std::error::Error + Send + Sync>;

/// An index of the log. Several processes may extend it.
#[async_trait]
pub trait AuditIndex: Send + Sync {
    /// Up to where it knows the log.
    ///
    /// # Errors
    /// [`IndexError`]
    async fn place(&self) -> Result<Place, IndexError>;

    /// Segments that name somebody, in any order.
    ///
    /// # Errors
    /// [`IndexError`]
    async fn segments(&self, tenant: &str, about: &str) -> Result<Vec<u64>, IndexError>;

    /// Adds what the segments between two places name. Whether it did: not where another process has extended it from there.
    ///
    /// # Errors
    /// [`IndexError`]; then nothing has changed.
    async fn add_named(&self, named: &[Named], from: &Place, to: &Place) -> Result<bool, IndexError>;

    /// Forgets everything, so that the log is read from its beginning, where it still is at this place.
    ///
    /// # Errors
    /// [`IndexError`]; then nothing has changed.
    async fn forget_named(&self, from: &Place) -> Result<(), IndexError>;
}

/// Why an index was not extended to the end. What it has stays.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error("{0}")]
    Index(#[from] IndexError),
}

/// How an index names a person or a conversation.
#[must_use]
pub fn about_person(hash: &ContactHash) -> String {
    hash.as_str().to_owned()
}

/// How an index names a media. No hash has a colon.
#[must_use]
pub fn about_media(media_id: &str) -> String {
    format!("media:{media_id}")
}

/// Whom and what an entry is about.
fn about(entry: &Entry) -> impl Iterator<Item = String> {
    entry.contact.iter().map(about_person).chain(entry.media_id.as_deref().map(about_media))
}

/// Extends an index to the end of the log. How many entries it knows now. With `past_gaps`, all segments are listed, and the index
/// goes on behind entries that are missing; without, it ends before them.
///
/// # Errors
/// [`FindError`]
pub async fn extend(store: &Store, index: &dyn AuditIndex, past_gaps: bool) -> Result<u64, FindError> {
    let mut place = index.place().await?;
    if !fits(store, &place).await? {
        tracing::warn!(
            entries = place.entries,
            "the audit log is not the one that its index was made from: it is read again"
        );
        index.forget_named(&place).await?;
        place = index.place().await?;
    }
    loop {
        let (named, mut next) = read_on(store, &place).await?;
        if next == place {
            let Some(segment) = (if past_gaps { behind(store, place.entries).await? } else { None }) else {
                return Ok(place.entries);
            };
            tracing::error!(
                from = place.entries,
                to = segment,
                "entries of the audit log are missing: mediamill audit verify says more; its index goes on behind them"
            );
            next.entries = segment;
        }
        if !index.add_named(&named, &place, &next).await? {
            return Ok(place.entries);
        }
        place = next;
    }
}

/// What the next segments name, and the place behind them.
async fn read_on(store: &Store, place: &Place) -> Result<(Vec<Named>, Place), StoreError> {
    let (mut named, mut next) = (BTreeSet::new(), place.clone());
    while named.len() < BATCH
        && let Some(lines) = store.get(&segment_key(store, next.entries)).await?
    {
        let segment = next.entries;
        let entries = parse(&lines)?;
        for entry in &entries {
            let of = |about| Named { tenant: entry.tenant.clone(), about, segment };
            named.extend(about(entry).map(of));
        }
        next.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        next.last = Some((segment, hex::encode(Sha256::digest(&lines))));
    }
    Ok((named.into_iter().collect(), next))
}

/// Number of the first segment from behind an entry on.
async fn behind(store: &Store, entry: u64) -> Result<Option<u64>, StoreError> {
    let number = |key: &String| key.rsplit('/').next()?.strip_suffix(".jsonl")?.parse::<u64>().ok();
    Ok(keys(store, ENTRIES).await?.iter().filter_map(number).find(|segment| *segment > entry))
}

/// Whether the segment before a place is the one that the index has read.
async fn fits(store: &Store, place: &Place) -> Result<bool, StoreError> {
    let Some((segment, sha256)) = &place.last else { return Ok(true) };
    let lines = store.get(&segment_key(store, *segment)).await?;
    Ok(lines.is_some_and(|lines| hex::encode(Sha256::digest(&lines)) == *sha256))
}

/// The entries of a segment.
fn parse(lines: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let lines = lines.strip_suffix(b"\n").ok_or_else(unreadable)?;
    lines.split(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).map_err(|_| unreadable())).collect()
}

/// The entries of a tenant about any of these, in order. Without an index, and where it cannot be asked or is of another log, every
/// entry is read.
///
/// # Errors
/// [`StoreError`]; a line that is no entry is [`StoreError::Invalid`].
pub async fn entries_about(
    store: &Store,
    index: Option<&dyn AuditIndex>,
    tenant: &str,
    whom: &BTreeSet<String>,
) -> Result<Vec<Entry>, StoreError> {
    let found = match index {
        Some(index) => by_index(store, index, tenant, whom).await,
        None => Ok(None),
    };
    let mut found = match found {
        Ok(Some(found)) => found,
        Ok(None) => entries(store).await?,
        Err(FindError::Store(error)) => return Err(error),
        Err(FindError::Index(error)) => {
            tracing::warn!(%error, "the index of the audit log cannot be asked: every entry is read");
            entries(store).await?
        }
    };
    found.retain(|entry| entry.tenant == tenant && about(entry).any(|about| whom.contains(&about)));
    Ok(found)
}

/// The entries of all segments that may have some about these; nothing where the index is of another log.
async fn by_index(
    store: &Store,
    index: &dyn AuditIndex,
    tenant: &str,
    whom: &BTreeSet<String>,
) -> Result<Option<Vec<Entry>>, FindError> {
    let place = index.place().await?;
    if !fits(store, &place).await? {
        return Ok(None);
    }
    let mut segments = BTreeSet::new();
    for about in whom {
        segments.extend(index.segments(tenant, about).await?);
    }
    // Behind the place everything is read: also what another process has added to the index meanwhile.
    segments.retain(|segment| *segment < place.entries);
    let reads = segments.into_iter().map(|segment| async move {
        let lines = store.get(&segment_key(store, segment)).await?;
        lines.map_or(Ok((segment, Vec::new())), |lines| parse(&lines).map(|entries| (segment, entries)))
    });
    let reads: Vec<_> = reads.collect();
    let read: BTreeMap<u64, Vec<Entry>> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut found: Vec<Entry> = read.into_values().flatten().collect();
    let mut next = place.entries;
    while let Some(lines) = store.get(&segment_key(store, next)).await? {
        let entries = parse(&lines)?;
        next += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        found.extend(entries);
    }
    Ok(Some(found))
}
