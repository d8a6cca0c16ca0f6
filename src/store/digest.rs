//! One pass over a file: its SHA-256, and the checksums of the parts that it is sent in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha256};

use super::{PutOptions, StoreError, Stored};

/// S3's most parts of one upload; Azure takes more.
const MAX_PARTS: u64 = 10_000;
const CHUNK_BYTES: u64 = 256 << 10;

/// Size and checksums of an object, computed before the upload begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) md5: [u8; 16],
    /// At least one.
    pub(super) parts: Vec<Part>,
}

/// A stretch of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) md5: [u8; 16],
}

impl Part {
    /// `Content-MD5`.
    pub(super) fn content_md5(&self) -> String {
        STANDARD.encode(self.md5)
    }
}

impl Digests {
    /// MD5 of the whole as it stands in headers.
    #[cfg(feature = "azure")]
    pub(super) fn content_md5(&self) -> String {
        STANDARD.encode(self.md5)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let part = Part {
            offset: 0,
            size_bytes: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
            md5: Md5::digest(bytes).into(),
        };
        Self { size_bytes: part.size_bytes, sha256: part.sha256, md5: part.md5, parts: vec![part] }
    }

    /// The result for the caller, once the bytes are stored.
    ///
    /// # Errors
    /// [`StoreError::Checksum`] where they do not have the SHA-256 that the caller gave.
    pub(super) fn stored(
        &self,
        action: &'static str,
        key: String,
        options: PutOptions<'_>,
    ) -> Result<Stored, StoreError> {
        let stored = Stored { key, size_bytes: self.size_bytes, sha256: hex::encode(self.sha256) };
        if options.sha256.is_some_and(|expected| expected != stored.sha256) {
            return Err(StoreError::Checksum { action, detail: "the file changed before it was stored".to_owned() });
        }
        Ok(stored)
    }
}

/// The size of a file's parts: `least_bytes`, or more where they would be too many.
pub(super) const fn part_bytes(size_bytes: u64, least_bytes: u64) -> u64 {
    let bytes = size_bytes.div_ceil(MAX_PARTS);
    if bytes > least_bytes { bytes } else { least_bytes }
}

/// Reads a file once, off the async threads.
pub(super) async fn of_file(path: &Path, part_bytes: u64) -> Result<Digests, StoreError> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let size_bytes = file.metadata()?.len();
        read(file, size_bytes, part_bytes)
    });
    let result = read.await.map_err(io::Error::other).and_then(|result| result);
    result.map_err(StoreError::Scratch)
}

fn read(mut from: impl Read, size_bytes: u64, part_bytes: u64) -> io::Result<Digests> {
    let part_bytes = self::part_bytes(size_bytes, part_bytes);
    let (mut whole, mut whole_md5) = (Sha256::new(), Md5::new());
    let mut parts = Vec::new();
    let mut offset = 0;
    let mut chunk = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    while offset < size_bytes || parts.is_empty() {
        let part_size = part_bytes.min(size_bytes - offset);
        let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
        let mut left = part_size;
        while left > 0 {
            let n = usize::try_from(left.min(CHUNK_BYTES)).unwrap_or(chunk.len());
            from.read_exact(&mut chunk[..n])?;
            whole.update(&chunk[..n]);
            // That of a single part is the same.
            if part_size < size_bytes {
                whole_md5.update(&chunk[..n]);
            }
            sha256.update(&chunk[..n]);
            md5.update(&chunk[..n]);
            left -= n as u64;
        }
        let (sha256, md5) = (sha256.finalize().into(), md5.finalize().into());
        parts.push(Part { offset, size_bytes: part_size, sha256, md5 });
        offset += part_size;
    }
    let md5 = if parts.len() == 1 { parts[0].md5 } else { whole_md5.finalize().into() };
    Ok(Digests { size_bytes, sha256: whole.finalize().into(), md5, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_file() {
        let digests = read(&b"hello, parts"[..], 12, 5).expect("read");
        let sizes: Vec<_> = digests.parts.iter().map(|part| (part.offset, part.size_bytes)).collect();
        assert_eq!(sizes, [(0, 5), (5, 5), (10, 2)]);
        let whole = Digests::of_bytes(b"hello, parts");
        assert_eq!((digests.sha256, digests.md5), (whole.sha256, whole.md5));
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        assert_eq!(read(io::empty(), 0, 5).expect("read"), Digests::of_bytes(b""));
    }

    #[test]
    fn a_file_of_any_size_has_no_more_parts_than_s3_takes() {
        let digests = read(io::repeat(0), 10_001, 1).expect("read");
        assert_eq!((digests.parts.len(), digests.parts[0].size_bytes), (5001, 2));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        assert!(read(&b"abc"[..], 4, 5).is_err());
    }
}
