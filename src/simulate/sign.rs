//! HMACs of simulated providers.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

/// HMAC-SHA256 over the parts, one after the other.
pub(super) fn sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac::<Hmac<Sha256>>(key, parts)
}

/// HMAC-SHA512 over the parts, one after the other.
pub(super) fn sha512(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac::<Hmac<Sha512>>(key, parts)
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // An HMAC takes a key of any length.
    let Ok(mut mac) = <M as Mac>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
