//! Reads an object. If a connection breaks, a new request reads the rest.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::time::timeout;

use super::StoreError;
use super::classify::{classify, root_cause};
use super::client::Remote;
use crate::store::{Account, ObjectReader, Version};

const ACTION: &str = "read an object";

/// An object, or a range of one, that is being read. Further requests name its ETag, so that all bytes are of the same
/// object.
#[derive(Debug)]
pub(super) struct Reader {
    remote: Remote,
    bucket: String,
    key: String,
    e_tag: Option<String>,
    /// Size of the whole object.
    size_bytes: Option<u64>,
    /// Position in the object of the next byte to read.
    at: u64,
    /// Position behind the last byte to read.
    end: Option<u64>,
    body: ByteStream,
    /// The longest pause within the body.
    read_timeout: Duration,
    /// How many more requests may be made.
    attempts: u32,
}

#[async_trait]
impl Account for Remote {
    async fn open(&self, bucket: &str, key: &str, read_timeout: Duration) -> Result<Box<dyn ObjectReader>, StoreError> {
        Ok(Box::new(self.read(bucket, key, None, read_timeout).await?))
    }
}

impl Remote {
    /// Begins to read an object of any bucket that the credentials can read.
    pub(super) async fn read(
        &self,
        bucket: &str,
        key: &str,
        range: Option<Range<u64>>,
        read_timeout: Duration,
    ) -> Result<Reader, StoreError> {
        let header = range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let is_part = header.is_some();
        let answer = get(self, bucket, key, header, None).await?;
        let length = answer.content_length.and_then(|size| u64::try_from(size).ok());
        let (at, size_bytes) = match is_part {
            false => (0, length),
            true => {
                let told = answer.content_range().and_then(content_range);
                let told = told.filter(|(first, _)| range.as_ref().is_some_and(|range| range.start == *first));
                let Some((first, size_bytes)) = told else {
                    return Err(StoreError::Config(format!(
                        "{ACTION}: the store sends another range than the requested one"
                    )));
                };
                (first, size_bytes)
            }
        };
        Ok(Reader {
            remote: self.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            e_tag: answer.e_tag,
            size_bytes,
            at,
            end: length.map(|length| at + length),
            body: answer.body,
            read_timeout,
            attempts: self.max_attempts() - 1,
        })
    }
}

#[async_trait]
impl ObjectReader for Reader {
    fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The ETag. Without one, a conditional write to the object is not possible: see `S3::replace`.
    fn version(&self) -> Option<Version> {
        Some(Version::named(self.e_tag.clone().unwrap_or_default()))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let detail = match timeout(self.read_timeout, self.body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => {
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(None) if self.end.is_none_or(|end| end == self.at) => return Ok(None),
                Ok(None) => "the answer ended early".to_owned(),
                // All bytes have arrived, so only their checksum can be wrong.
                Ok(Some(Err(err))) if self.end == Some(self.at) => {
                    return Err(StoreError::Checksum { action: ACTION, detail: root_cause(&err) });
                }
                Ok(Some(Err(err))) => root_cause(&err),
                Err(_elapsed) => "no byte arrived within the read timeout".to_owned(),
            };
            self.resume(detail).await?;
        }
    }
}

impl Reader {
    /// Requests the rest, if it is known which bytes are missing.
    async fn resume(&mut self, detail: String) -> Result<(), StoreError> {
        let Some(e_tag) = self.e_tag.clone().filter(|_| self.attempts > 0) else {
            return Err(StoreError::unavailable(ACTION, detail));
        };
        self.attempts -= 1;
        tracing::debug!(at = self.at, detail, "a read broke off: a new request reads the rest");
        let last = self.end.map(|end| end.saturating_sub(1).to_string()).unwrap_or_default();
        let header = format!("bytes={}-{last}", self.at);
        let answer = get(&self.remote, &self.bucket, &self.key, Some(header), Some(e_tag)).await?;
        let starts_here = answer.content_range().and_then(content_range).is_some_and(|(first, _)| first == self.at);
        if self.at > 0 && !starts_here {
            return Err(StoreError::unavailable(ACTION, detail));
        }
        self.body = answer.body;
        Ok(())
    }
}

async fn get(
    remote: &Remote,
    bucket: &str,
    key: &str,
    range: Option<String>,
    e_tag: Option<String>,
) -> Result<GetObjectOutput, StoreError> {
    let request = remote.client().get_object().bucket(bucket).key(key).set_range(range).set_if_match(e_tag);
    request.send().await.map_err(|err| match err.raw_response().map(|raw| raw.status().as_u16()) {
        Some(416) => StoreError::Range,
        _ => classify(ACTION, err),
    })
}

/// First byte and, if given, total size in `bytes 5-9/20` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, size.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_has_a_first_byte_and_an_optional_size() {
        assert_eq!(content_range("bytes 5-9/20"), Some((5, Some(20))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for text in ["", "bytes */20", "items 1-2/3", "bytes x-2/3", "bytes 1-2"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
