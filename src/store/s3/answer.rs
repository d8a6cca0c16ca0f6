//! Compares the checksums in a server's answer with the bytes that were sent.

use std::time::SystemTime;

use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};

use super::classify::classify;
use super::terms::Checksums;
use super::{Head, Inner, StoreError};

/// Checksums of the sent bytes, in the forms in which the server may return them.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) size_bytes: u64,
    /// Base64 as in S3's headers: of the whole object, and for a multipart upload also the composite one, with and
    /// without the number of parts, because some servers leave that out.
    pub(super) sha256: Vec<String>,
    /// The ETag that S3 computes if no KMS is involved.
    pub(super) e_tag: String,
}

/// Checksums in a server's answer.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    pub(super) sha256: Option<&'a str>,
    pub(super) e_tag: Option<&'a str>,
    pub(super) sse: Option<&'a ServerSideEncryption>,
}

/// The answer to a HEAD request for an object.
#[derive(Debug)]
pub(super) struct LookedUp {
    size_bytes: u64,
    modified: Option<SystemTime>,
    content_type: Option<String>,
    content_disposition: Option<String>,
    sha256: Option<String>,
    e_tag: Option<String>,
    sse: Option<ServerSideEncryption>,
}

/// Result of comparing [`Sent`] with [`Seen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Other,
    /// The answer has nothing that can be compared.
    Unknown,
}

impl Seen<'_> {
    /// Checks one part of a multipart upload. There is no request that looks up a part, so an answer without checksums
    /// is accepted here; the whole object is checked when the upload is completed.
    pub(super) fn vet_part(&self, action: &'static str, sent: &Sent) -> Result<(), StoreError> {
        match self.compare(sent) {
            Verdict::Same | Verdict::Unknown => Ok(()),
            Verdict::Other => Err(differs(action)),
        }
    }

    fn compare(&self, sent: &Sent) -> Verdict {
        let verdict = |same| if same { Verdict::Same } else { Verdict::Other };
        if let Some(sha256) = self.sha256 {
            return verdict(sent.sha256.iter().any(|known| known == sha256));
        }
        // With KMS the ETag is not an MD5, although it may look like one.
        let plain = self.sse.is_none_or(|sse| *sse == ServerSideEncryption::Aes256);
        let e_tag = self.e_tag.map(|e_tag| e_tag.trim_matches('"')).filter(|e_tag| plain && is_md5(e_tag));
        e_tag.map_or(Verdict::Unknown, |e_tag| verdict(e_tag.eq_ignore_ascii_case(&sent.e_tag)))
    }
}

impl LookedUp {
    pub(super) fn head(self) -> Head {
        let Self { size_bytes, modified, content_type, content_disposition, .. } = self;
        Head { size_bytes, modified, content_type, content_disposition }
    }

    fn compare(&self, sent: &Sent) -> Verdict {
        if self.size_bytes != sent.size_bytes {
            return Verdict::Other;
        }
        Seen { sha256: self.sha256.as_deref(), e_tag: self.e_tag.as_deref(), sse: self.sse.as_ref() }.compare(sent)
    }
}

impl Inner {
    /// Checks that the stored object has the bytes that were sent: by the upload's answer if that has a checksum,
    /// otherwise by a HEAD request.
    pub(super) async fn verify(
        &self,
        action: &'static str,
        key: &str,
        seen: Seen<'_>,
        sent: &Sent,
    ) -> Result<(), StoreError> {
        match (seen.compare(sent), self.terms.checksums) {
            (Verdict::Same, Checksums::Sha256) => return Ok(()),
            (Verdict::Other, _) => return Err(differs(action)),
            (Verdict::Same | Verdict::Unknown, _) => {}
        }
        let looked_up = self.look_up(key).await?;
        match (looked_up.compare(sent), self.terms.checksums) {
            // The server checked `Content-MD5` when it received the bytes; some servers return only the size.
            (Verdict::Same, _) | (Verdict::Unknown, Checksums::Md5) => Ok(()),
            (Verdict::Other, _) => Err(differs(action)),
            (Verdict::Unknown, Checksums::Sha256) => Err(StoreError::Config(format!(
                "{action}: the store returns no SHA-256 for the object; set store.checksums = \"when-required\""
            ))),
        }
    }

    /// Whether the object exists with the bytes that were sent; `false` also if the request fails.
    pub(super) async fn is_there(&self, key: &str, sent: &Sent) -> bool {
        self.look_up(key).await.is_ok_and(|looked_up| looked_up.compare(sent) == Verdict::Same)
    }

    pub(super) async fn look_up(&self, key: &str) -> Result<LookedUp, StoreError> {
        let mut request = self.remote.client().head_object().bucket(&self.bucket).key(key);
        if self.terms.checksums == Checksums::Sha256 {
            request = request.checksum_mode(ChecksumMode::Enabled);
        }
        let answer = request.send().await.map_err(|err| classify("look up an object", err))?;
        Ok(LookedUp {
            size_bytes: answer.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            modified: answer.last_modified().and_then(|at| SystemTime::try_from(*at).ok()),
            content_type: answer.content_type().map(str::to_owned),
            content_disposition: answer.content_disposition().map(str::to_owned),
            sha256: answer.checksum_sha256().map(str::to_owned),
            e_tag: answer.e_tag().map(str::to_owned),
            sse: answer.server_side_encryption().cloned(),
        })
    }
}

fn differs(action: &'static str) -> StoreError {
    StoreError::Checksum { action, detail: "the stored bytes differ from those that were sent".to_owned() }
}

/// Whether an ETag is an MD5: 32 hex digits, for a multipart object followed by a hyphen and the number of parts.
fn is_md5(e_tag: &str) -> bool {
    let (digits, parts) = e_tag.split_once('-').unwrap_or((e_tag, "0"));
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) && parts.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

    #[test]
    fn a_sha256_decides_and_an_e_tag_only_if_it_is_an_md5() {
        let sent = Sent { size_bytes: 5, sha256: vec!["LPJN=".to_owned()], e_tag: MD5.to_owned() };
        let (other, parts) = (MD5.replace('5', "6"), format!("{MD5}-2"));
        let quoted = format!("\"{}\"", MD5.to_uppercase());
        let seen = |sha256, e_tag, sse| Seen { sha256, e_tag, sse }.compare(&sent);
        assert_eq!(seen(Some("LPJN="), Some("whatever"), None), Verdict::Same);
        assert_eq!(seen(Some("other"), Some(MD5), None), Verdict::Other);
        assert_eq!(seen(None, Some(&quoted), None), Verdict::Same);
        assert_eq!(seen(None, Some(MD5), Some(&ServerSideEncryption::Aes256)), Verdict::Same);
        assert_eq!(seen(None, Some(&other), None), Verdict::Other);
        assert_eq!(seen(None, Some(&parts), None), Verdict::Other, "parts");
        assert_eq!(seen(None, Some(MD5), Some(&ServerSideEncryption::AwsKms)), Verdict::Unknown);
        assert_eq!(seen(None, Some("\"v1:x\""), None), Verdict::Unknown);
        assert_eq!(seen(None, None, None), Verdict::Unknown);
    }
}
