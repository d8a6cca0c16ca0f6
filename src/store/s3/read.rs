//! Reading an object, with new requests for the rest where a connection breaks on the way.

use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::time::timeout;

use super::StoreError;
use super::classify::{classify, root_cause};
use super::client::Remote;

const ACTION: &str = "read an object";

/// An object that is being read. It is one object from the first byte to the last: where it is replaced meanwhile,
/// reading ends with an error.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    remote: Remote,
    bucket: String,
    key: String,
    e_tag: Option<String>,
    size_bytes: Option<u64>,
    at: u64,
    body: ByteStream,
    /// The longest pause within the body.
    read_timeout: Duration,
    /// Requests that may still be made.
    attempts: u32,
}

impl Remote {
    /// Begins to read an object of any bucket that the credentials reach.
    pub(crate) async fn open(
        &self,
        bucket: &str,
        key: &str,
        read_timeout: Duration,
    ) -> Result<ObjectReader, StoreError> {
        let answer = get(self, bucket, key, None).await?;
        Ok(ObjectReader {
            remote: self.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            e_tag: answer.e_tag,
            size_bytes: answer.content_length.and_then(|size| u64::try_from(size).ok()),
            at: 0,
            body: answer.body,
            read_timeout,
            attempts: self.max_attempts() - 1,
        })
    }
}

impl ObjectReader {
    /// Its size, where the server says so.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The ETag of the object, where the server says so.
    pub(super) fn e_tag(&self) -> Option<&str> {
        self.e_tag.as_deref()
    }

    /// The next bytes; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let detail = match timeout(self.read_timeout, self.body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) if self.size_bytes.is_none_or(|size| size == self.at) => return Ok(None),
                Ok(None) => "the answer ended early".to_owned(),
                // After the last byte there is nothing to be wrong but the checksum of them all.
                Ok(Some(Err(err))) if self.size_bytes == Some(self.at) => {
                    return Err(StoreError::Checksum { action: ACTION, detail: root_cause(&err) });
                }
                Ok(Some(Err(err))) => root_cause(&err),
                Err(_elapsed) => "the answer stopped".to_owned(),
            };
            self.resume(detail).await?;
        }
    }

    /// Asks for the rest, if it is clear what the rest is.
    async fn resume(&mut self, detail: String) -> Result<(), StoreError> {
        let Some(e_tag) = self.e_tag.clone().filter(|_| self.attempts > 0) else {
            return Err(StoreError::Unavailable { action: ACTION, detail });
        };
        self.attempts -= 1;
        tracing::debug!(at = self.at, detail, "reading goes on with a new request");
        let answer = get(&self.remote, &self.bucket, &self.key, Some((self.at, e_tag))).await?;
        let starts_here = format!("bytes {}-", self.at);
        if self.at > 0 && !answer.content_range().is_some_and(|range| range.starts_with(&starts_here)) {
            return Err(StoreError::Unavailable { action: ACTION, detail });
        }
        self.body = answer.body;
        Ok(())
    }
}

async fn get(
    remote: &Remote,
    bucket: &str,
    key: &str,
    rest: Option<(u64, String)>,
) -> Result<GetObjectOutput, StoreError> {
    let mut request = remote.client().get_object().bucket(bucket).key(key);
    if let Some((from, e_tag)) = rest {
        request = request.range(format!("bytes={from}-")).if_match(e_tag);
    }
    request.send().await.map_err(|err| classify(ACTION, err))
}
