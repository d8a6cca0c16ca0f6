//! What a kind of store has to do. Everything else of [`Store`](super::Store) is written once, on top of this.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Cursor, Deletion, Folder, Head, Link, LinkOptions, Listed, MAX_GET_BYTES, MAX_PAGE, Page, Purged, PutOptions,
    StoreError, Stored, Version,
};

/// A kind of store. An object is there as a whole, with the SHA-256 that [`Stored`] gives, or it is not there.
/// `tests/it/store/contract` puts every backend through the same suite.
///
/// Keys are relative to the bucket or directory and begin with the store's prefix. They have passed
/// [`keys::vet`](super::keys::vet).
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// Stores a file. An object that was there is replaced as a whole.
    ///
    /// # Errors
    /// [`StoreError`]; then the object is as it was before, or the new one as a whole. [`StoreError::Checksum`] where the
    /// bytes are not those of `options.sha256`.
    async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError>;

    /// As [`Backend::put_file`], from memory.
    ///
    /// # Errors
    /// As [`Backend::put_file`].
    async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError>;

    /// Stores a file below `folder` under [`Folder::key`] of its SHA-256. Where that key has these bytes, nothing is written.
    ///
    /// # Errors
    /// As [`Backend::put_file`].
    async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError>;

    /// Stores bytes where there is no such object: of several at the same time one is stored. Whether it was this one.
    ///
    /// # Errors
    /// As [`Backend::put_file`].
    async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<bool, StoreError>;

    /// Replaces an object that still has the version that was read. Whether it had: of several at the same time one is stored.
    ///
    /// A directory takes a lock for it, S3 has `If-Match`. A server without such a condition stores unconditionally, so that
    /// a replaced object may come back. That matters for one object only, the manifest that says *erased*. Who erases on such
    /// a server also puts a tombstone by [`Backend::put_new`], and who writes a manifest reads the tombstone *after* that
    /// write: one of the two sees the other.
    ///
    /// # Errors
    /// As [`Backend::put_file`].
    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError>;

    /// Begins to read an object, or the bytes of it from `range.start` to before `range.end`, which may be beyond the last
    /// byte. Nothing where there is no such object.
    ///
    /// # Errors
    /// [`StoreError::Range`] where the range begins after the last byte.
    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>, StoreError>;

    /// What is known of an object without reading it; nothing where there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn head(&self, key: &str) -> Result<Option<Head>, StoreError>;

    /// At most `limit` objects whose keys begin with `prefix`, from the first one after the cursor on, in an order that the
    /// store keeps: that of the keys' bytes, or that of a tree of folders. An object that is there all the time is in the
    /// list exactly once, whatever becomes of others meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is left out silently.
    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError>;

    /// Removes an object; fine where there is none. A store that keeps versions keeps the old ones.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Removes an object, every older version of it, the marks of earlier deletions, and uploads of it that were never
    /// completed, and makes sure that none is left. How many versions and marks were removed.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left, and the call is to be repeated.
    async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError>;

    /// Removes everything whose key begins with `prefix`, as [`Backend::delete_all_versions`] does with one object, and makes
    /// sure that nothing is left. The object `keep` alone stays, in its current version only. What was removed.
    ///
    /// As it stands here it goes by [`Backend::list`], which shows no object of which only older versions are left, and it writes
    /// `keep` anew, which is missing for a moment. A store that lists versions does better.
    ///
    /// # Errors
    /// [`StoreError`]; then some may be left, `keep` too, and the call is to be repeated.
    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        let mut purged = purge_listed(self, prefix, keep).await?;
        if let Some(key) = keep
            && let Some(mut reader) = self.open(key, None).await?
        {
            let mut bytes = Vec::new();
            while let Some(piece) = reader.next().await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > MAX_GET_BYTES {
                    return Err(StoreError::TooLarge { limit_bytes: MAX_GET_BYTES });
                }
            }
            let versions = self.delete_all_versions(key).await?;
            // Where somebody has written another one meanwhile, that one stays, and the caller sees it.
            self.put_new(key, bytes.into(), PutOptions::of("application/json")).await?;
            if versions > 1 {
                purged.add(key.to_owned(), versions - 1);
            }
        }
        Ok(purged)
    }

    /// How somebody without credentials gets an object. The object is not looked for.
    ///
    /// # Errors
    /// [`StoreError`]
    async fn signed_url(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError>;

    /// What the store does with objects that are deleted. `prefix` is what all its keys begin with.
    ///
    /// # Errors
    /// [`StoreError`]; a missing permission is none.
    async fn deletion(&self, prefix: &str) -> Result<Deletion, StoreError>;

    /// What the credentials of this store reach beside its own bucket: for origins. A directory has nothing like it.
    fn account(&self) -> Option<Arc<dyn Account>> {
        None
    }

    /// Removes what killed processes left half written, in the background, where nothing else does.
    fn sweep(&self) {}

    /// Waits until uploads whose future was dropped are aborted, for a limited time.
    async fn wait_for_aborts(&self) {}
}

/// Rounds of listing and removing until a list shows that nothing is left.
const MAX_ROUNDS: usize = 100;

/// [`Backend::purge`] for a store that keeps no versions, or whose `delete_all_versions` removes all of them.
pub(super) async fn purge_listed<B: Backend + ?Sized>(
    backend: &B,
    prefix: &str,
    keep: Option<&str>,
) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    for _ in 0..MAX_ROUNDS {
        let (mut after, mut found) = (None, 0_usize);
        loop {
            let Page { objects, next } = backend.list(prefix, after.as_ref(), MAX_PAGE).await?;
            for Listed { key, .. } in objects.into_iter().filter(|object| Some(object.key.as_str()) != keep) {
                let versions = backend.delete_all_versions(&key).await?;
                purged.add(key, versions);
                found += 1;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if found == 0 {
            return Ok(purged);
        }
    }
    Err(StoreError::unavailable("remove a folder of objects", "objects are written as fast as they are removed"))
}

/// An object that is being read. It is one object from the first byte to the last: where it is replaced meanwhile, the old
/// one is read to its end, or reading ends with an error.
#[async_trait]
pub trait ObjectReader: Debug + Send {
    /// Size of the whole object in bytes, also where a part of it is read; nothing where the store does not tell.
    fn size_bytes(&self) -> Option<u64>;

    /// Which version is read, where the store has a name for it.
    fn version(&self) -> Option<Version>;

    /// The next bytes, at least one; nothing at the end.
    ///
    /// # Errors
    /// [`StoreError`]; what came before is then good for nothing.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

/// Credentials at one server, and the buckets that they reach: where media are fetched from.
#[async_trait]
pub trait Account: Debug + Send + Sync {
    /// Begins to read an object. `read_timeout` is the longest pause between two pieces of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no such object, [`StoreError::Missing`] where there is no such bucket.
    async fn open(&self, bucket: &str, key: &str, read_timeout: Duration) -> Result<Box<dyn ObjectReader>, StoreError>;
}
