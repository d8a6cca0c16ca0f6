//! Removing an object for good.
//!
//! A plain DELETE in a bucket that keeps versions makes the live generation a noncurrent one. So it comes first, and then every
//! generation is listed and removed by its number, which leaves none. It takes `storage.objects.list` and
//! `storage.objects.delete`. A bucket with a soft delete policy (Google's default: 7 days) keeps what was removed for that time,
//! and nobody can make it shorter afterwards.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Ask, Cursor, Inner, Method, Purged, REMOVE, StoreError, missing, resource};
use crate::store::MAX_PAGE;

const LIST: &str = "list the generations of an object";
/// Requests on their way at the same time.
const AT_ONCE: usize = 8;
/// A million generations; more are written as fast as they are removed.
const MAX_PAGES: usize = 1000;

impl Inner {
    /// Removes the live object, or one generation for good. Whether there was one.
    pub(super) async fn delete(&self, key: &str, generation: Option<&str>) -> Result<bool, StoreError> {
        let mut url = self.dialect.address.object(&self.bucket, key);
        if let Some(generation) = generation {
            url.query_pairs_mut().append_pair("generation", generation);
        }
        match self.rest.done(REMOVE, &Ask::new(Method::DELETE, url)).await {
            Ok(_) => Ok(true),
            // Somebody else has removed it, or an attempt whose answer was lost.
            Err(StoreError::NotFound { .. }) => self.is_known(REMOVE).await.map(|()| false),
            Err(err) => Err(err),
        }
    }

    /// How many generations were removed.
    pub(super) async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        let was_there = self.delete(key, None).await?;
        let (mut removed, mut before) = (BTreeSet::new(), Vec::new());
        for _ in 0..MAX_PAGES {
            let generations = self.generations(key).await?;
            if generations.is_empty() {
                // A bucket without versions lists nothing of what a plain DELETE has removed.
                return Ok((removed.len() as u64).max(u64::from(was_there)));
            }
            if generations == before {
                return Err(StoreError::unavailable(REMOVE, "the store goes on listing what it has removed"));
            }
            let removals: Vec<_> = generations.iter().map(|generation| self.delete(key, Some(generation))).collect();
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
            removed.extend(generations.iter().cloned());
            before = generations;
        }
        Err(StoreError::unavailable(LIST, "generations are written as fast as they are removed"))
    }

    /// Removes everything below a prefix, in every generation, but for the live object of one key.
    pub(super) async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        for _ in 0..MAX_PAGES {
            let mut found = self.all_below(prefix).await?;
            if let Some((keep, generations)) = keep.and_then(|keep| Some((keep, found.remove(keep)?))) {
                for (generation, _) in generations.iter().filter(|(_, is_live)| !is_live) {
                    let removed = self.delete(keep, Some(generation)).await?;
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

    /// Every key that begins with a prefix, with its generations, and whether each is live.
    async fn all_below(&self, prefix: &str) -> Result<BTreeMap<String, Vec<(String, bool)>>, StoreError> {
        // One emulator has no list of versions.
        let (mut all, mut at) = (BTreeMap::<String, Vec<(String, bool)>>::new(), None::<Cursor>);
        loop {
            let page = self.list(prefix, at.as_ref(), MAX_PAGE).await?;
            for object in page.objects {
                all.entry(object.key).or_default();
            }
            at = page.next;
            if at.is_none() {
                break;
            }
        }
        let mut token: Option<String> = None;
        loop {
            let mut url = self.dialect.address.objects(&self.bucket);
            url.query_pairs_mut().append_pair("versions", "true").append_pair("prefix", prefix);
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let answer = self.rest.done(LIST, &Ask::new(Method::GET, url)).await.map_err(missing)?;
            let listed = resource::parse(LIST, &answer)?;
            for (key, generation, is_live) in resource::all_generations(&listed) {
                all.entry(key).or_default().push((generation, is_live));
            }
            let (_, next) = resource::page(&listed);
            if next.is_none() || next == token {
                return Ok(all);
            }
            token = next;
        }
    }

    /// Those of the first page that has any, live and noncurrent.
    async fn generations(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let mut url = self.dialect.address.objects(&self.bucket);
        // Keys that begin with this one come after it.
        url.query_pairs_mut().append_pair("versions", "true").append_pair("prefix", key);
        let answer = self.rest.done(LIST, &Ask::new(Method::GET, url)).await.map_err(missing)?;
        Ok(resource::generations(&resource::parse(LIST, &answer)?, key))
    }
}
