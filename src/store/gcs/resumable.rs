//! Large files by resumable uploads.
//!
//! The object is not there before the last byte is, and is then compared with the MD5 that the first request told. An upload
//! that fails, or whose future is dropped, is cancelled; one whose process was killed ends by itself after a week, and is not
//! listed anywhere.

use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use url::Url;

use super::{
    Answer, Ask, Body, Condition, Digests, Inner, Method, PutOptions, Rest, StoreError, WRITE, header, missing,
    resource,
};
use crate::store::rest::pause;

const CANCEL: &str = "cancel an upload";
/// All chunks but the last are multiples of this.
const CHUNK_UNIT: u64 = 256 << 10;

/// A session. It is cancelled where it is dropped before its end.
struct Session {
    rest: Rest,
    url: Url,
    aborts: TaskTracker,
    finished: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.finished, Handle::try_current()) {
            drop(self.aborts.spawn_on(cancel(self.rest.clone(), self.url.clone()), &runtime));
        }
    }
}

/// How far an upload is.
enum Progress {
    /// So many bytes have arrived.
    Until(u64),
    /// The object is there.
    Done(Answer),
}

impl Inner {
    pub(super) async fn put_resumable(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        let asked = self.terms.resource(digests, options);
        let mut session = self.begin(key, &asked, digests.size_bytes).await?;
        let result = self.send_all(&session.url, &body, digests.size_bytes, resource::content_type(&asked)).await;
        let result = match result.and_then(|answer| resource::verify(WRITE, &answer, (key, &asked), digests)) {
            // The last answer may be what was lost.
            Err(StoreError::Unavailable { .. }) if self.is_there(key, digests).await => Ok(()),
            result => result,
        };
        session.finished = true;
        if result.is_err() {
            let cancelled = cancel(self.rest.clone(), session.url.clone());
            // In a task of its own, which goes on where this one is dropped.
            self.aborts.spawn(cancelled).await.ok();
        }
        result
    }

    async fn begin(&self, key: &str, asked: &Value, size_bytes: u64) -> Result<Session, StoreError> {
        let ask = Ask::new(Method::POST, self.upload_url("resumable", key, Condition::None))
            .header("content-type", "application/json; charset=UTF-8")?
            .header("x-upload-content-type", resource::content_type(asked))?
            .header("x-upload-content-length", &size_bytes.to_string())?
            .body(Body::bytes(asked.to_string().into()));
        let answer = self.rest.done(WRITE, &ask).await.map_err(missing)?;
        let url = header(&answer.headers, "location").and_then(|text| Url::parse(text).ok());
        let url = url.ok_or_else(|| StoreError::unavailable(WRITE, "the store began an upload without an address"))?;
        let url = self.dialect.address.vetted(url)?;
        Ok(Session { rest: self.rest.clone(), url, aborts: self.aborts.clone(), finished: false })
    }

    /// Sends the chunks. A chunk that failed is sent again from where the service says that it is.
    async fn send_all(
        &self,
        url: &Url,
        body: &Body<'_>,
        size_bytes: u64,
        content_type: &str,
    ) -> Result<Answer, StoreError> {
        let chunk_bytes = (self.multipart_bytes / CHUNK_UNIT).max(1) * CHUNK_UNIT;
        let (mut at, mut failures) = (0, 0);
        loop {
            let length = chunk_bytes.min(size_bytes - at);
            let range = format!("bytes {at}-{}/{size_bytes}", at + length - 1);
            // The type was told before; one emulator takes this one.
            let ask = Ask::new(Method::PUT, url.clone())
                .header("content-range", &range)?
                .header("content-type", content_type)?
                .body(body.stretch(at, length));
            let sent = self.rest.once(WRITE, &ask).await.and_then(|answer| self.progress(answer));
            let known = match sent {
                Ok(progress) => progress,
                Err(err @ StoreError::Unavailable { .. }) => {
                    failures += 1;
                    if failures >= self.rest.max_attempts {
                        return Err(err);
                    }
                    tokio::time::sleep(pause(failures)).await;
                    self.ask_how_far(url, size_bytes).await?
                }
                Err(err) => return Err(err),
            };
            match known {
                Progress::Done(answer) => return Ok(answer),
                Progress::Until(until) if until < size_bytes => {
                    if until > at {
                        failures = 0;
                    } else {
                        failures += 1;
                    }
                    if failures > self.rest.max_attempts {
                        return Err(StoreError::unavailable(WRITE, "the upload does not go on"));
                    }
                    at = until;
                }
                Progress::Until(_) => {
                    return Err(StoreError::unavailable(WRITE, "the upload is complete and has no object"));
                }
            }
        }
    }

    async fn ask_how_far(&self, url: &Url, size_bytes: u64) -> Result<Progress, StoreError> {
        let ask = Ask::new(Method::PUT, url.clone()).header("content-range", &format!("bytes */{size_bytes}"))?;
        let answer = self.rest.call(WRITE, &ask).await?;
        if answer.status == 400 {
            // Of an upload that is over, as one emulator says it.
            return Err(StoreError::unavailable(WRITE, "the store has forgotten the upload"));
        }
        self.progress(answer)
    }

    fn progress(&self, answer: Answer) -> Result<Progress, StoreError> {
        match answer.status {
            308 => {
                let last =
                    header(&answer.headers, "range").and_then(|text| text.rsplit_once('-')?.1.parse::<u64>().ok());
                Ok(Progress::Until(last.map_or(0, |last| last + 1)))
            }
            _ if answer.is_success() => Ok(Progress::Done(answer)),
            404 | 410 => Err(StoreError::unavailable(WRITE, "the store has forgotten the upload")),
            _ => Err(self.rest.dialect.meaning(WRITE, &answer)),
        }
    }
}

/// The service answers 499 where it has cancelled one, and 404 where there is none.
async fn cancel(rest: Rest, url: Url) {
    match rest.call(CANCEL, &Ask::new(Method::DELETE, url)).await {
        Ok(answer) if answer.is_success() || matches!(answer.status, 404 | 410 | 499) => {}
        Ok(answer) => tracing::warn!(status = answer.status, "an upload could not be cancelled: it ends after a week"),
        Err(err) => tracing::warn!(%err, "an upload could not be cancelled: it ends after a week"),
    }
}
