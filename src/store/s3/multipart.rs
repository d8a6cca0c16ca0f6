//! Large files in parts. Whatever happens, no upload stays behind that is neither complete nor aborted:
//! storage is billed for its parts, and no listing of objects shows them.

use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::answer::{Seen, Sent};
use super::classify::classify;
use super::client::Remote;
use super::digest::{Digests, Part};
use super::terms::Checksums;
use super::upload::{ACTION, Body};
use super::{Inner, StoreError};

/// Between attempts to tidy up where the store is not well: nobody waits for it but the worker's end.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// Parts on their way at the same time.
const PARTS_AT_ONCE: usize = 4;

/// The uploads of one object of a media, whatever bytes they have: their keys differ in the SHA-256 alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    pub(super) folder: &'a str,
    pub(super) object: &'a str,
}

/// Which uploads are swept together.
#[derive(Debug, Clone)]
struct Scope {
    prefix: String,
    suffix: String,
}

impl Scope {
    fn new(key: &str, family: Option<Family<'_>>) -> Self {
        match family {
            Some(Family { folder, object }) => Self { prefix: format!("{folder}/"), suffix: format!("/{object}") },
            None => Self { prefix: key.to_owned(), suffix: String::new() },
        }
    }

    fn has(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix).is_some_and(|rest| match self.suffix.as_str() {
            "" => rest.is_empty(),
            suffix => rest.ends_with(suffix),
        })
    }
}

/// An upload that was begun. Dropped before it is settled, it is aborted in the background.
#[derive(Debug)]
struct Upload {
    id: UploadId,
    aborts: TaskTracker,
    settled: bool,
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
            // An upload that is not there is complete, or somebody else has aborted it.
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }
}

/// Tidies up now; in the background, and more than once, where the store is not well.
async fn tidy<F: Future<Output = Result<(), StoreError>> + Send>(
    aborts: &TaskTracker,
    key: String,
    attempt: impl Fn() -> F + Send + Sync + 'static,
) {
    let Err(StoreError::Unavailable { .. }) = attempt().await.inspect_err(|err| left(&key, err)) else { return };
    aborts.spawn(async move {
        for pause in PAUSES {
            sleep(pause).await;
            if !matches!(attempt().await.inspect_err(|err| left(&key, err)), Err(StoreError::Unavailable { .. })) {
                return;
            }
        }
    });
}

fn left(key: &str, err: &StoreError) {
    tracing::warn!(key, %err, "uploads may be left behind: the bucket's lifecycle has to abort them");
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.settled {
            let id = self.id.clone();
            let aborts = self.aborts.clone();
            self.aborts
                .spawn_on(async move { tidy(&aborts, id.key.clone(), move || id.clone().abort()).await }, &runtime);
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
        content_type: &str,
    ) -> Result<(), StoreError> {
        let scope = Scope::new(key, family);
        let mut upload = self.begin(key, &scope, content_type).await?;
        let result = match self.send_parts(&upload.id, &body, digests).await {
            Ok(parts) => self.complete(&upload.id, parts, digests).await,
            Err(err) => Err(err),
        };
        match result {
            Ok(()) => {
                upload.settled = true;
                self.sweep(&scope).await;
            }
            Err(_) => {
                upload.settled = true;
                let id = upload.id.clone();
                tidy(&self.aborts, id.key.clone(), move || id.clone().abort()).await;
            }
        }
        result
    }

    async fn begin(&self, key: &str, scope: &Scope, content_type: &str) -> Result<Upload, StoreError> {
        let terms = &self.terms;
        let mut request = self
            .remote
            .client()
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .set_server_side_encryption(terms.sse.clone())
            .set_ssekms_key_id(terms.kms_key_id.clone())
            .set_storage_class(terms.storage_class.clone())
            .set_tagging(terms.tagging.clone())
            .set_metadata(terms.metadata.clone());
        if terms.checksums == Checksums::Sha256 {
            request = request.checksum_algorithm(ChecksumAlgorithm::Sha256);
        }
        let answer = request.send().await.map_err(|err| classify(ACTION, err));
        if matches!(answer, Err(StoreError::Unavailable { .. })) {
            // It may have begun, and only the answer was lost.
            self.sweep(scope).await;
        }
        let id = answer?.upload_id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| unusable("the store began an upload without an id"))?;
        let id = UploadId { remote: self.remote.clone(), bucket: self.bucket.clone(), key: key.to_owned(), id };
        Ok(Upload { id, aborts: self.aborts.clone(), settled: false })
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
        let e_tag = answer.e_tag().ok_or_else(|| unusable("the store took a part without an ETag"))?;
        let seen = Seen { sha256: answer.checksum_sha256(), e_tag: Some(e_tag), sse: answer.server_side_encryption() };
        let sent = Sent { size_bytes: part.size_bytes, sha256: vec![part.sha256()], e_tag: part.e_tag() };
        seen.vet_part(ACTION, &sent)?;
        let completed = CompletedPart::builder().part_number(number).e_tag(e_tag);
        // Only where the server knows it: others take the list apart and refuse what they do not know.
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
            // No answer is not a no: a retry of a request that had been done finds no upload any more, for one, and some
            // servers forbid what they do not find.
            Err(StoreError::Unavailable { .. } | StoreError::Forbidden { .. }) if self.is_there(key, &sent).await => {
                Ok(())
            }
            Err(err) => Err(err),
        }
    }

    /// Aborts what workers that ended began for the same object. One that still works on the same media finds it done when
    /// it tries again.
    async fn sweep(&self, scope: &Scope) {
        let (remote, bucket, scope) = (self.remote.clone(), self.bucket.clone(), scope.clone());
        let named = scope.prefix.clone();
        tidy(&self.aborts, named, move || sweep(remote.clone(), bucket.clone(), scope.clone())).await;
    }
}

async fn sweep(remote: Remote, bucket: String, scope: Scope) -> Result<(), StoreError> {
    let request = remote.client().list_multipart_uploads().bucket(&bucket).prefix(&scope.prefix);
    let listed = match request.send().await.map_err(|err| classify("list uploads", err)) {
        Ok(listed) => listed,
        Err(err @ StoreError::Unavailable { .. }) => return Err(err),
        Err(err) => {
            // Not every server can list them, and not everybody may.
            tracing::debug!(%err, "abandoned uploads cannot be looked for");
            return Ok(());
        }
    };
    let named = listed.uploads().iter().filter_map(|upload| Some((upload.key()?, upload.upload_id()?)));
    for (key, id) in named.filter(|(key, _)| scope.has(key)) {
        let (remote, bucket) = (remote.clone(), bucket.clone());
        UploadId { remote, bucket, key: key.to_owned(), id: id.to_owned() }.abort().await?;
    }
    Ok(())
}

/// An upload that is gone was aborted by somebody else: that passes.
fn gone(err: StoreError) -> StoreError {
    match err {
        StoreError::NotFound { .. } => unusable("the upload is gone"),
        err => err,
    }
}

fn unusable(detail: &str) -> StoreError {
    StoreError::Unavailable { action: ACTION, detail: detail.to_owned() }
}
