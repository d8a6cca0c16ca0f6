//! HMACs and their comparison, in constant time.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::Denied;

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

/// Keys of which any may have been used: two while one takes the other's place. Nothing of them is ever printed.
#[derive(Clone, Default)]
pub struct Keys(Vec<Vec<u8>>);

impl Keys {
    /// Keys that are not empty: anybody can sign with an empty one.
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(keys.into_iter().filter(|key| !key.is_empty()).collect())
    }

    /// The keys as the texts that they were configured as.
    pub fn of_texts<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(keys.into_iter().map(|key| key.as_bytes().to_vec()))
    }

    /// The keys in another form; nothing where one of them has none.
    pub(super) fn converted(&self, convert: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Self> {
        self.0.iter().map(|key| convert(key)).collect::<Option<Vec<_>>>().map(Self::new)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the keys has signed the concatenation of `parts` with this MAC.
    ///
    /// # Errors
    /// [`Denied::Unconfigured`] and [`Denied::Wrong`].
    pub fn verify(&self, scheme: Scheme, parts: &[&[u8]], mac: &[u8]) -> Result<(), Denied> {
        if self.0.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let signed = self.0.iter().fold(false, |signed, key| signed | scheme.verifies(key, parts, mac));
        if signed { Ok(()) } else { Err(Denied::Wrong) }
    }

    /// Whether one of the keys is this text, as a token that is passed on as it is.
    ///
    /// # Errors
    /// [`Denied::Unconfigured`] and [`Denied::Wrong`].
    pub fn equals(&self, token: &[u8]) -> Result<(), Denied> {
        if self.0.is_empty() {
            return Err(Denied::Unconfigured);
        }
        let equal = self.0.iter().fold(false, |equal, key| equal | same(key, token));
        if equal { Ok(()) } else { Err(Denied::Wrong) }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} not shown)", self.0.len())
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
        let keys = Keys::of_texts(["old-secret", "new-secret"]);
        assert_eq!(format!("{keys:?}"), "Keys(2 not shown)");
        assert_eq!((keys.equals(b"old-secret"), keys.equals(b"new-secret")), (Ok(()), Ok(())));
        assert_eq!(keys.equals(b"new-secrets"), Err(Denied::Wrong));
        // Half a MAC is none.
        let mac = hex::decode("f39034b29165ec6a5104d9aef27266484ab26c8caa7bca8bcb2dd02e8be61b17").expect("hex");
        let keys = Keys::of_texts(["another", "sesame"]);
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello ", b"world"], &mac), Ok(()));
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello world"], &mac[..16]), Err(Denied::Wrong));
        assert_eq!(keys.verify(Scheme::Sha256, &[b"hello world"], &[]), Err(Denied::Wrong));
    }
}
