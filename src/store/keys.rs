//! Object keys: `<prefix>/<tenant>/<media_id>/<first 32 hex digits of the object's SHA-256>/<object>`, and the manifest at
//! `<prefix>/<tenant>/<media_id>/manifest.json`.
//!
//! The bytes of an object are part of its key, so that two workers, or two revisions of one media, never write different
//! bytes to one key: an event that names an object stays true. Only the manifest is ever replaced.
//!
//! Ids come from other people's systems and may hold anything. Each becomes exactly one path segment of unreserved
//! ASCII that is also a safe file name, and no two ids become the same one.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::StoreError;

/// Written last; where it is, the job is done.
pub const MANIFEST: &str = "manifest.json";

/// RFC 3986's unreserved characters stay, without `~`: that one marks what [`segment`] itself adds.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Hex digits of an object's SHA-256 in its key: 128 bits.
const ADDRESS_DIGITS: usize = 32;

/// File names end at 255 bytes and whole keys at 1024; the temporary name of the local store is a little longer.
const MAX_SEGMENT_BYTES: usize = 200;

/// Where the objects of one media file go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(String);

impl Folder {
    /// The folder of `(tenant, media_id)` below the prefix, which is used as it is.
    #[must_use]
    pub fn new(prefix: &str, tenant: &str, media_id: &str) -> Self {
        Self(below(prefix, &format!("{}/{}", segment(tenant), segment(media_id))))
    }

    /// Key of an object by the SHA-256 of its bytes in lower-case hex and its name: `audio.mp3`, `thumbnail.jpg`, …
    #[must_use]
    pub fn key(&self, sha256: &str, object: &str) -> String {
        let digits = sha256.get(..ADDRESS_DIGITS).unwrap_or(sha256);
        format!("{}/{}/{}", self.0, segment(digits), segment(object))
    }

    /// Key of [`MANIFEST`].
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("{}/{MANIFEST}", self.0)
    }

    /// The folder itself, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the keys of all objects of this media begin with, and those of no other media: for lists.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/", self.0)
    }
}

/// The hex digits of the SHA-256 that an object's key has; nothing where it has none, as a manifest's.
pub(super) fn address(key: &str) -> Option<&str> {
    let digits = key.rsplit('/').nth(1)?;
    let is_address = digits.len() == ADDRESS_DIGITS
        && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && key.split('/').count() >= 4;
    (is_address && !key.ends_with(MANIFEST)).then_some(digits)
}

/// S3's and Google's longest key.
const MAX_KEY_BYTES: usize = 1024;

/// Whether a text can be a key in every store: 1 to 1024 bytes without a control character, where no part between slashes is
/// `.` or `..`. A server, a proxy or a file system could take such a part for a step to another folder or bucket.
///
/// # Errors
/// [`StoreError::Invalid`]
pub(super) fn vet(key: &str) -> Result<(), StoreError> {
    let sized = (1..=MAX_KEY_BYTES).contains(&key.len());
    let plain = !key.contains(|c: char| c.is_control()) && key.split('/').all(|part| !matches!(part, "." | ".."));
    if sized && plain && !key.starts_with('/') {
        return Ok(());
    }
    Err(StoreError::invalid(
        "use an object key",
        "it is empty, too long, absolute, or has a control character, . or ..",
    ))
}

/// Folder below the prefix for files that wait to be picked up. No tenant's folder starts with a dot.
pub(crate) const INBOX: &str = ".inbox";

/// Folder below the prefix for what manifests cannot give. No tenant's folder starts with a dot.
const CATALOG: &str = ".catalog";

/// Key of an object of the catalogue's own.
pub(super) fn catalog(prefix: &str, parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| segment(part)).collect();
    below(prefix, &format!("{CATALOG}/{}", parts.join("/")))
}

/// Key of a file that waits to be picked up.
pub(super) fn inbox(prefix: &str, id: &str, file_name: &str) -> String {
    format!("{}{}", inbox_folder(prefix, id), segment(file_name))
}

/// What the keys of all files begin with that wait under an id to be picked up.
pub(super) fn inbox_folder(prefix: &str, id: &str) -> String {
    below(prefix, &format!("{INBOX}/{}/", segment(id)))
}

/// Key of the object that shows whether the store works.
pub(super) fn check(prefix: &str) -> String {
    below(prefix, ".check")
}

pub(super) fn below(prefix: &str, rest: &str) -> String {
    if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}/{rest}") }
}

/// An id as one path segment.
fn segment(id: &str) -> String {
    if id.is_empty() {
        return "~".to_owned();
    }
    let mut text = utf8_percent_encode(id, ID).to_string();
    if text.starts_with('.') {
        text.replace_range(..1, "%2E");
    }
    if text.len() > MAX_SEGMENT_BYTES {
        let digest = hex::encode(Sha256::digest(id));
        text.truncate(MAX_SEGMENT_BYTES - 33);
        text.push('~');
        text.push_str(&digest[..32]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_ids_stay_readable() {
        let folder = Folder::new("media", "acme", "whatsapp-9f2c");
        let sha256 = "debc3cd050845b511bfb30b81d233daa1ad37c2e80a239d7191a93a585289cc1";
        let key = "media/acme/whatsapp-9f2c/debc3cd050845b511bfb30b81d233daa/audio.mp3";
        assert_eq!(folder.key(sha256, "audio.mp3"), key);
        assert_eq!(folder.manifest(), "media/acme/whatsapp-9f2c/manifest.json");
        assert_eq!(Folder::new("", "acme", "1").as_str(), "acme/1");
    }

    #[test]
    fn hostile_ids_are_one_harmless_segment() {
        for (id, expected) in [
            ("", "~"),
            (".", "%2E"),
            ("..", "%2E."),
            (".inbox", "%2Einbox"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("a/b", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("~", "%7E"),
            ("a b+c", "a%20b%2Bc"),
            ("ü\0\n", "%C3%BC%00%0A"),
            ("a\\b", "a%5Cb"),
        ] {
            assert_eq!(segment(id), expected, "{id:?}");
        }
    }

    #[test]
    fn long_ids_are_cut_but_stay_different() {
        let one = "é".repeat(400);
        let two = format!("{one}x");
        assert!(segment(&one).len() <= MAX_SEGMENT_BYTES);
        assert_ne!(segment(&one), segment(&two));
        assert_eq!(segment(&one), segment(&one.clone()));
    }

    #[test]
    fn what_could_leave_the_store_is_no_key() {
        for key in ["a", "a/b", "a%2Fb/.inbox/x", "..a", "a..", "a/", "ü"] {
            assert!(vet(key).is_ok(), "{key:?}");
        }
        for key in ["", "/a", "..", "a/..", "a/../b", "./a", "a/./b", "a\0", "a\nb", &"x".repeat(1025)] {
            assert!(vet(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn a_list_of_one_media_has_no_other() {
        let (one, ten) = (Folder::new("p", "acme", "1"), Folder::new("p", "acme", "10"));
        assert!(one.manifest().starts_with(&one.prefix()) && !ten.manifest().starts_with(&one.prefix()));
    }

    #[test]
    fn a_key_with_an_address_is_told_from_others() {
        let folder = Folder::new("", "acme", "1");
        let sha256 = "debc3cd050845b511bfb30b81d233daa1ad37c2e80a239d7191a93a585289cc1";
        assert_eq!(address(&folder.key(sha256, "audio.mp3")), Some(&sha256[..32]));
        let digits = &sha256[..32];
        for key in [folder.manifest(), format!("acme/{digits}/manifest.json"), format!("{digits}/x"), "a".to_owned()] {
            assert_eq!(address(&key), None, "{key}");
        }
    }

    #[test]
    fn no_tenant_can_reach_the_inbox() {
        assert_eq!(inbox("p", "1", "a b.ogg"), "p/.inbox/1/a%20b.ogg");
        assert!(!Folder::new("p", ".inbox", "1").as_str().starts_with("p/.inbox"));
        assert_eq!(catalog("p", &["media", "a/b", "m"]), "p/.catalog/media/a%2Fb/m");
        assert!(!Folder::new("", ".catalog", "1").as_str().starts_with(".catalog"));
    }
}
