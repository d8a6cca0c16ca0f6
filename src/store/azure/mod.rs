//! Azure Blob Storage by its REST API.
//!
//! Every upload carries the MD5 of its bytes (`Content-MD5`): the service refuses others. Files of `store.multipart_bytes` or more
//! go in blocks, each with its own; the object is there when the list of blocks is. Conditions are those of HTTP:
//! `If-None-Match: *` where there is to be no object, `If-Match` with the ETag that was read where it is to be replaced.
//!
//! `object_store` is used for credentials and Shared Key signatures. Its uploads carry no checksum, it takes every 409 for an
//! object that exists, and it sees no versions; here answers are told apart by `x-ms-error-code`.

mod address;
mod blocks;
mod deletion;
mod login;
mod meaning;
mod sas;
mod terms;
mod versions;
mod xml;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::backend::{Account, Backend, ObjectReader};
use super::digest::{Digests, of_file};
use super::rest::{self, Answer, Ask, Body, HeaderMap, Method, Rest, header};
use super::{Cursor, Deletion, Folder, Head, Link, LinkOptions, Page, Purged, PutOptions, StoreError, Stored, Version};
use address::Address;
use login::Login;
use terms::Terms;

const WRITE: &str = "write an object";
const LOOK_UP: &str = "look up an object";
const LIST: &str = "list objects";
const REMOVE: &str = "remove an object";
/// Longest wait of a stopping process for the discarding of blocks.
const ABORT_WAIT: Duration = Duration::from_secs(10);

/// A container to put assets into. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Azure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rest: Rest,
    dialect: Arc<Dialect>,
    container: String,
    terms: Terms,
    multipart_bytes: u64,
    /// Signs links where the credentials are a token.
    keys: sas::Keys,
    /// Discards of blocks whose upload was dropped.
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
    fn add_to<'a>(self, ask: Ask<'a>) -> Result<Ask<'a>, StoreError> {
        match self {
            Self::None => Ok(ask),
            Self::IsNew => ask.header("if-none-match", "*"),
            Self::Is(e_tag) => ask.header("if-match", e_tag),
        }
    }
}

impl Azure {
    /// Talks to no server yet.
    pub(super) fn connect(config: &crate::config::Store, container: &str) -> Result<Self, StoreError> {
        let address = Address::new(&config.endpoint, &config.azure_account)?;
        let dialect = Arc::new(Dialect { address, login: Login::new(config, container) });
        Ok(Self(Arc::new(Inner {
            rest: Rest::new(config, dialect.clone())?,
            dialect,
            container: container.to_owned(),
            terms: Terms::new(config)?,
            multipart_bytes: config.multipart_bytes,
            keys: sas::Keys::default(),
            aborts: TaskTracker::new(),
        })))
    }
}

#[async_trait]
impl rest::Dialect for Dialect {
    async fn authorize(&self, action: &'static str, request: &mut rest::Request) -> Result<(), StoreError> {
        // The vendor's own libraries sign a range by this name and by no other.
        if let Some(range) = request.headers_mut().remove("range") {
            request.headers_mut().insert("x-ms-range", range);
        }
        self.login.authorize(action, request).await
    }

    fn meaning(&self, action: &'static str, answer: &Answer) -> StoreError {
        meaning::of(action, answer)
    }

    fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Ask<'static>, StoreError> {
        let ask = Ask::new(Method::GET, self.address.object(bucket, key));
        version.map_or_else(|| Ok(ask.clone()), |e_tag| ask.clone().header("if-match", e_tag))
    }

    fn version(&self, headers: &HeaderMap) -> Option<String> {
        header(headers, "etag").map(str::to_owned)
    }

    fn md5(&self, headers: &HeaderMap) -> Option<[u8; 16]> {
        STANDARD.decode(header(headers, "content-md5")?).ok()?.try_into().ok()
    }
}

#[async_trait]
impl Backend for Azure {
    async fn put_file(&self, key: &str, path: &Path, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = of_file(path, self.0.multipart_bytes).await?;
        let stored = digests.stored(WRITE, key.to_owned(), options)?;
        self.0.put(key, Body::file(path, 0, digests.size_bytes), &digests, options).await.map(|()| stored)
    }

    async fn put_bytes(&self, key: &str, bytes: Bytes, options: PutOptions<'_>) -> Result<Stored, StoreError> {
        let digests = Digests::of_bytes(&bytes);
        let stored = digests.stored(WRITE, key.to_owned(), options)?;
        self.0.put_whole(key, Body::bytes(bytes), &digests, options, Condition::None).await.map(|_| stored)
    }

    async fn put_addressed(
        &self,
        folder: &Folder,
        object: &str,
        path: &Path,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let digests = of_file(path, self.0.multipart_bytes).await?;
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
            let problem = "replace an object: the store gave no ETag for it, so that it cannot be replaced safely";
            return Err(StoreError::Config(problem.to_owned()));
        }
        self.0.put_if(key, bytes, options, Condition::Is(read.name())).await
    }

    async fn open(&self, key: &str, range: Option<Range<u64>>) -> Result<Option<Box<dyn ObjectReader>>, StoreError> {
        let rest = &self.0.rest;
        match rest::open(rest, &self.0.container, key, range, rest.attempt_timeout).await {
            Ok(reader) => Ok(Some(Box::new(reader))),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(err @ StoreError::Archived { .. }) => Err(self.0.rehydrate(key).await.err().unwrap_or(err)),
            Err(err) => Err(err),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, StoreError> {
        match self.0.look_up(key).await {
            Ok(found) => Ok(Some(found.head)),
            Err(StoreError::NotFound { .. }) => Ok(None),
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
        self.0.sign(key, options).await
    }

    async fn deletion(&self, _prefix: &str) -> Result<Deletion, StoreError> {
        self.0.deletion().await
    }

    fn account(&self) -> Option<Arc<dyn Account>> {
        Some(Arc::new(self.clone()))
    }

    async fn wait_for_aborts(&self) {
        self.0.aborts.close();
        if timeout(ABORT_WAIT, self.0.aborts.wait()).await.is_err() {
            tracing::warn!(
                uploads = self.0.aborts.len(),
                "the store does not answer: blocks without a list end in a week"
            );
        }
        self.0.aborts.reopen();
    }
}

#[async_trait]
impl Account for Azure {
    async fn open(&self, bucket: &str, key: &str, read_timeout: Duration) -> Result<Box<dyn ObjectReader>, StoreError> {
        Ok(Box::new(rest::open(&self.0.rest, bucket, key, None, read_timeout).await?))
    }
}

/// What HEAD returned for an object.
#[derive(Debug)]
struct LookedUp {
    head: Head,
    md5: Option<String>,
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
            self.put_in_blocks(key, body, digests, options).await
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
        let md5 = digests.parts[0].content_md5();
        let ask = Ask::new(Method::PUT, self.dialect.address.object(&self.container, key))
            .header("x-ms-blob-type", "BlockBlob")?
            .header("content-md5", &md5)?;
        let ask = condition.add_to(self.terms.add_to(ask, digests, options)?)?;
        let answer = self.rest.call(WRITE, &ask.body(body)).await?;
        if !answer.is_success() {
            let not_met = condition != Condition::None && meaning::is_condition(&answer);
            return if not_met { Ok(false) } else { Err(missing(meaning::of(WRITE, &answer))) };
        }
        match header(&answer.headers, "content-md5") {
            Some(told) if told == md5 => Ok(true),
            _ => Err(StoreError::Checksum {
                action: WRITE,
                detail: "the store has other bytes than were sent, or does not say which it has".to_owned(),
            }),
        }
    }

    /// Whether the object exists with these bytes. `false` also where the request fails.
    async fn is_there(&self, key: &str, digests: &Digests) -> bool {
        let found = self.look_up(key).await;
        found.is_ok_and(|found| found.head.size_bytes == digests.size_bytes && found.md5 == Some(digests.content_md5()))
    }

    async fn look_up(&self, key: &str) -> Result<LookedUp, StoreError> {
        let ask = Ask::new(Method::HEAD, self.dialect.address.object(&self.container, key));
        let answer = self.rest.done(LOOK_UP, &ask).await?;
        let text = |name| header(&answer.headers, name);
        let size_bytes = text("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let modified = text("last-modified").and_then(|text| httpdate::parse_http_date(text).ok());
        let owned = |name| text(name).map(str::to_owned);
        let (content_type, content_disposition) = (owned("content-type"), owned("content-disposition"));
        let head = Head { size_bytes, modified, content_type, content_disposition };
        Ok(LookedUp { head, md5: owned("content-md5") })
    }

    /// Asks for an archived object to be brought back, which takes hours. Fine where that was asked for before.
    async fn rehydrate(&self, key: &str) -> Result<(), StoreError> {
        const ACTION: &str = "bring an object back from the archive";
        let mut url = self.dialect.address.object(&self.container, key);
        url.query_pairs_mut().append_pair("comp", "tier");
        let ask = Ask::new(Method::PUT, url)
            .header("x-ms-access-tier", "Hot")?
            .header("x-ms-rehydrate-priority", "Standard")?;
        match self.rest.done(ACTION, &ask).await {
            Ok(_) | Err(StoreError::Archived { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let mut marker = after.map(|cursor| cursor.as_str().to_owned());
        loop {
            let mut url = self.dialect.address.container(&self.container);
            url.query_pairs_mut()
                .append_pair("restype", "container")
                .append_pair("comp", "list")
                .append_pair("maxresults", &limit.to_string());
            if !prefix.is_empty() {
                url.query_pairs_mut().append_pair("prefix", prefix);
            }
            if let Some(marker) = &marker {
                url.query_pairs_mut().append_pair("marker", marker);
            }
            let answer = self.rest.done(LIST, &Ask::new(Method::GET, url)).await.map_err(missing)?;
            let (blobs, next) = xml::list(LIST, &answer)?;
            if next.is_some() && next == marker {
                let lost = "the store has more objects to list, and does not tell how to go on";
                return Err(StoreError::Config(format!("{LIST}: {lost}")));
            }
            // The service may have looked at much and found nothing to show.
            if !blobs.is_empty() || next.is_none() {
                return Ok(Page {
                    objects: blobs.into_iter().map(xml::Blob::listed).collect(),
                    next: next.map(Cursor::new),
                });
            }
            marker = next;
        }
    }
}

/// A 404 to what names no object, or one that is to be made, means that there is no container.
fn missing(err: StoreError) -> StoreError {
    match err {
        StoreError::NotFound { action } => StoreError::Missing { action },
        err => err,
    }
}
