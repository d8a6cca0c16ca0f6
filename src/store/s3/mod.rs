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
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(crate) use client::Remote;

use super::{Head, MAX_GET_BYTES, PutOptions, StoreError, Stored};
use classify::classify;
use digest::Digests;
use terms::Terms;
use upload::Body;

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

    pub(super) async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<(), StoreError> {
        let digests = Digests::of_bytes(&bytes);
        vet(options, &digests)?;
        let put = |only_new| self.0.put_whole(key, Body::Bytes(bytes.clone()), &digests, options, only_new);
        match put(true).await {
            // A server that does not know the condition; whatever else it does not take, it does not take without it either.
            Err(StoreError::Config(_)) => put(false).await,
            result => result,
        }
    }

    async fn put(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let stored =
            Stored { key: key.to_owned(), size_bytes: digests.size_bytes, sha256: hex::encode(digests.sha256) };
        vet(options, digests)?;
        if digests.size_bytes < self.0.terms.multipart_bytes {
            self.0.put_whole(key, body, digests, options, false).await?;
        } else {
            self.0.put_in_parts(key, body, digests, options).await?;
        }
        Ok(stored)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let mut reader = match self.0.remote.open(&self.0.bucket, key, self.0.remote.attempt_timeout()).await {
            Ok(reader) => reader,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(err) => return Err(err),
        };
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
        Ok(Some(bytes.freeze()))
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

/// Refuses other bytes than the caller knows of, before they are sent.
fn vet(options: PutOptions<'_>, digests: &Digests) -> Result<(), StoreError> {
    match options.sha256 {
        Some(expected) if expected != hex::encode(digests.sha256) => {
            let detail = "the file changed before it was stored".to_owned();
            Err(StoreError::Checksum { action: upload::ACTION, detail })
        }
        Some(_) | None => Ok(()),
    }
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
