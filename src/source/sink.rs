//! The scratch file that a fetch writes into. Bytes are counted, limited and hashed as they arrive.

use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{Fetched, SourceError};
use crate::egress::{Pace, Pacer};
use crate::events::Declared;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The limits and checks for the bytes of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    limit_bytes: u64,
    size_bytes: Option<u64>,
    sha256: Option<[u8; 32]>,
    pace: Pace,
}

impl Wanted {
    /// At most `limit_bytes`, with the size and hash that the event declares.
    pub(super) fn new(declared: Option<&Declared>, limit_bytes: u64) -> Result<Self, SourceError> {
        let sha256 = declared.and_then(|declared| declared.sha256.as_deref()).map(parse_sha256).transpose()?;
        let size_bytes = declared.and_then(|declared| declared.size_bytes);
        Ok(Self { limit_bytes, size_bytes, sha256, pace: Pace::any() })
    }

    /// Adds a minimum rate.
    pub(super) const fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Adds the size and hash that another party declares, where the event declares none. A hash that cannot be parsed
    /// is ignored.
    pub(super) fn or(self, size_bytes: Option<u64>, sha256: Option<&str>) -> Self {
        let sha256 = self.sha256.or_else(|| sha256.and_then(|text| parse_sha256(text).ok()));
        Self { size_bytes: self.size_bytes.or(size_bytes), sha256, ..self }
    }

    /// Refuses a size that the origin announces, before any byte is read.
    pub(super) fn announced(&self, size_bytes: u64) -> Result<(), SourceError> {
        match self.size_bytes {
            _ if size_bytes > self.limit_bytes => Err(SourceError::TooLarge { limit_bytes: self.limit_bytes }),
            Some(declared_bytes) if size_bytes != declared_bytes && size_bytes > 0 => {
                Err(SourceError::SizeMismatch { declared_bytes, actual_bytes: size_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Refuses as soon as too many bytes have arrived. Scratch space was reserved for the declared size.
    fn so_far(&self, size_bytes: u64) -> Result<(), SourceError> {
        match self.size_bytes {
            _ if size_bytes > self.limit_bytes => Err(SourceError::TooLarge { limit_bytes: self.limit_bytes }),
            Some(declared_bytes) if size_bytes > declared_bytes => {
                Err(SourceError::SizeMismatch { declared_bytes, actual_bytes: size_bytes })
            }
            _ => Ok(()),
        }
    }

    fn at_the_end(&self, size_bytes: u64, sha256: [u8; 32]) -> Result<(), SourceError> {
        if size_bytes == 0 {
            return Err(SourceError::Empty);
        }
        if let Some(declared_bytes) = self.size_bytes.filter(|&declared| declared != size_bytes) {
            return Err(SourceError::SizeMismatch { declared_bytes, actual_bytes: size_bytes });
        }
        if self.sha256.is_some_and(|declared| declared != sha256) {
            return Err(SourceError::HashMismatch { actual: sha256 });
        }
        Ok(())
    }
}

/// A scratch file that is being written.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    wanted: Wanted,
    hash: Sha256,
    size_bytes: u64,
    pacer: Pacer,
}

impl Sink {
    /// Creates or empties `dest`.
    pub(super) async fn create(dest: &Path, wanted: Wanted) -> Result<Self, SourceError> {
        let file = File::create(dest).await.map_err(SourceError::Scratch)?;
        let pacer = wanted.pace.begin(Instant::now());
        Ok(Self { file, wanted, hash: Sha256::new(), size_bytes: 0, pacer })
    }

    /// Writes bytes, unless they are too many or arrive too slowly.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let arrived = Instant::now();
        self.size_bytes += bytes.len() as u64;
        self.wanted.so_far(self.size_bytes)?;
        self.pacer.took(bytes.len() as u64, arrived).map_err(|slow| SourceError::Timeout(slow.to_string()))?;
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(SourceError::Scratch)?;
        self.pacer.excuse(arrived.elapsed());
        Ok(())
    }

    /// Checks the complete file.
    pub(super) async fn finish(mut self) -> Result<Fetched, SourceError> {
        self.file.flush().await.map_err(SourceError::Scratch)?;
        let sha256: [u8; 32] = self.hash.finalize().into();
        self.wanted.at_the_end(self.size_bytes, sha256)?;
        Ok(Fetched { size_bytes: self.size_bytes, sha256: hex::encode(sha256) })
    }
}

/// Parses a declared SHA-256: 64 hex digits in either case, or base64 (standard or URL-safe, padded or not).
pub(super) fn parse_sha256(text: &str) -> Result<[u8; 32], SourceError> {
    let bytes = match text.len() {
        64 => hex::decode(text).ok(),
        _ => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(SourceError::DeclaredHash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(sha256: Option<&str>, size_bytes: Option<u64>) -> Declared {
        Declared { sha256: sha256.map(str::to_owned), size_bytes, ..Declared::default() }
    }

    #[test]
    fn sha256_is_read_in_every_form_that_channels_send() {
        let bytes: [u8; 32] = std::array::from_fn(|n| 0xff - u8::try_from(n * 5).expect("below 160"));
        let hex = hex::encode(bytes);
        let standard = STANDARD.encode(bytes);
        let url_safe = URL_SAFE.encode(bytes);
        assert!(standard.contains(['+', '/']) && url_safe.contains(['-', '_']), "{standard} {url_safe}");
        for text in [
            hex.as_str(),
            &hex.to_uppercase(),
            &standard,
            standard.trim_end_matches('='),
            &url_safe,
            url_safe.trim_end_matches('='),
        ] {
            assert_eq!(parse_sha256(text).expect(text), bytes);
        }
        for text in ["", "abc", &hex[1..], &"g".repeat(64), &standard[..40], "c2hvcnQ="] {
            assert!(matches!(parse_sha256(text), Err(SourceError::DeclaredHash)), "{text:?}");
        }
    }

    #[test]
    fn announced_sizes_are_refused_before_a_byte_is_read() {
        let wanted = Wanted::new(Some(&declared(None, Some(10))), 100).expect("fine");
        assert!(wanted.announced(10).is_ok());
        assert!(matches!(wanted.announced(11), Err(SourceError::SizeMismatch { .. })));
        assert!(matches!(wanted.announced(101), Err(SourceError::TooLarge { limit_bytes: 100 })));
        assert!(wanted.announced(0).is_ok(), "the end of the transfer says that it is empty");
    }

    #[tokio::test]
    async fn the_limit_is_enforced_while_bytes_arrive() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut sink = Sink::create(&dir.path().join("f"), Wanted::new(None, 4).expect("fine")).await.expect("created");
        sink.write(b"1234").await.expect("within the cap");
        assert!(matches!(sink.write(b"5").await, Err(SourceError::TooLarge { limit_bytes: 4 })));
    }
}
