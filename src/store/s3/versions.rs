//! Removing an object for good from a bucket that keeps versions.
//!
//! A plain DELETE in such a bucket removes nothing: it adds a delete marker, and every version stays and is billed. So all
//! versions and markers are listed and removed by their ids. It takes `s3:ListBucketVersions` and `s3:DeleteObjectVersion`, and
//! `s3:ListBucketMultipartUploads` for uploads of the object that were not completed.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::classify::{classify, is_unknown};
use super::{Inner, StoreError};

const LIST: &str = "list the versions of an object";
const REMOVE: &str = "remove a version of an object";
/// Requests on their way at the same time.
const AT_ONCE: usize = 8;
/// A million versions; more are written as fast as they are removed.
const MAX_PAGES: usize = 1000;

impl Inner {
    /// How many versions and markers were removed. Unfinished uploads of the object are aborted too, and not counted.
    pub(super) async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        // First: an upload that is completed meanwhile is among the versions.
        self.abort_all(key).await?;
        let (mut removed, mut before) = (0, Vec::new());
        for _ in 0..MAX_PAGES {
            // Always the first page: what was on it is gone. The last request shows that nothing is left.
            let Some(listed) = self.list_versions(key).await? else { return self.remove_unversioned(key).await };
            let ids = ids(&listed, key);
            if ids.is_empty() {
                return Ok(removed);
            }
            if ids == before {
                return Err(StoreError::unavailable(REMOVE, "the store goes on listing what it has removed"));
            }
            let removals: Vec<_> = ids.iter().map(|id| self.remove_version(key, id)).collect();
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            removed += ids.len() as u64;
            before = ids;
        }
        Err(StoreError::unavailable(LIST, "versions are written as fast as they are removed"))
    }

    /// The first page. Nothing where the server has no versions and so no list of them.
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
            // Somebody else has removed it.
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn remove_unversioned(&self, key: &str) -> Result<u64, StoreError> {
        let was_there = self.find(key).await?.is_some();
        self.delete(key).await?;
        if self.find(key).await?.is_some() {
            return Err(StoreError::unavailable(REMOVE, "it is still there, or was written again"));
        }
        Ok(u64::from(was_there))
    }
}

/// The ids of the key's versions and markers on a page. A list goes by the order of keys, and this key is the first of those
/// that begin with it: a first page without it means that there is none.
fn ids(listed: &ListObjectVersionsOutput, key: &str) -> Vec<String> {
    let versions = listed.versions().iter().map(|version| (version.key(), version.version_id()));
    let markers = listed.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
    let own = versions.chain(markers).filter(|(named, _)| *named == Some(key));
    // What was written before versions were kept has the id "null".
    own.map(|(_, id)| id.unwrap_or("null").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;

    #[test]
    fn versions_and_markers_of_the_key_alone_are_removed() {
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
    fn a_refusal_is_not_taken_for_a_server_without_versions() {
        assert!(is_unknown(Some(501), None) && is_unknown(Some(501), Some("NotImplemented")));
        assert!(is_unknown(Some(405), Some("MethodNotAllowed")) && !is_unknown(Some(405), None));
        assert!(!is_unknown(Some(403), Some("AccessDenied")) && !is_unknown(Some(404), Some("NoSuchBucket")));
        assert!(!is_unknown(None, None));
    }
}
