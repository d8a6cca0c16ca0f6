//! Reading an object, with new requests for the rest where a connection breaks on the way.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use md5::{Digest, Md5};
use reqwest::{Method, Response};
use tokio::time::timeout;

use super::client::{Got, root_cause};
use super::{Ask, Rest, header};
use crate::store::{ObjectReader, StoreError, Version};

const ACTION: &str = "read an object";

/// An object, or a part of one, that is being read. New requests name its version: it stays the same object.
#[derive(Debug)]
pub(in crate::store) struct Reader {
    rest: Rest,
    bucket: String,
    key: String,
    version: Option<String>,
    /// Of the whole object.
    size_bytes: Option<u64>,
    /// Where the next byte stands in the object.
    at: u64,
    /// Where the byte after the last one stands that is wanted.
    end: Option<u64>,
    body: Response,
    /// The longest pause within the body.
    read_timeout: Duration,
    /// Requests that may still be made.
    attempts: u32,
    /// What the whole object has, where it is read from its first byte to its last.
    md5: Option<([u8; 16], Md5)>,
}

/// Begins to read an object of any bucket that the credentials reach. [`StoreError::NotFound`] where there is none.
pub(in crate::store) async fn open(
    rest: &Rest,
    bucket: &str,
    key: &str,
    range: Option<Range<u64>>,
    read_timeout: Duration,
) -> Result<Reader, StoreError> {
    let ask = rest.dialect.get(bucket, key, None)?;
    let text = range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
    let ask = with_range(ask, text.as_deref())?;
    let body = answered(rest, &ask).await?;
    let length = header(body.headers(), "content-length").and_then(|text| text.parse::<u64>().ok());
    let (at, size_bytes) = match &range {
        None => (0, length),
        Some(range) => {
            let told = header(body.headers(), "content-range").and_then(content_range);
            let Some((first, size)) = told.filter(|(first, _)| *first == range.start) else {
                return Err(StoreError::Config(format!(
                    "{ACTION}: the store sends other bytes than the range asks for"
                )));
            };
            // One emulator answers 206 with nothing where there is nothing.
            if size.is_some_and(|size| first >= size) {
                return Err(StoreError::Range);
            }
            (first, size)
        }
    };
    let version = rest.dialect.version(body.headers());
    let md5 = rest.dialect.md5(body.headers()).filter(|_| range.is_none()).map(|md5| (md5, Md5::new()));
    Ok(Reader {
        rest: rest.clone(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version,
        size_bytes,
        at,
        end: length.map(|length| at + length),
        body,
        read_timeout,
        attempts: rest.max_attempts - 1,
        md5,
    })
}

#[async_trait]
impl ObjectReader for Reader {
    fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    fn version(&self) -> Option<Version> {
        Some(Version::named(self.version.clone().unwrap_or_default()))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        loop {
            let detail = match timeout(self.read_timeout, self.body.chunk()).await {
                Ok(Ok(Some(bytes))) if bytes.is_empty() => continue,
                Ok(Ok(Some(bytes))) => {
                    self.at += bytes.len() as u64;
                    if let Some((_, hash)) = &mut self.md5 {
                        hash.update(&bytes);
                    }
                    return Ok(Some(bytes));
                }
                Ok(Ok(None)) if self.end.is_none_or(|end| end == self.at) => return self.checked().map(|()| None),
                Ok(Ok(None)) => "the answer ended early".to_owned(),
                Ok(Err(err)) => root_cause(&err.without_url()),
                Err(_elapsed) => "the answer stopped".to_owned(),
            };
            self.resume(detail).await?;
        }
    }
}

impl Reader {
    /// What was read is what the store says that it has.
    fn checked(&mut self) -> Result<(), StoreError> {
        let Some((told, hash)) = self.md5.take() else { return Ok(()) };
        if <[u8; 16]>::from(hash.finalize()) == told {
            return Ok(());
        }
        Err(StoreError::Checksum { action: ACTION, detail: "other bytes arrived than the store has".to_owned() })
    }

    /// Asks for the rest, if it is clear what the rest is.
    async fn resume(&mut self, detail: String) -> Result<(), StoreError> {
        let Some(version) = self.version.clone().filter(|_| self.attempts > 0) else {
            return Err(StoreError::unavailable(ACTION, detail));
        };
        self.attempts -= 1;
        tracing::debug!(at = self.at, detail, "reading goes on with a new request");
        let last = self.end.map(|end| end.saturating_sub(1).to_string()).unwrap_or_default();
        let ask = self.rest.dialect.get(&self.bucket, &self.key, Some(&version))?;
        let body = answered(&self.rest, &with_range(ask, Some(&format!("bytes={}-{last}", self.at)))?).await?;
        let first = header(body.headers(), "content-range").and_then(content_range).map(|(first, _)| first);
        if first != Some(self.at) {
            return Err(StoreError::unavailable(ACTION, detail));
        }
        self.body = body;
        Ok(())
    }
}

fn with_range(ask: Ask<'static>, range: Option<&str>) -> Result<Ask<'static>, StoreError> {
    debug_assert_eq!(ask.method, Method::GET);
    range.map_or_else(|| Ok(ask.clone()), |range| ask.clone().header("range", range))
}

async fn answered(rest: &Rest, ask: &Ask<'_>) -> Result<Response, StoreError> {
    match rest.open(ACTION, ask).await? {
        Got::Body(body) => Ok(body),
        Got::Answer(answer) if answer.status == 416 => Err(StoreError::Range),
        Got::Answer(answer) => Err(rest.dialect.meaning(ACTION, &answer)),
    }
}

/// First byte and, where it is known, size of the whole, of `bytes 5-9/20` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, size.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_has_a_first_byte_and_perhaps_a_size() {
        assert_eq!(content_range("bytes 5-9/20"), Some((5, Some(20))));
        assert_eq!(content_range("bytes 0-0/*"), Some((0, None)));
        for text in ["", "bytes */20", "items 1-2/3", "bytes x-2/3", "bytes 1-2"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
