//! Bodies of requests, which can be sent more than once: from memory, or from a stretch of a file.

use std::io::{self, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::store::StoreError;

const CHUNK_BYTES: usize = 256 << 10;

/// What a request carries.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Body<'a> {
    head: Bytes,
    file: Option<Stretch<'a>>,
    tail: Bytes,
}

#[derive(Debug, Clone, Copy)]
struct Stretch<'a> {
    path: &'a Path,
    offset: u64,
    size_bytes: u64,
}

impl<'a> Body<'a> {
    /// From memory.
    pub(in crate::store) fn bytes(bytes: Bytes) -> Self {
        Self { head: bytes, ..Self::default() }
    }

    /// A stretch of a file.
    pub(in crate::store) fn file(path: &'a Path, offset: u64, size_bytes: u64) -> Self {
        Self { file: Some(Stretch { path, offset, size_bytes }), ..Self::default() }
    }

    /// The same between two texts.
    pub(in crate::store) fn between(self, head: &[u8], tail: &[u8]) -> Self {
        let joined = |parts: [&[u8]; 2]| Bytes::from(parts.concat());
        Self { head: joined([head, &self.head]), file: self.file, tail: joined([&self.tail, tail]) }
    }

    /// A stretch of a body that is a file or memory alone.
    pub(in crate::store) fn stretch(&self, offset: u64, size_bytes: u64) -> Self {
        if let Some(file) = self.file {
            return Self::file(file.path, file.offset + offset, size_bytes);
        }
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(self.head.len());
        Self::bytes(self.head.slice(at(offset)..at(offset.saturating_add(size_bytes))))
    }

    pub(in crate::store) fn size_bytes(&self) -> u64 {
        let file = self.file.map_or(0, |file| file.size_bytes);
        file + (self.head.len() + self.tail.len()) as u64
    }

    /// As a body that is sent once.
    ///
    /// # Errors
    /// [`StoreError::Scratch`] where the file cannot be read.
    pub(super) async fn to_send(&self) -> Result<reqwest::Body, StoreError> {
        let Some(Stretch { path, offset, size_bytes }) = self.file else {
            let whole =
                if self.tail.is_empty() { self.head.clone() } else { [&*self.head, &*self.tail].concat().into() };
            return Ok(whole.into());
        };
        let mut file = File::open(path).await.map_err(StoreError::Scratch)?;
        file.seek(SeekFrom::Start(offset)).await.map_err(StoreError::Scratch)?;
        let end = |bytes: &Bytes| stream::iter((!bytes.is_empty()).then(|| Ok::<_, io::Error>(bytes.clone())));
        let middle = ReaderStream::with_capacity(file.take(size_bytes), CHUNK_BYTES);
        Ok(reqwest::Body::wrap_stream(end(&self.head).chain(middle).chain(end(&self.tail))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_the_same_however_often_it_is_sent() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        std::fs::write(&path, b"0123456789").expect("a file");
        let whole = Body::file(&path, 0, 10);
        for (body, expected) in [
            (whole.clone(), "0123456789"),
            (whole.stretch(3, 4), "3456"),
            (whole.clone().between(b"<", b">"), "<0123456789>"),
            (Body::bytes("abc".into()).between(b"<", b">"), "<abc>"),
            (Body::bytes("abcdef".into()).stretch(2, 99), "cdef"),
            (Body::default(), ""),
        ] {
            assert_eq!(body.size_bytes(), expected.len() as u64);
            for _ in 0..2 {
                let sent = body.to_send().await.expect("a body").collect().await.expect("bytes").to_bytes();
                assert_eq!(sent, expected);
            }
        }
        let missing = Body::file(&dir.path().join("none"), 0, 1).to_send().await;
        assert!(matches!(missing, Err(StoreError::Scratch(_))), "{missing:?}");
    }
}
