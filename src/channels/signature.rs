//! HMACs and their comparison, in constant time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::Denied;
use crate::secrets::Secret;

/// A hash function under an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA1. Only Twilio still signs with it; as an HMAC it is not broken.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA384.
    Sha384,
    /// HMAC-SHA512.
    Sha512,
}

impl Scheme {
    /// The scheme of a name in the configuration.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "hmac-sha1" => Self::Sha1,
            "hmac-sha256" => Self::Sha256,
            "hmac-sha384" => Self::Sha384,
            "hmac-sha512" => Self::Sha512,
            _ => return None,
        })
    }

    fn verifies(self, key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
        match self {
            Self::Sha1 => verifies::<Hmac<Sha1>>(key, parts, mac),
            Self::Sha256 => verifies::<Hmac<Sha256>>(key, parts, mac),
            Self::Sha384 => verifies::<Hmac<Sha384>>(key, parts, mac),
            Self::Sha512 => verifies::<Hmac<Sha512>>(key, parts, mac),
        }
    }
}

fn verifies<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    // An HMAC takes a key of any length.
    let Ok(mut hmac) = <M as Mac>::new_from_slice(key) else { return false };
    for part in parts {
        hmac.update(part);
    }
    hmac.verify_slice(mac).is_ok()
}

/// Keys of which any may have been used: two while one takes the other's place. Nothing of them is ever printed, and each use
/// takes what they are then: a secret may be read again at any time.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    secrets: Vec<Secret>,
    /// Whether a key is the base64 behind `whsec_`.
    are_encoded: bool,
}

impl Keys {
    /// The keys in secrets. One that is empty is none: anybody could sign with it.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self { secrets: secrets.into_iter().cloned().collect(), are_encoded: false }
    }

    /// The keys as texts.
    pub fn of_texts<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let secrets = keys.into_iter().map(|key| Secret::from(key.to_owned())).collect();
        Self { secrets, are_encoded: false }
    }

    /// The same keys, of the form `whsec_<base64>` that Standard Webhooks has.
    pub(super) fn encoded(&self) -> Self {
        Self { secrets: self.secrets.clone(), are_encoded: true }
    }

    /// Whether every key that there is has its form.
    pub(super) fn are_readable(&self) -> bool {
        self.secrets.iter().filter(|secret| !secret.is_empty()).count() == self.bytes().len()
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        let decoded = |text: &str| STANDARD.decode(text.strip_prefix("whsec_")?).ok();
        let texts = self.secrets.iter().map(Secret::expose);
        let keys =
            texts.filter_map(|text| if self.are_encoded { decoded(&text) } else { Some(text.as_bytes().to_vec()) });
        keys.filter(|key| !key.is_empty()).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Whether one of the keys has signed the concatenation of `parts` with this MAC.
    ///
    /// # Errors
    /// [`Denied::Unconfigured`] and [`Denied::Wrong`].
    pub fn verify(&self, scheme: Scheme, parts: &[&[u8]], mac: &[u8]) -> Result<(), Denied> {
        let keys = self.bytes();
        if keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let signed = keys.iter().fold(false, |signed, key| signed | scheme.verifies(key, parts, mac));
        if signed { Ok(()) } else { Err(Denied::Wrong) }
    }

    /// Whether one of the keys is this text, as a token that is passed on as it is.
    ///
    /// # Errors
    /// [`Denied::Unconfigured`] and [`Denied::Wrong`].
    pub fn equals(&self, token: &[u8]) -> Result<(), Denied> {
        let keys = self.bytes();
        if keys.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let equal = keys.iter().fold(false, |equal, key| equal | same(key, token));
        if equal { Ok(()) } else { Err(Denied::Wrong) }
    }
}

/// Whether two texts are the same, in a time that says nothing of where they differ. Their lengths are no secret.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// The bytes of a MAC in hex of either case, also with `<algorithm>=` in front.
pub(super) fn from_hex(text: &str, prefix: &str) -> Result<Vec<u8>, Denied> {
    let digits = text.strip_prefix(prefix).unwrap_or(text);
    hex::decode(digits).map_err(|_| Denied::Unreadable)
}

/// The bytes of a MAC in padded base64.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, Denied> {
    STANDARD.decode(text).map_err(|_| Denied::Unreadable)
}

/// Whether `sent` (Unix time in seconds) is within so many seconds of `now`, to either side.
pub(super) fn is_recent(sent: i64, now: jiff::Timestamp, past_s: i64, future_s: i64) -> bool {
    let age = now.as_second().saturating_sub(sent);
    (-future_s..=past_s).contains(&age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_verified_without_a_key_and_keys_are_not_shown() {
        for keys in [Keys::default(), Keys::of_texts([""])] {
            assert_eq!(keys.verify(Scheme::Sha256, &[b"x"], b"x"), Err(Denied::Unconfigured));
            assert_eq!(keys.equals(b""), Err(Denied::Unconfigured));
        }
        let keys = Keys::of_texts(["secret-old", "secret-new"]);
        assert!(!format!("{keys:?}").contains("secret-"), "{keys:?}");
        assert_eq!((keys.equals(b"secret-old"), keys.equals(b"secret-new")), (Ok(()), Ok(())));
        assert_eq!(keys.equals(b"secret-news"), Err(Denied::Wrong));
        // Half a MAC is none.
        let mac = hex::decode("f39034b29165ec6a5104d9aef27266484ab26c8caa7bca8bcb2dd02e8be61b17").expect("hex");
        let keys = Keys::of_texts(["another", "sesame"]);
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello ", b"world"], &mac), Ok(()));
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello world"], &mac[..16]), Err(Denied::Wrong));
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello world"], &[]), Err(Denied::Wrong));
    }
}
