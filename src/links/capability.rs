//! The capability of a link: `<destination>.<expires>.<mac>`, where *expires* is in seconds since 1970 (0: never) and *mac* is the
//! first 144 bits of an HMAC-SHA256 over destination, expiry and subject, in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Of 256: enough that none can be guessed, and links stay short.
const MAC_BYTES: usize = 18;
/// What the MACs of this form begin with, so that the key makes no others.
const PURPOSE: &str = "mediamill capability 1";

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One media.
    Media {
        /// Whose it is.
        tenant: &'a str,
        /// Which one.
        media_id: &'a str,
    },
    /// All media of one contact.
    Contact {
        /// Whose contact it is.
        tenant: &'a str,
        /// The contact's keyed HMAC.
        contact: &'a str,
    },
}

/// A link that is genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Which link it is, for the audit log and for a revocation: says nothing that would help to make the link.
    pub id: String,
    /// Whom it was written for.
    pub destination: String,
    /// When it ends, where it does.
    pub expires: Option<Timestamp>,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkDenied {
    /// It was not written by whoever has the key, or not for this.
    #[error("the link is not one that mediamill has written for this")]
    Wrong,
    /// It was, and its time is over.
    #[error("the link has expired")]
    Expired,
}

/// Writes a capability.
pub(super) fn write(subject: &Subject<'_>, destination: &str, expires: Option<Timestamp>, key: &[u8]) -> String {
    let expires = expires.map_or(0, Timestamp::as_second).max(0);
    let mac = mac(subject, destination, expires, key).unwrap_or_default();
    format!("{destination}.{expires}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Whether one of these keys wrote it for this subject.
pub(super) fn verify(
    text: &str,
    subject: &Subject<'_>,
    keys: &[&[u8]],
    now: Timestamp,
) -> Result<Capability, LinkDenied> {
    let mut parts = text.rsplitn(3, '.');
    let (Some(mac), Some(expires), Some(destination)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(LinkDenied::Wrong);
    };
    let said = URL_SAFE_NO_PAD.decode(mac).map_err(|_| LinkDenied::Wrong)?;
    let seconds: i64 = expires.parse().map_err(|_| LinkDenied::Wrong)?;
    // One way to write a link, so that a revocation is about all ways.
    let is_canonical =
        seconds.to_string() == expires && said.len() == MAC_BYTES && URL_SAFE_NO_PAD.encode(&said) == mac;
    // Each key is tried, however the one before it came out.
    let is_genuine = keys.iter().fold(false, |before, key| is_mac(&said, subject, destination, seconds, key) | before);
    if !is_canonical || !is_genuine {
        return Err(LinkDenied::Wrong);
    }
    let expires = (seconds > 0).then(|| Timestamp::from_second(seconds)).transpose().map_err(|_| LinkDenied::Wrong)?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err(LinkDenied::Expired);
    }
    let id = hex::encode(&Sha256::digest(format!("{destination}.{seconds}.{mac}"))[..16]);
    Ok(Capability { id, destination: destination.to_owned(), expires })
}

fn is_mac(said: &[u8], subject: &Subject<'_>, destination: &str, expires: i64, key: &[u8]) -> bool {
    hmac(subject, destination, expires, key).is_some_and(|hmac| hmac.verify_truncated_left(said).is_ok())
}

fn mac(subject: &Subject<'_>, destination: &str, expires: i64, key: &[u8]) -> Option<Vec<u8>> {
    let mac = hmac(subject, destination, expires, key)?.finalize().into_bytes();
    Some(mac[..MAC_BYTES].to_vec())
}

/// Nothing without a key. Each part has its length in front, so that no two lists of parts are the same bytes.
fn hmac(subject: &Subject<'_>, destination: &str, expires: i64, key: &[u8]) -> Option<Hmac<Sha256>> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).ok().filter(|_| !key.is_empty())?;
    let (kind, tenant, id) = match subject {
        Subject::Media { tenant, media_id } => ("media", tenant, media_id),
        Subject::Contact { tenant, contact } => ("contact", tenant, contact),
    };
    for part in [PURPOSE, kind, tenant, id, destination, &expires.to_string()] {
        hmac.update(format!("{}:", part.len()).as_bytes());
        hmac.update(part.as_bytes());
    }
    Some(hmac)
}
