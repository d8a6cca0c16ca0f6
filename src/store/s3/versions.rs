//! Deletes an object completely from a bucket that keeps versions.
//!
//! In such a bucket a plain DELETE removes nothing: it adds a delete marker, and every version stays and is billed. So
//! all versions and markers are listed and deleted by their ids. That needs the permissions `s3:ListBucketVersions` and
//! `s3:DeleteObjectVersion`, and `s3:ListBucketMultipartUploads` for unfinished uploads of the object.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::classify::{classify, is_unknown};
use super::multipart::Scope;
use super::{Inner, StoreError};
use crate::store::Purged;

const LIST: &str = "list the versions of an object";
const REMOVE: &str = "remove a version of an object";
/// How many requests are made at the same time.
const AT_ONCE: usize = 8;
/// Enough pages for a million versions. If there are more, versions are written as fast as they are deleted.
const MAX_PAGES: usize = 1000;

impl Inner {
    /// Returns how many versions and markers were deleted. Unfinished uploads of the object are aborted as well, but
    /// not counted.
    pub(super) async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        // Before the versions are listed: an upload that is completed meanwhile is then one of them.
        self.abort_all(&Scope::new(key, None)).await?;
        let (mut removed, mut before) = (0, Vec::new());
        for _ in 0..MAX_PAGES {
            // Always the first page, because the objects on it are deleted. The last request shows that nothing is
            // left.
            let Some(listed) = self.list_versions(key).await? else { return self.remove_unversioned(key).await };
            let ids = ids(&listed, key);
            if ids.is_empty() {
                return Ok(removed);
            }
            if ids == before {
                return Err(StoreError::unavailable(REMOVE, "the store still lists versions that were deleted"));
            }
            let removals: Vec<_> = ids.iter().map(|id| self.remove_version(key, id)).collect();
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            removed += ids.len() as u64;
            before = ids;
        }
        Err(StoreError::unavailable(LIST, "versions are written as fast as they are deleted"))
    }

    /// The first page; `None` if the server does not support versions.
    async fn list_versions(&self, key: &str) -> Result<Option<ListObjectVersionsOutput>, StoreError> {
        let request = self.remote.client().list_object_versions().bucket(&self.bucket).prefix(key);
        match request.send().await {
            Ok(listed) => Ok(Some(listed)),
            Err(err) if is_unknown(err.raw_response().map(|raw| raw.status().as_u16()), err.code()) => Ok(None),
            Err(err) => Err(classify(LIST, err)),
        }
    }

    async fn remove_version(&self, key: &str, id: &str) -> Result<(), StoreError> {
        let request = self.remote.client().delete_object().bucket(&self.bucket).key(key).version_id(id);
        match request.send().await.map_err(|err| classify(REMOVE, err)) {
            // Another process has deleted it.
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn remove_unversioned(&self, key: &str) -> Result<u64, StoreError> {
        let was_there = self.find(key).await?.is_some();
        self.delete(key).await?;
        if self.find(key).await?.is_some() {
            return Err(StoreError::unavailable(
                REMOVE,
                "the object still exists after it was deleted, or was written again",
            ));
        }
        Ok(u64::from(was_there))
    }
}

/// A version or a delete marker, by the key of its object and its id.
type Named = (String, String);

impl Inner {
    /// Deletes all versions and markers below a prefix; `None` if the server does not support versions.
    pub(super) async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Option<Purged>, StoreError> {
        self.abort_all(&Scope::below(prefix)).await?;
        let (mut purged, mut before) = (Purged::default(), Vec::new());
        for _ in 0..MAX_PAGES {
            let Some(named) = self.removable(prefix, keep).await? else { return Ok(None) };
            if named.is_empty() {
                return Ok(Some(purged));
            }
            if named == before {
                return Err(StoreError::unavailable(REMOVE, "the store still lists versions that were deleted"));
            }
            let removals: Vec<_> = named.iter().map(|(key, id)| self.remove_version(key, id)).collect();
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            named.iter().for_each(|(key, _)| purged.add(key.clone(), 1));
            before = named;
        }
        Err(StoreError::unavailable(LIST, "versions are written as fast as they are deleted"))
    }

    /// What has to be deleted of the first page that has anything to delete.
    async fn removable(&self, prefix: &str, keep: Option<&str>) -> Result<Option<Vec<Named>>, StoreError> {
        let (mut key_marker, mut id_marker) = (None, None);
        for _ in 0..MAX_PAGES {
            let request = self.remote.client().list_object_versions().bucket(&self.bucket).prefix(prefix);
            let request = request.set_key_marker(key_marker.clone()).set_version_id_marker(id_marker);
            let listed = match request.send().await {
                Ok(listed) => listed,
                Err(err) if is_unknown(err.raw_response().map(|raw| raw.status().as_u16()), err.code()) => {
                    return Ok(None);
                }
                Err(err) => return Err(classify(LIST, err)),
            };
            let found = removable(&listed, prefix, keep);
            if !found.is_empty() || listed.is_truncated() != Some(true) {
                return Ok(Some(found));
            }
            (key_marker, id_marker) = (listed.next_key_marker, listed.next_version_id_marker);
            if key_marker.is_none() {
                break;
            }
        }
        Err(StoreError::unavailable(LIST, "the store has more versions to list, but its answer has no usable marker"))
    }
}

/// Versions and delete markers below the prefix, without the current version of `keep`.
fn removable(listed: &ListObjectVersionsOutput, prefix: &str, keep: Option<&str>) -> Vec<Named> {
    let stays = |key: &str, is_latest: Option<bool>| Some(key) == keep && is_latest == Some(true);
    let versions = listed.versions().iter().filter_map(|version| {
        let key = version.key()?;
        (!stays(key, version.is_latest())).then(|| (key, version.version_id()))
    });
    let markers = listed.delete_markers().iter().filter_map(|marker| Some((marker.key()?, marker.version_id())));
    let below = versions.chain(markers).filter(|(key, _)| key.starts_with(prefix));
    below.map(|(key, id)| (key.to_owned(), id.unwrap_or("null").to_owned())).collect()
}

/// The ids of the key's versions and markers on a page. The list is in the order of keys, and this key is the first of
/// all keys that begin with it: if the first page does not have it, it has no versions.
fn ids(listed: &ListObjectVersionsOutput, key: &str) -> Vec<String> {
    let versions = listed.versions().iter().map(|version| (version.key(), version.version_id()));
    let markers = listed.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
    let own = versions.chain(markers).filter(|(named, _)| *named == Some(key));
    // A version that was written before versioning was enabled has the id "null".
    own.map(|(_, id)| id.unwrap_or("null").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;

    #[test]
    fn only_versions_and_markers_of_the_key_are_deleted() {
        let version = |key: &str, id: &str| ObjectVersion::builder().key(key).version_id(id).build();
        let listed = ListObjectVersionsOutput::builder()
            .versions(version("k", "1"))
            .versions(ObjectVersion::builder().key("k").build())
            .delete_markers(DeleteMarkerEntry::builder().key("k").version_id("2").build())
            .build();
        assert_eq!(ids(&listed, "k"), ["1", "null", "2"]);
        let others = ListObjectVersionsOutput::builder().versions(version("k0", "9")).build();
        assert_eq!(ids(&others, "k"), [""; 0]);
    }

    #[test]
    fn everything_below_a_prefix_is_removable_but_the_current_version_of_one_object() {
        let version = |key: &str, id: &str, is_latest: bool| {
            ObjectVersion::builder().key(key).version_id(id).is_latest(is_latest).build()
        };
        let listed = ListObjectVersionsOutput::builder()
            .versions(version("a/m", "2", true))
            .versions(version("a/m", "1", false))
            .versions(version("a/x", "3", true))
            .versions(version("ab", "4", true))
            .delete_markers(DeleteMarkerEntry::builder().key("a/y").version_id("5").is_latest(true).build())
            .build();
        let named = |keep| removable(&listed, "a/", keep).into_iter().map(|(key, id)| key + &id).collect::<Vec<_>>();
        assert_eq!(named(Some("a/m")), ["a/m1", "a/x3", "a/y5"]);
        assert_eq!(named(None), ["a/m2", "a/m1", "a/x3", "a/y5"]);
    }

    #[test]
    fn a_refused_list_does_not_mean_that_the_server_has_no_versions() {
        assert!(is_unknown(Some(501), None) && is_unknown(Some(501), Some("NotImplemented")));
        assert!(is_unknown(Some(405), Some("MethodNotAllowed")) && !is_unknown(Some(405), None));
        assert!(!is_unknown(Some(403), Some("AccessDenied")) && !is_unknown(Some(404), Some("NoSuchBucket")));
        assert!(!is_unknown(None, None));
    }
}
