//! Checksums as they stand in S3's headers and answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::{Digest as _, Sha256};

use super::answer::Sent;
use crate::store::digest::{Digests, Part};

impl Part {
    /// The SHA-256 as S3's headers have it (base64).
    pub(super) fn sha256(&self) -> String {
        STANDARD.encode(self.sha256)
    }

    /// The ETag of an object or part that is stored without KMS.
    pub(super) fn e_tag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl Digests {
    /// Checksums that a server may return for the object after one PUT.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composites_are_as_aws_computes_them() {
        let parts = [&b"hello"[..], b", par", b"ts"];
        let mut digests = Digests::of_bytes(b"hello, parts");
        digests.parts = parts.iter().flat_map(|part| Digests::of_bytes(part).parts).collect();
        let joined: Vec<u8> = parts.iter().flat_map(|part| Sha256::digest(part).to_vec()).collect();
        assert_eq!(digests.composite_sha256(), STANDARD.encode(Sha256::digest(joined)));
    }
}
