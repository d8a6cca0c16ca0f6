//! Multipart uploads: large files in parts.
//!
//! Parts of an upload that is neither completed nor aborted are stored and billed, and no list of objects shows them.
//! So every upload that is begun here ends in one of four ways:
//! - it is completed;
//! - it failed, and is aborted before the error is returned;
//! - its future was dropped (deadline, shutdown, another asset failed), and `Drop` aborts it in a background task, which
//!   `wait_for_aborts` waits for before the process ends;
//! - the process was killed, or the answer to the request that began it was lost: the next upload of the same object lists
//!   that object's unfinished uploads and aborts them.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::answer::{Seen, Sent};
use super::classify::{classify, is_unknown};
use super::client::Remote;
use super::terms::Checksums;
use super::upload::{ACTION, Body};
use super::{Inner, PutOptions, StoreError};
use crate::store::digest::{Digests, Part};

/// Pauses between attempts to abort while the store is unavailable. Only the end of the process waits for these
/// attempts.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
const LIST: &str = "list unfinished uploads";
/// Enough pages for a million uploads. If there are more, uploads are begun as fast as they are aborted.
const MAX_PAGES: usize = 1000;
/// How many parts are uploaded at the same time.
const PARTS_AT_ONCE: usize = 4;

/// All uploads of one object of a media, with any content: their keys differ only in the SHA-256.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    pub(super) folder: &'a str,
    pub(super) object: &'a str,
}

/// Which unfinished uploads to look for.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    prefix: String,
    /// What stands behind the prefix in keys that are meant: nothing, anything (`None`), or what ends with this.
    suffix: Option<String>,
}

impl Scope {
    pub(super) fn new(key: &str, family: Option<Family<'_>>) -> Self {
        match family {
            Some(Family { folder, object }) => {
                Self { prefix: format!("{folder}/"), suffix: Some(format!("/{object}")) }
            }
            None => Self { prefix: key.to_owned(), suffix: Some(String::new()) },
        }
    }

    /// All objects whose keys begin so.
    pub(super) fn below(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), suffix: None }
    }

    fn has(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix).is_some_and(|rest| match self.suffix.as_deref() {
            None => true,
            Some("") => rest.is_empty(),
            Some(suffix) => rest.ends_with(suffix),
        })
    }
}

/// An upload that was begun. If it is dropped before it is completed or aborted, it is aborted in the background.
#[derive(Debug)]
struct Upload {
    id: UploadId,
    aborts: TaskTracker,
    /// Whether parts may still be under way and arrive after an abort.
    parts_in_flight: bool,
    /// The upload is completed, or an abort was begun.
    finished: bool,
}

#[derive(Debug, Clone)]
struct UploadId {
    remote: Remote,
    bucket: String,
    key: String,
    id: String,
}

impl UploadId {
    async fn abort(self) -> Result<(), StoreError> {
        let Self { remote, bucket, key, id } = self;
        let request = remote.client().abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
        match request.send().await.map_err(|err| classify("abort an upload", err)) {
            // It was completed, or another worker has aborted it.
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }
}

/// Runs a clean-up in a task of its own, which continues if the caller is dropped. If the store is unavailable, or
/// `again` says that one attempt may not be enough, it is repeated in the background after each of [`PAUSES`].
fn clean_up<F: Future<Output = Result<(), StoreError>> + Send + 'static>(
    aborts: &TaskTracker,
    runtime: &Handle,
    key: String,
    again: bool,
    attempt: impl Fn() -> F + Send + Sync + 'static,
) -> JoinHandle<()> {
    let (tracker, handle) = (aborts.clone(), runtime.clone());
    let first = async move {
        let failed = may_succeed_later(&key, attempt().await);
        if !failed && !again {
            return;
        }
        let later = async move {
            for pause in PAUSES {
                sleep(pause).await;
                if !may_succeed_later(&key, attempt().await) {
                    return;
                }
            }
        };
        tracker.spawn_on(later, &handle);
    };
    aborts.spawn_on(first, runtime)
}

/// Logs a failed attempt. Returns whether another one may succeed.
fn may_succeed_later(key: &str, result: Result<(), StoreError>) -> bool {
    matches!(result.inspect_err(|err| log_failure(key, err)), Err(StoreError::Unavailable { .. }))
}

fn log_failure(key: &str, err: &StoreError) {
    tracing::warn!(key, %err, "an unfinished upload could not be aborted: its parts stay stored until a later attempt");
}

impl Upload {
    /// Aborts the upload. Parts that are under way may arrive after the abort; they are stored and billed until the
    /// abort is repeated (S3's API reference, AbortMultipartUpload).
    fn abort(&mut self, runtime: &Handle) -> JoinHandle<()> {
        self.finished = true;
        let id = self.id.clone();
        clean_up(&self.aborts, runtime, id.key.clone(), self.parts_in_flight, move || id.clone().abort())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.finished, Handle::try_current()) {
            drop(self.abort(&runtime));
        }
    }
}

/// Guards the request that begins an upload. If it is dropped before the answer arrives, the server may have begun an
/// upload whose id is unknown here, so unfinished uploads of the object are listed and aborted.
struct Beginning<'a> {
    inner: &'a Inner,
    scope: &'a Scope,
    answered: bool,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.answered, Handle::try_current()) {
            drop(self.inner.sweep(self.scope, &runtime));
        }
    }
}

impl Inner {
    pub(super) async fn put_in_parts(
        &self,
        key: &str,
        family: Option<Family<'_>>,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        let scope = Scope::new(key, family);
        let mut upload = self.begin(key, &scope, options).await?;
        let result = match self.send_parts(&upload.id, &body, digests).await {
            Ok(parts) => {
                upload.parts_in_flight = false;
                self.complete(&upload.id, parts, digests).await
            }
            Err(err) => Err(err),
        };
        let cleaned_up = match result {
            Ok(()) => {
                upload.finished = true;
                self.sweep(&scope, &Handle::current())
            }
            Err(_) => upload.abort(&Handle::current()),
        };
        // The task logs its own errors.
        cleaned_up.await.ok();
        result
    }

    async fn begin(&self, key: &str, scope: &Scope, options: PutOptions<'_>) -> Result<Upload, StoreError> {
        let terms = &self.terms;
        let mut request = self
            .remote
            .client()
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(options.content_type)
            .set_content_disposition(options.content_disposition.map(str::to_owned))
            .set_cache_control(options.cache_control.map(str::to_owned).or_else(|| terms.cache_control.clone()))
            .set_server_side_encryption(terms.sse.clone())
            .set_ssekms_key_id(terms.kms_key_id.clone())
            .set_storage_class(terms.class(options))
            .set_tagging(terms.tagging.clone())
            .set_metadata(terms.metadata.clone());
        if terms.checksums == Checksums::Sha256 {
            request = request.checksum_algorithm(ChecksumAlgorithm::Sha256);
        }
        let mut beginning = Beginning { inner: self, scope, answered: false };
        let answer = request.send().await.map_err(|err| classify(ACTION, err));
        beginning.answered = true;
        if matches!(answer, Err(StoreError::Unavailable { .. })) {
            // The server may have begun the upload although its answer was lost.
            self.sweep(scope, &Handle::current()).await.ok();
        }
        let id = answer?.upload_id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| unusable("the store's answer to a begun upload has no id"))?;
        let id = UploadId { remote: self.remote.clone(), bucket: self.bucket.clone(), key: key.to_owned(), id };
        Ok(Upload { id, aborts: self.aborts.clone(), parts_in_flight: true, finished: false })
    }

    async fn send_parts(
        &self,
        upload: &UploadId,
        body: &Body<'_>,
        digests: &Digests,
    ) -> Result<Vec<CompletedPart>, StoreError> {
        let numbered = (1..).zip(&digests.parts);
        let sends: Vec<_> = numbered.map(|(number, part)| self.send_part(upload, body, number, part)).collect();
        stream::iter(sends).buffered(PARTS_AT_ONCE).try_collect().await
    }

    async fn send_part(
        &self,
        upload: &UploadId,
        body: &Body<'_>,
        number: i32,
        part: &Part,
    ) -> Result<CompletedPart, StoreError> {
        let request = self
            .remote
            .client()
            .upload_part()
            .bucket(&upload.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            .content_length(i64::try_from(part.size_bytes).unwrap_or(i64::MAX))
            .body(body.stream(part).await?);
        let request = match self.terms.checksums {
            Checksums::Sha256 => request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(part.sha256()),
            Checksums::Md5 => request.content_md5(part.content_md5()),
        };
        let answer = request.send().await.map_err(|err| gone(classify(ACTION, err)))?;
        let e_tag = answer.e_tag().ok_or_else(|| unusable("the store's answer to an uploaded part has no ETag"))?;
        let seen = Seen { sha256: answer.checksum_sha256(), e_tag: Some(e_tag), sse: answer.server_side_encryption() };
        let sent = Sent { size_bytes: part.size_bytes, sha256: vec![part.sha256()], e_tag: part.e_tag() };
        seen.vet_part(ACTION, &sent)?;
        let completed = CompletedPart::builder().part_number(number).e_tag(e_tag);
        // Sent back only if the server returned it: some servers reject a list of parts with fields that they do not
        // support.
        Ok(completed.set_checksum_sha256(answer.checksum_sha256().map(str::to_owned)).build())
    }

    async fn complete(
        &self,
        upload: &UploadId,
        parts: Vec<CompletedPart>,
        digests: &Digests,
    ) -> Result<(), StoreError> {
        let UploadId { bucket, key, id, .. } = upload;
        let sent = digests.sent_in_parts();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.remote.client().complete_multipart_upload();
        let request = request.bucket(bucket).key(key).upload_id(id).multipart_upload(parts);
        match request.send().await.map_err(|err| gone(classify(ACTION, err))) {
            Ok(answer) => {
                let seen = Seen {
                    sha256: answer.checksum_sha256(),
                    e_tag: answer.e_tag(),
                    sse: answer.server_side_encryption(),
                };
                self.verify(ACTION, key, seen, &sent).await
            }
            // The upload may be complete all the same: the answer was lost, or the SDK's retry found no upload any
            // more, which some servers answer with 403.
            Err(StoreError::Unavailable { .. } | StoreError::Forbidden { .. }) if self.is_there(key, &sent).await => {
                Ok(())
            }
            Err(err) => Err(err),
        }
    }

    /// Aborts unfinished uploads of the same object that killed workers left. A worker that is still uploading it gets
    /// an error, and finds the media done when it tries again.
    pub(super) fn sweep(&self, scope: &Scope, runtime: &Handle) -> JoinHandle<()> {
        let (remote, bucket, scope) = (self.remote.clone(), self.bucket.clone(), scope.clone());
        let named = scope.prefix.clone();
        let attempt = move || sweep(remote.clone(), bucket.clone(), scope.clone());
        clean_up(&self.aborts, runtime, named, false, attempt)
    }

    /// Aborts all unfinished uploads of a scope. Returns when the store lists none, or does not support that list.
    pub(super) async fn abort_all(&self, scope: &Scope) -> Result<(), StoreError> {
        let mut before = Vec::new();
        for _ in 0..MAX_PAGES {
            let uploads = unfinished(&self.remote, &self.bucket, scope).await?.unwrap_or_default();
            if uploads.is_empty() {
                return Ok(());
            }
            let ids: Vec<String> = uploads.iter().map(|upload| upload.id.clone()).collect();
            if ids == before {
                return Err(StoreError::unavailable(LIST, "the store still lists uploads that were aborted"));
            }
            abort_each(uploads).await?;
            before = ids;
        }
        Err(StoreError::unavailable(LIST, "uploads are begun as fast as they are aborted"))
    }
}

async fn sweep(remote: Remote, bucket: String, scope: Scope) -> Result<(), StoreError> {
    match unfinished(&remote, &bucket, &scope).await {
        Ok(uploads) => abort_each(uploads.unwrap_or_default()).await,
        Err(err @ StoreError::Unavailable { .. }) => Err(err),
        Err(err) => {
            // The credentials do not allow this list.
            tracing::debug!(%err, "unfinished uploads cannot be listed");
            Ok(())
        }
    }
}

/// The first page of the unfinished uploads; `None` if the server does not support the list. The list is in the order
/// of keys, so an object's own uploads come before those of longer keys.
async fn unfinished(remote: &Remote, bucket: &str, scope: &Scope) -> Result<Option<Vec<UploadId>>, StoreError> {
    let request = remote.client().list_multipart_uploads().bucket(bucket).prefix(&scope.prefix);
    let listed = match request.send().await {
        Ok(listed) => listed,
        Err(err) if is_unknown(err.raw_response().map(|raw| raw.status().as_u16()), err.code()) => return Ok(None),
        Err(err) => return Err(classify(LIST, err)),
    };
    let named = listed.uploads().iter().filter_map(|upload| Some((upload.key()?, upload.upload_id()?)));
    let upload = |(key, id): (&str, &str)| UploadId {
        remote: remote.clone(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
    };
    Ok(Some(named.filter(|(key, _)| scope.has(key)).map(upload).collect()))
}

async fn abort_each(uploads: Vec<UploadId>) -> Result<(), StoreError> {
    for upload in uploads {
        upload.abort().await?;
    }
    Ok(())
}

/// An upload that no longer exists was aborted by another worker. The job can be tried again.
fn gone(err: StoreError) -> StoreError {
    match err {
        StoreError::NotFound { .. } => unusable("the upload was aborted by another worker"),
        err => err,
    }
}

fn unusable(detail: &str) -> StoreError {
    StoreError::unavailable(ACTION, detail)
}
