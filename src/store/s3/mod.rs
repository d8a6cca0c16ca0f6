//! S3, and servers that speak its language.
//!
//! Every upload is sent with its SHA-256 and the answer is compared with it, so that an object that is named by an
//! event has bytes that two sides agreed on. Large files go in parts; an upload that does not end well is aborted.

mod answer;
mod classify;
mod client;
mod digest;
mod multipart;
mod read;
mod terms;
mod upload;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use client::Remote;

use super::{Folder, Head, MAX_GET_BYTES, PutOptions, StoreError, Stored, Version};
use classify::classify;
use digest::Digests;
use multipart::Family;
use read::ObjectReader;
use terms::Terms;
use upload::{Body, Condition};

/// Who is stopping cannot wait for a store that does not answer.
const SETTLE: Duration = Duration::from_secs(10);

/// A bucket to put assets into. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    remote: Remote,
    bucket: String,
    terms: Terms,
    /// Aborts of uploads whose future was dropped.
    aborts: TaskTracker,
}

impl S3 {
    pub(super) async fn connect(config: &crate::config::Store, bucket: &str) -> Result<Self, StoreError> {
        let remote = Remote::connect(config).await?;
        let terms = Terms::new(config);
        Ok(Self(Arc::new(Inner { remote, bucket: bucket.to_owned(), terms, aborts: TaskTracker::new() })))
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.0.remote
    }

    pub(super) fn bucket(&self) -> &str {
        &self.0.bucket
    }

    pub(super) async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = digest::of_file(path, self.0.terms.multipart_bytes).await?;
        self.put(key, Body::File(path), &digests, options).await
    }

    pub(super) async fn put_bytes(&self, key: &str, bytes: Bytes, o: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        self.put(key, Body::Bytes(bytes), &digests, o).await
    }

    /// Fails with [`StoreError::Exists`] where there is such an object.
    pub(super) async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<(), StoreError> {
        self.put_if(key, bytes, options, Condition::IsNew).await
    }

    pub(super) async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError> {
        match self.put_if(key, bytes, options, Condition::Is(&read.0)).await {
            Ok(()) => Ok(true),
            Err(StoreError::Exists { .. }) => Ok(false),
            Err(err) => Err(err),
        }
    }

    async fn put_if(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<(), StoreError> {
        let digests = Digests::of_bytes(&bytes);
        stored(key.to_owned(), &digests, options)?;
        let put = |condition| self.0.put_whole(key, Body::Bytes(bytes.clone()), &digests, options, condition);
        match put(condition).await {
            // A server that does not know the condition; whatever else it does not take, it does not take without it either.
            Err(StoreError::Config(_)) => put(Condition::None).await,
            result => result,
        }
    }

    pub(super) async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let digests = digest::of_file(path, self.0.terms.multipart_bytes).await?;
        let stored = stored(folder.key(&hex::encode(digests.sha256), object), &digests, options)?;
        let Stored { key, .. } = &stored;
        if digests.size_bytes < self.0.terms.multipart_bytes {
            let put = |condition| self.0.put_whole(key, Body::File(path), &digests, options, condition);
            match put(Condition::IsNew).await {
                // The bytes are in the key: what is there is the same, unless a broken upload has left something else.
                Err(StoreError::Exists { .. }) if self.0.is_there(key, &digests.sent_whole()).await => {}
                Err(StoreError::Exists { .. } | StoreError::Config(_)) => put(Condition::None).await?,
                result => result?,
            }
        } else if !self.0.is_there(key, &digests.sent_in_parts()).await {
            let family = Family { folder: folder.as_str(), object };
            self.0.put_in_parts(key, Some(family), Body::File(path), &digests, options).await?;
        }
        Ok(stored)
    }

    async fn put(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let stored = stored(key.to_owned(), digests, options)?;
        if digests.size_bytes < self.0.terms.multipart_bytes {
            self.0.put_whole(key, body, digests, options, Condition::None).await?;
        } else {
            self.0.put_in_parts(key, None, body, digests, options).await?;
        }
        Ok(stored)
    }

    pub(super) async fn get_versioned(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let Some(mut reader) = self.open(key).await? else { return Ok(None) };
        let too_large = || StoreError::TooLarge { limit_bytes: MAX_GET_BYTES };
        if reader.size_bytes().is_some_and(|size| size > MAX_GET_BYTES) {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = reader.next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_GET_BYTES {
                return Err(too_large());
            }
        }
        let version = Version(reader.e_tag().unwrap_or_default().to_owned());
        Ok(Some((bytes.freeze(), version)))
    }

    /// Into a file, with new requests for the rest where the connection breaks on the way.
    pub(super) async fn get_file(
        &self,
        key: &str,
        path: &Path,
        limit_bytes: u64,
    ) -> Result<Option<Stored>, StoreError> {
        let Some(mut reader) = self.open(key).await? else { return Ok(None) };
        let mut file = File::create(path).await.map_err(StoreError::Scratch)?;
        let (mut hash, mut size_bytes) = (Sha256::new(), 0);
        while let Some(chunk) = reader.next().await? {
            size_bytes += chunk.len() as u64;
            if size_bytes > limit_bytes {
                return Err(StoreError::TooLarge { limit_bytes });
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(StoreError::Scratch)?;
        }
        file.flush().await.map_err(StoreError::Scratch)?;
        Ok(Some(Stored { key: key.to_owned(), size_bytes, sha256: hex::encode(hash.finalize()) }))
    }

    async fn open(&self, key: &str) -> Result<Option<ObjectReader>, StoreError> {
        match self.0.remote.open(&self.0.bucket, key, self.0.remote.attempt_timeout()).await {
            Ok(reader) => Ok(Some(reader)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(err) => Err(err),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_versioned(key).await?.map(|(bytes, _)| bytes))
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        match self.0.look_up(key).await {
            Ok(seen) => Ok(Some(Head { size_bytes: seen.size_bytes })),
            Err(StoreError::NotFound { .. }) => self.0.bucket_is_there().await.map(|()| None),
            Err(err) => Err(err),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let request = self.0.remote.client().delete_object().bucket(&self.0.bucket).key(key);
        match request.send().await.map_err(|err| classify("remove an object", err)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// Waits for aborts that dropped uploads left behind.
    pub(super) async fn settle(&self) {
        self.0.aborts.close();
        if timeout(SETTLE, self.0.aborts.wait()).await.is_err() {
            tracing::warn!(uploads = self.0.aborts.len(), "uploads are left behind: the store does not answer");
        }
        self.0.aborts.reopen();
    }
}

/// What the caller is told once the bytes are stored; an error where they are not those that it promised.
fn stored(key: String, digests: &Digests, options: PutOptions<'_>) -> Result<Stored, StoreError> {
    let stored = Stored { key, size_bytes: digests.size_bytes, sha256: hex::encode(digests.sha256) };
    if options.sha256.is_some_and(|expected| expected != stored.sha256) {
        let detail = "the file changed before it was stored".to_owned();
        return Err(StoreError::Checksum { action: upload::ACTION, detail });
    }
    Ok(stored)
}

impl Inner {
    /// A HEAD has no body to say what is missing, the object or the bucket.
    async fn bucket_is_there(&self) -> Result<(), StoreError> {
        const ACTION: &str = "look up an object";
        let answer = self.remote.client().head_bucket().bucket(&self.bucket).send().await;
        match answer.map_err(|err| classify(ACTION, err)) {
            Err(StoreError::NotFound { .. } | StoreError::Missing { .. }) => {
                Err(StoreError::Missing { action: ACTION })
            }
            // Who may not ask for the bucket has still been told that there is no object.
            Ok(_) | Err(StoreError::Forbidden { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }
}
