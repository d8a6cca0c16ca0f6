//! Google Cloud Storage by its JSON API.
//!
//! Every upload is one request that says size and MD5 before the bytes: the service refuses other bytes and stores nothing, and
//! its answer is compared too. Files of `store.multipart_bytes` or more go by a resumable upload, of which nothing can be seen
//! before its last byte is there; one that fails is cancelled. Conditions are those of generations: `ifGenerationMatch=0` where
//! there is to be no object, and the generation that was read where it is to be replaced.
//!
//! `object_store` is used for credentials and signatures. Its uploads carry no checksum and no condition that both emulators
//! understand, and it sees no generations.

mod address;
mod deletion;
mod login;
mod meaning;
mod resource;
mod resumable;
mod versions;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::backend::{Account, Backend, ObjectReader};
use super::digest::{Digests, of_file};
use super::rest::{self, Answer, Ask, Body, HeaderMap, Method, Rest, header};
use super::{Cursor, Deletion, Folder, Head, Link, LinkOptions, Page, Purged, PutOptions, StoreError, Stored, Version};
use address::Address;
use login::Login;
use resource::Terms;

const WRITE: &str = "write an object";
const READ: &str = "read an object";
const LOOK_UP: &str = "look up an object";
const LIST: &str = "list objects";
const REMOVE: &str = "remove an object";
/// Longest wait of a stopping process for the cancelling of uploads.
const ABORT_WAIT: Duration = Duration::from_secs(10);

/// A bucket to put assets into. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Gcs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rest: Rest,
    dialect: Arc<Dialect>,
    bucket: String,
    terms: Terms,
    multipart_bytes: u64,
    /// Cancellations of uploads whose future was dropped.
    aborts: TaskTracker,
}

/// What only this store's REST knows.
#[derive(Debug)]
struct Dialect {
    address: Address,
    login: Login,
}

/// Condition under which an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition<'a> {
    None,
    IsNew,
    Is(&'a str),
}

impl Condition<'_> {
    fn generation(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::IsNew => Some("0"),
            Self::Is(generation) => Some(generation),
        }
    }
}

impl Gcs {
    /// Talks to no server yet.
    pub(super) fn connect(config: &crate::config::Store, bucket: &str) -> Result<Self, StoreError> {
        let dialect = Arc::new(Dialect { address: Address::new(&config.endpoint)?, login: Login::new(config, bucket) });
        Ok(Self(Arc::new(Inner {
            rest: Rest::new(config, dialect.clone())?,
            dialect,
            bucket: bucket.to_owned(),
            terms: Terms::new(config)?,
            multipart_bytes: config.multipart_bytes,
            aborts: TaskTracker::new(),
        })))
    }
}

#[async_trait]
impl rest::Dialect for Dialect {
    async fn authorize(&self, action: &'static str, request: &mut rest::Request) -> Result<(), StoreError> {
        if let Some(bearer) = self.login.bearer(action).await? {
            request.headers_mut().insert("authorization", bearer);
        }
        Ok(())
    }

    fn meaning(&self, action: &'static str, answer: &Answer) -> StoreError {
        meaning::of(action, answer)
    }

    fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Ask<'static>, StoreError> {
        let mut url = self.address.object(bucket, key);
        url.query_pairs_mut().append_pair("alt", "media");
        if let Some(generation) = version {
            url.query_pairs_mut().append_pair("ifGenerationMatch", generation);
        }
        Ok(Ask::new(Method::GET, url))
    }

    fn version(&self, headers: &HeaderMap) -> Option<String> {
        header(headers, "x-goog-generation").map(str::to_owned)
    }

    fn md5(&self, headers: &HeaderMap) -> Option<[u8; 16]> {
        // One header for each hash, or one for all.
        let all = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
        all.flat_map(|value| value.split(',')).find_map(|hash| resource::md5(hash.trim().strip_prefix("md5=")?))
    }
}

#[async_trait]
impl Backend for Gcs {
    async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        // One part: the MD5 is that of the whole.
        let digests = of_file(path, u64::MAX).await?;
        let stored = digests.stored(WRITE, key.to_owned(), options)?;
        self.0.put(key, Body::file(path, 0, digests.size_bytes), &digests, options).await.map(|()| stored)
    }

    async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        let stored = digests.stored(WRITE, key.to_owned(), options)?;
        self.0.put(key, Body::bytes(bytes), &digests, options).await.map(|()| stored)
    }

    async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let digests = of_file(path, u64::MAX).await?;
        let stored = digests.stored(WRITE, folder.key(&hex::encode(digests.sha256), object), options)?;
        let (key, body) = (&stored.key, Body::file(path, 0, digests.size_bytes));
        if digests.size_bytes >= self.0.multipart_bytes {
            if !self.0.is_there(key, &digests).await {
                self.0.put(key, body, &digests, options).await?;
            }
        } else if !self.0.put_whole(key, body.clone(), &digests, options, Condition::IsNew).await?
            // The bytes are in the key: what is there is the same, unless a broken upload has left something else.
            && !self.0.is_there(key, &digests).await
        {
            self.0.put_whole(key, body, &digests, options, Condition::None).await?;
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
            let problem =
                "replace an object: the store gave no generation for it, so that it cannot be replaced safely";
            return Err(StoreError::Config(problem.to_owned()));
        }
        self.0.put_if(key, bytes, options, Condition::Is(read.name())).await
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>, StoreError> {
        let rest = &self.0.rest;
        match rest::open(rest, &self.0.bucket, key, range, rest.attempt_timeout).await {
            Ok(reader) => Ok(Some(Box::new(reader))),
            Err(StoreError::NotFound { .. }) => self.0.is_known(READ).await.map(|()| None),
            Err(err) => Err(err),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        match self.0.look_up(key).await {
            Ok(found) => Ok(Some(resource::head(&found))),
            Err(StoreError::NotFound { .. }) => self.0.is_known(LOOK_UP).await.map(|()| None),
            Err(err) => Err(err),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        self.0.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key, None).await.map(drop)
    }

    async fn delete_all_versions(&self, key: &str) -> Result<u64, StoreError> {
        self.0.delete_all_versions(key).await
    }

    async fn purge(&self, prefix: &str, keep: Option<&str>) -> Result<Purged, StoreError> {
        self.0.purge(prefix, keep).await
    }

    async fn signed_url(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        self.0.dialect.login.sign(key, options, &self.0.dialect.address).await
    }

    async fn deletion(&self, prefix: &str) -> Result<Deletion, StoreError> {
        self.0.deletion(prefix).await
    }

    fn account(&self) -> Option<Arc<dyn Account>> {
        Some(Arc::new(self.clone()))
    }

    async fn wait_for_aborts(&self) {
        self.0.aborts.close();
        if timeout(ABORT_WAIT, self.0.aborts.wait()).await.is_err() {
            tracing::warn!(
                uploads = self.0.aborts.len(),
                "the store does not answer: unfinished uploads end in a week"
            );
        }
        self.0.aborts.reopen();
    }
}

#[async_trait]
impl Account for Gcs {
    async fn open(&self, bucket: &str, key: &str, read_timeout: Duration) -> Result<Box<dyn ObjectReader>, StoreError> {
        match rest::open(&self.0.rest, bucket, key, None, read_timeout).await {
            Ok(reader) => Ok(Box::new(reader)),
            Err(err @ StoreError::NotFound { .. }) => self.0.bucket_is_there(READ, bucket).await.and(Err(err)),
            Err(err) => Err(err),
        }
    }
}

impl Inner {
    async fn put(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        if digests.size_bytes < self.multipart_bytes {
            self.put_whole(key, body, digests, options, Condition::None).await.map(drop)
        } else {
            self.put_resumable(key, body, digests, options).await
        }
    }

    /// Whether the condition was met and the object is stored.
    async fn put_if(
        &self,
        key: &str,
        bytes: Bytes,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<bool, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        digests.stored(WRITE, key.to_owned(), options)?;
        self.put_whole(key, Body::bytes(bytes), &digests, options, condition).await
    }

    /// Stores an object by one request. Whether the condition was met and the object is stored.
    async fn put_whole(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<bool, StoreError> {
        let url = self.upload_url("multipart", key, condition);
        let asked = self.terms.resource(digests, options);
        let (head, tail, content_type) = resource::around(&asked);
        let ask = Ask::new(Method::POST, url).header("content-type", &content_type)?;
        let answer = self.rest.call(WRITE, &ask.body(body.between(head.as_bytes(), tail.as_bytes()))).await?;
        match (answer.status, condition) {
            // 404: where there is no object any more whose generation is named, and where there is no bucket.
            (412, Condition::IsNew | Condition::Is(_)) => Ok(false),
            (404, Condition::Is(_)) => self.is_known(WRITE).await.map(|()| false),
            _ if answer.is_success() => resource::verify(WRITE, &answer, (key, &asked), digests).map(|()| true),
            _ => Err(missing(self.rest.dialect.meaning(WRITE, &answer))),
        }
    }

    /// The name stands here and not in the body's resource, which no checksum protects: an object of another name would be taken
    /// for the one that was sent.
    fn upload_url(&self, kind: &str, key: &str, condition: Condition<'_>) -> url::Url {
        let mut url = self.dialect.address.upload(&self.bucket);
        url.query_pairs_mut().append_pair("uploadType", kind).append_pair("name", key);
        if let Some(generation) = condition.generation() {
            url.query_pairs_mut().append_pair("ifGenerationMatch", generation);
        }
        if let Some(key) = &self.terms.kms_key {
            url.query_pairs_mut().append_pair("kmsKeyName", key);
        }
        url
    }

    /// Whether the object exists with these bytes. `false` also where the request fails.
    async fn is_there(&self, key: &str, digests: &Digests) -> bool {
        self.look_up(key).await.is_ok_and(|found| resource::is_same(&found, digests))
    }

    /// The object's resource. [`StoreError::NotFound`] also where there is no bucket.
    async fn look_up(&self, key: &str) -> Result<Value, StoreError> {
        let ask = Ask::new(Method::GET, self.dialect.address.object(&self.bucket, key));
        resource::parse(LOOK_UP, &self.rest.done(LOOK_UP, &ask).await?)
    }

    /// Whether the bucket is there, where an object is not.
    async fn is_known(&self, action: &'static str) -> Result<(), StoreError> {
        self.bucket_is_there(action, &self.bucket).await
    }

    async fn bucket_is_there(&self, action: &'static str, bucket: &str) -> Result<(), StoreError> {
        let ask = Ask::new(Method::GET, self.dialect.address.bucket(bucket));
        match self.rest.done(action, &ask).await {
            // Without storage.buckets.get, the 404 for the object is all that is known.
            Ok(_) | Err(StoreError::Forbidden { .. }) => Ok(()),
            Err(err) => Err(missing(err)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let mut token = after.map(|cursor| cursor.as_str().to_owned());
        loop {
            let mut url = self.dialect.address.objects(&self.bucket);
            url.query_pairs_mut().append_pair("prefix", prefix).append_pair("maxResults", &limit.to_string());
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("pageToken", token);
            }
            let listed =
                resource::parse(LIST, &self.rest.done(LIST, &Ask::new(Method::GET, url)).await.map_err(missing)?)?;
            let (objects, next) = resource::page(&listed);
            if next.is_some() && next == token {
                let lost = "the store has more objects to list, and does not tell how to go on";
                return Err(StoreError::Config(format!("{LIST}: {lost}")));
            }
            // The service may have looked at much and found nothing to show.
            if !objects.is_empty() || next.is_none() {
                return Ok(Page { objects, next: next.map(Cursor::new) });
            }
            token = next;
        }
    }
}

/// A 404 to what names no object, or one that is to be made, means that there is no bucket.
fn missing(err: StoreError) -> StoreError {
    match err {
        StoreError::NotFound { action } => StoreError::Missing { action },
        err => err,
    }
}
