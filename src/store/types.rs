//! Arguments and results of the functions of a store.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// What a new object is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions<'a> {
    /// MIME type.
    pub content_type: &'a str,
    /// `Content-Disposition` (RFC 6266), where a browser is to save the object rather than show it. A directory keeps none.
    pub content_disposition: Option<&'a str>,
    /// `Cache-Control`, where it is to be another one than the store's.
    pub cache_control: Option<&'a str>,
    /// SHA-256 in lower-case hex, where the caller knows it: other bytes are then refused before they are stored.
    pub sha256: Option<&'a str>,
    /// Storage class by the store's own name, where it is to be another one than that of every object. A directory has none.
    pub storage_class: Option<&'a str>,
    /// When the object is to be deleted, where that is known. Google Cloud Storage keeps it as `customTime`, for a rule of the
    /// bucket; elsewhere it only decides whether a storage class is worth its minimum.
    pub expires_at: Option<SystemTime>,
}

impl<'a> PutOptions<'a> {
    /// An object of this MIME type.
    #[must_use]
    pub const fn of(content_type: &'a str) -> Self {
        Self {
            content_type,
            content_disposition: None,
            cache_control: None,
            sha256: None,
            storage_class: None,
            expires_at: None,
        }
    }
}

/// An object that is stored, durably, with a checksum that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's key.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written, by the store's clock, where the store tells.
    pub modified: Option<SystemTime>,
    /// Its MIME type; nothing in a directory, which keeps none.
    pub content_type: Option<String>,
    /// Its `Content-Disposition`, where it has one.
    pub content_disposition: Option<String>,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key, with the store's prefix.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written, by the store's clock, where the store tells.
    pub modified: Option<SystemTime>,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most as many objects as were asked for.
    pub objects: Vec<Listed>,
    /// Where the next page begins; nothing where this one is the last.
    pub next: Option<Cursor>,
}

/// What [`Store::purge`](super::Store::purge) removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged(BTreeMap<String, u64>);

impl Purged {
    /// Adds versions and marks of an object.
    pub(super) fn add(&mut self, key: String, versions: u64) {
        *self.0.entry(key).or_default() += versions;
    }

    /// Keys of the objects of which anything was removed, with how many versions and marks that were.
    pub fn objects(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(key, versions)| (key.as_str(), *versions))
    }

    /// How many versions and marks were removed, of all objects together.
    #[must_use]
    pub fn versions(&self) -> u64 {
        self.0.values().sum()
    }
}

/// A place in a list. It stays good while objects come and go, and may be written down and used later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The place that [`Cursor::as_str`] wrote down.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text that means something to the same kind of store only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which contents of a key were read: [`Store::replace`](super::Store::replace) replaces these and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// By the store's own name of it, such as an ETag.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// By the bytes, where the store has no names for versions.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
impl Version {
    /// A version of this name.
    pub(crate) fn of(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// What a signed link is to do.
#[derive(Debug, Clone, Copy)]
pub struct LinkOptions<'a> {
    /// How long it works: 1 second to [`MAX_LINK_LIFE`](super::MAX_LINK_LIFE), in whole seconds. It ends sooner where the
    /// credentials that sign it do.
    pub expires_in: Duration,
    /// `Content-Type` of the answer instead of the stored one.
    pub content_type: Option<&'a str>,
    /// `Content-Disposition` of the answer instead of the stored one (RFC 6266, RFC 8187).
    pub content_disposition: Option<&'a str>,
}

/// How somebody without credentials gets an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// By GET of this URL; `Range` works.
    Signed(SignedUrl),
    /// Not from the store: the caller reads the object and passes it on. So it is with a directory.
    Stream,
}

/// A URL that lets whoever has it read one object until it expires. It is a secret, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl {
    url: String,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl SignedUrl {
    pub(super) fn new(url: String, expires_at: SystemTime) -> Self {
        Self { url, expires_at }
    }

    /// The URL itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
