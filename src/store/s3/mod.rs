//! S3 and servers that implement its API.
//!
//! Every upload carries its SHA-256, and the server's answer is compared with it, so both sides have verified each
//! object that an event names. Files of `store.multipart_bytes` or more are uploaded in parts; a failed upload is
//! aborted.

mod answer;
mod classify;
mod client;
mod deletion;
mod digest;
mod list;
mod multipart;
mod read;
mod restore;
mod sign;
mod terms;
mod upload;
mod versions;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

pub(super) use client::Remote;

use super::backend::{Account, Backend, ObjectReader, purge_listed};
use super::digest::{Digests, of_file};
use super::{Cursor, Deletion, Folder, Head, Link, LinkOptions, Page, Purged, PutOptions, StoreError, Stored, Version};
use classify::classify;
use multipart::Family;
use terms::UploadTerms;
use upload::{Body, Condition, Outcome};

/// How long a stopping process waits for uploads to be aborted.
const ABORT_WAIT: Duration = Duration::from_secs(10);

/// A bucket that assets are stored in. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct S3(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    remote: Remote,
    bucket: String,
    terms: UploadTerms,
    /// The tasks that abort uploads whose future was dropped.
    aborts: TaskTracker,
}

impl S3 {
    pub(super) async fn connect(config: &crate::config::Store, bucket: &str) -> Result<Self, StoreError> {
        let remote = Remote::connect(config).await?;
        let terms = UploadTerms::new(config);
        Ok(Self(Arc::new(Inner { remote, bucket: bucket.to_owned(), terms, aborts: TaskTracker::new() })))
    }
}

#[async_trait]
impl Backend for S3 {
    async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = of_file(path, self.0.terms.multipart_bytes).await?;
        self.0.put(key, Body::File(path), &digests, options).await
    }

    async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        self.0.put(key, Body::Bytes(bytes), &digests, options).await
    }

    async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let digests = of_file(path, self.0.terms.multipart_bytes).await?;
        let stored = digests.stored(upload::ACTION, folder.key(&hex::encode(digests.sha256), object), options)?;
        let Stored { key, .. } = &stored;
        if digests.size_bytes < self.0.terms.multipart_bytes {
            let body = Body::File(path);
            match self.0.put_whole_if(key, body.clone(), &digests, options, Condition::IsNew).await? {
                Outcome::Stored => {}
                // The key contains the hash of the bytes, so an existing object has the same content, unless a broken
                // upload left something else.
                Outcome::NotMet if self.0.is_there(key, &digests.sent_whole()).await => {}
                Outcome::NotMet | Outcome::NoConditions => self.0.put_whole(key, body, &digests, options).await?,
            }
        } else if !self.0.is_there(key, &digests.sent_in_parts()).await {
            let family = Family { folder: folder.as_str(), object };
            self.0.put_in_parts(key, Some(family), Body::File(path), &digests, options).await?;
        }
        Ok(stored)
    }

    async fn put_new(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<bool, StoreError> {
        self.0.put_if(key, bytes, options, Condition::IsNew).await
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        read: &Version,
    ) -> Result<bool, StoreError> {
        if read.name().is_empty() {
            let problem = "replace an object: the store returned no ETag for it, so it cannot be replaced safely";
            return Err(StoreError::Config(problem.to_owned()));
        }
        self.0.put_if(key, bytes, options, Condition::Is(read.name())).await
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>, StoreError> {
        let remote = &self.0.remote;
        match remote.read(&self.0.bucket, key, range, remote.attempt_timeout()).await {
            Ok(reader) => Ok(Some(Box::new(reader))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(err @ StoreError::Archived { .. }) => Err(self.0.restore(key).await.err().unwrap_or(err)),
            Err(err) => Err(err),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        self.0.find(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).await
    }

    async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        self.0.delete_all_versions(key).await
    }

    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        match self.0.purge(prefix, keep).await? {
            Some(purged) => Ok(purged),
            None => purge_listed(self, prefix, keep).await,
        }
    }

    async fn signed_url(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        self.0.sign(key, options).await
    }

    async fn deletion(&self, prefix: &str) -> Result<Deletion, StoreError> {
        self.0.deletion(prefix).await
    }

    fn account(&self) -> Option<Arc<dyn Account>> {
        Some(Arc::new(self.0.remote.clone()))
    }

    async fn wait_for_aborts(&self) {
        self.0.aborts.close();
        if timeout(ABORT_WAIT, self.0.aborts.wait()).await.is_err() {
            let uploads = self.0.aborts.len();
            tracing::warn!(
                uploads,
                "uploads could not be aborted in time: their parts stay stored until the bucket's lifecycle rule removes them"
            );
        }
        self.0.aborts.reopen();
    }
}

impl Inner {
    async fn put(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let stored = digests.stored(upload::ACTION, key.to_owned(), options)?;
        if digests.size_bytes < self.terms.multipart_bytes {
            self.put_whole(key, body, digests, options).await?;
        } else {
            self.put_in_parts(key, None, body, digests, options).await?;
        }
        Ok(stored)
    }

    /// Stores the object if the condition is met; returns whether it was.
    async fn put_if(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<bool, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        digests.stored(upload::ACTION, key.to_owned(), options)?;
        let body = Body::Bytes(bytes);
        match self.put_whole_if(key, body.clone(), &digests, options, condition).await? {
            Outcome::Stored => Ok(true),
            Outcome::NotMet => Ok(false),
            Outcome::NoConditions => self.put_whole(key, body, &digests, options).await.map(|()| true),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Head>, StoreError> {
        match self.look_up(key).await {
            Ok(seen) => Ok(Some(seen.head())),
            Err(StoreError::NotFound { .. }) => self.bucket_is_there().await.map(|()| None),
            Err(err) => Err(err),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let request = self.remote.client().delete_object().bucket(&self.bucket).key(key);
        match request.send().await.map_err(|err| classify("remove an object", err)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// A 404 to HEAD has no body and does not tell whether the object or the bucket is missing, so this looks up the
    /// bucket.
    async fn bucket_is_there(&self) -> Result<(), StoreError> {
        const ACTION: &str = "look up an object";
        let answer = self.remote.client().head_bucket().bucket(&self.bucket).send().await;
        match answer.map_err(|err| classify(ACTION, err)) {
            Err(StoreError::NotFound { .. } | StoreError::Missing { .. }) => {
                Err(StoreError::Missing { action: ACTION })
            }
            // Without the permission to HEAD the bucket, only the object's 404 is known.
            Ok(_) | Err(StoreError::Forbidden { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }
}
