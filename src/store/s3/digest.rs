//! Reads a file once and computes its SHA-256 and the checksums of its upload parts.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::answer::Sent;

/// The most parts that S3 allows in one upload.
const MAX_PARTS: u64 = 10_000;
const CHUNK_BYTES: u64 = 256 << 10;

/// Size and checksums of an object, computed before the upload begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    /// At least one part.
    pub(super) parts: Vec<Part>,
}

/// A range of the file with its checksums.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) size_bytes: u64,
    sha256: [u8; 32],
    md5: [u8; 16],
}

impl Part {
    /// The SHA-256 as S3's headers have it (base64).
    pub(super) fn sha256(&self) -> String {
        STANDARD.encode(self.sha256)
    }

    /// The value of `Content-MD5`.
    pub(super) fn content_md5(&self) -> String {
        STANDARD.encode(self.md5)
    }

    /// The ETag of an object or part that is stored without KMS.
    pub(super) fn e_tag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl Digests {
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let part = Part {
            offset: 0,
            size_bytes: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
            md5: Md5::digest(bytes).into(),
        };
        Self { size_bytes: part.size_bytes, sha256: part.sha256, parts: vec![part] }
    }

    /// The checksums that a server may return for the object after a single PUT.
    pub(super) fn sent_whole(&self) -> Sent {
        let part = &self.parts[0];
        Sent { size_bytes: self.size_bytes, sha256: vec![self.whole_sha256()], e_tag: part.e_tag() }
    }

    /// The checksums that a server may return for the object after a multipart upload.
    pub(super) fn sent_in_parts(&self) -> Sent {
        let composite = self.composite_sha256();
        let numbered = format!("{composite}-{}", self.parts.len());
        Sent {
            size_bytes: self.size_bytes,
            sha256: vec![numbered, composite, self.whole_sha256()],
            e_tag: self.composite_e_tag(),
        }
    }

    /// The SHA-256 of an object that was uploaded by a single PUT, as S3's headers have it.
    pub(super) fn whole_sha256(&self) -> String {
        STANDARD.encode(self.sha256)
    }

    /// The composite SHA-256 of a multipart object: the hash of the parts' hashes. S3 adds a hyphen and the number of
    /// parts.
    pub(super) fn composite_sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.parts.iter().for_each(|part| hash.update(part.sha256));
        STANDARD.encode(hash.finalize())
    }

    /// The ETag of a multipart object.
    pub(super) fn composite_e_tag(&self) -> String {
        let mut hash = Md5::new();
        self.parts.iter().for_each(|part| hash.update(part.md5));
        format!("{}-{}", hex::encode(hash.finalize()), self.parts.len())
    }
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
    let part_bytes = part_bytes.max(size_bytes.div_ceil(MAX_PARTS));
    let mut whole = Sha256::new();
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
            sha256.update(&chunk[..n]);
            md5.update(&chunk[..n]);
            left -= n as u64;
        }
        let (sha256, md5) = (sha256.finalize().into(), md5.finalize().into());
        parts.push(Part { offset, size_bytes: part_size, sha256, md5 });
        offset += part_size;
    }
    Ok(Digests { size_bytes, sha256: whole.finalize().into(), parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_file_and_composite_checksums_are_those_of_aws() {
        let digests = read(&b"hello, parts"[..], 12, 5).expect("read");
        let sizes: Vec<_> = digests.parts.iter().map(|part| (part.offset, part.size_bytes)).collect();
        assert_eq!(sizes, [(0, 5), (5, 5), (10, 2)]);
        assert_eq!(digests.sha256, Digests::of_bytes(b"hello, parts").sha256);
        let joined: Vec<u8> =
            [&b"hello"[..], b", par", b"ts"].iter().flat_map(|p| Sha256::digest(p).to_vec()).collect();
        assert_eq!(digests.composite_sha256(), STANDARD.encode(Sha256::digest(joined)));
    }

    #[test]
    fn an_empty_file_is_one_empty_part() {
        assert_eq!(read(io::empty(), 0, 5).expect("read"), Digests::of_bytes(b""));
    }

    #[test]
    fn a_file_of_any_size_has_no_more_parts_than_s3_allows() {
        let digests = read(io::repeat(0), 10_001, 1).expect("read");
        assert_eq!((digests.parts.len(), digests.parts[0].size_bytes), (5001, 2));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        assert!(read(&b"abc"[..], 4, 5).is_err());
    }
}
