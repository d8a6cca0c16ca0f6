//! Removing an object for good.
//!
//! In an account that keeps versions a plain DELETE makes the current version a previous one. So it comes first, snapshots
//! included, and then every version and snapshot is listed and removed by its name. It takes the permissions list, delete and
//! delete version. An account with soft delete keeps what was removed for its days, and nothing here makes them fewer.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Ask, Inner, Method, Purged, REMOVE, StoreError, missing, xml};

const LIST: &str = "list the versions of an object";
/// Requests on their way at the same time.
const AT_ONCE: usize = 8;
/// Five million versions; more are written as fast as they are removed.
const MAX_PAGES: usize = 1000;

/// One state of an object: the name of the query's parameter, and its value.
type State = (&'static str, String);

impl Inner {
    /// Removes the current object with its snapshots, or one state of it. Whether there was one.
    pub(super) async fn delete(&self, key: &str, state: Option<&State>) -> Result<bool, StoreError> {
        let mut url = self.dialect.address.object(&self.container, key);
        let mut ask = Ask::new(Method::DELETE, url.clone());
        if let Some((name, value)) = state {
            url.query_pairs_mut().append_pair(name, value);
            ask.url = url;
        } else {
            ask = ask.header("x-ms-delete-snapshots", "include")?;
        }
        match self.rest.done(REMOVE, &ask).await {
            Ok(_) => Ok(true),
            // Somebody else has removed it, or an attempt whose answer was lost.
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// How many states were removed.
    pub(super) async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        let was_there = self.delete(key, None).await?;
        let (mut removed, mut before) = (BTreeSet::new(), Vec::new());
        for _ in 0..MAX_PAGES {
            let states = self.states(key).await?;
            if states.is_empty() {
                // An account without versions lists nothing of what a plain DELETE has removed.
                return Ok((removed.len() as u64).max(u64::from(was_there)));
            }
            if states == before {
                return Err(StoreError::unavailable(REMOVE, "the store goes on listing what it has removed"));
            }
            let removals: Vec<_> = states.iter().map(|state| self.delete(key, state.as_ref())).collect();
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
            removed.extend(states.iter().cloned());
            before = states;
        }
        Err(StoreError::unavailable(LIST, "versions are written as fast as they are removed"))
    }

    /// Removes everything below a prefix, in every version and snapshot, but for the current object of one key.
    pub(super) async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        for _ in 0..MAX_PAGES {
            let mut found = self.all_below(prefix).await?;
            if let Some((keep, states)) = keep.and_then(|keep| Some((keep, found.remove(keep)?))) {
                for state in states.iter().flatten() {
                    let removed = self.delete(keep, Some(state)).await?;
                    purged.add(keep.to_owned(), u64::from(removed));
                }
            }
            if found.is_empty() {
                return Ok(purged);
            }
            for key in found.into_keys() {
                let removed = self.delete_all_versions(&key).await?;
                purged.add(key, removed);
            }
        }
        Err(StoreError::unavailable(LIST, "objects are written as fast as they are removed"))
    }

    /// Every key that begins with a prefix, with its states.
    async fn all_below(&self, prefix: &str) -> Result<BTreeMap<String, Vec<Option<State>>>, StoreError> {
        let (mut all, mut marker) = (BTreeMap::<String, Vec<Option<State>>>::new(), None);
        loop {
            let (blobs, next) = self.page_of_states(prefix, marker.as_deref()).await?;
            for blob in blobs {
                let key = blob.name.clone();
                all.entry(key).or_default().push(state(blob));
            }
            if next.is_none() || next == marker {
                return Ok(all);
            }
            marker = next;
        }
    }

    /// Those of the first page, which begins with this key. Nothing as a state is the current object, which has no name that it
    /// could be removed by.
    async fn states(&self, key: &str) -> Result<Vec<Option<State>>, StoreError> {
        let (blobs, _) = self.page_of_states(key, None).await?;
        Ok(blobs.into_iter().filter(|blob| blob.name == key).map(state).collect())
    }

    async fn page_of_states(
        &self,
        prefix: &str,
        marker: Option<&str>,
    ) -> Result<(Vec<xml::Blob>, Option<String>), StoreError> {
        let mut url = self.dialect.address.container(&self.container);
        url.query_pairs_mut()
            .append_pair("restype", "container")
            .append_pair("comp", "list")
            .append_pair("include", "snapshots,versions")
            .append_pair("prefix", prefix);
        if let Some(marker) = marker {
            url.query_pairs_mut().append_pair("marker", marker);
        }
        let answer = self.rest.done(LIST, &Ask::new(Method::GET, url)).await.map_err(missing)?;
        xml::list(LIST, &answer)
    }
}

/// By what a state is removed; nothing for the current object, which has no name of its own.
fn state(blob: xml::Blob) -> Option<State> {
    match (blob.snapshot, blob.version_id) {
        (Some(snapshot), _) => Some(("snapshot", snapshot)),
        (None, Some(version)) if !blob.is_current => Some(("versionid", version)),
        (None, _) => None,
    }
}
