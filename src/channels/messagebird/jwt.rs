//! MessageBird's signature as a JSON Web Token (RFC 7519) over the URL and the body.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json_borrow::Value;
use sha2::{Digest, Sha256};

use crate::channels::signature::same;
use crate::channels::value::{field, json, text};
use crate::channels::{Denied, Keys, Request, Scheme};

/// The header that holds the token.
pub(super) const HEADER: &str = "messagebird-signature-jwt";
/// How far clocks may differ: 1 s in the vendor's SDKs for Python and Go, 5 s in that for Node.
const LEEWAY_S: i64 = 5;
/// A token has some 500 bytes.
const MAX_BYTES: usize = 8 << 10;

pub(super) fn verify(keys: &Keys, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
    let token = request.header(HEADER).filter(|token| token.len() <= MAX_BYTES).ok_or(Denied::Unreadable)?;
    let (signed, mac) = token.rsplit_once('.').ok_or(Denied::Unreadable)?;
    let (head, claims) = signed.split_once('.').ok_or(Denied::Unreadable)?;
    let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| Denied::Unreadable)?;
    // The algorithm is the token's to say, among HMACs: `none` and public keys are refused here.
    let scheme = match text(&object(&decoded(head)?)?, "alg") {
        Some("HS256") => Scheme::Sha256,
        Some("HS384") => Scheme::Sha384,
        Some("HS512") => Scheme::Sha512,
        _ => return Err(Denied::Unreadable),
    };
    keys.verify(scheme, &[signed.as_bytes()], &mac)?;
    check(&object(&decoded(claims)?)?, request, now)
}

fn decoded(part: &str) -> Result<Vec<u8>, Denied> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denied::Unreadable)
}

fn object(bytes: &[u8]) -> Result<Value<'_>, Denied> {
    json(bytes).map_err(|_| Denied::Unreadable)
}

fn check(claims: &Value<'_>, request: &Request<'_>, now: Timestamp) -> Result<(), Denied> {
    if text(claims, "iss") != Some("MessageBird") {
        return Err(Denied::Wrong);
    }
    let now = now.as_second();
    let time = |name: &str| field(claims, name).and_then(Value::as_i64).ok_or(Denied::Unreadable);
    if now < time("nbf")?.saturating_sub(LEEWAY_S) || now > time("exp")?.saturating_add(LEEWAY_S) {
        return Err(Denied::Stale);
    }
    if !has_hash(claims, "url_hash", request.url.as_bytes()) {
        return Err(Denied::Wrong);
    }
    // There exactly where there is a body: without it anybody could add one.
    let body_fits = match (field(claims, "payload_hash").is_some(), request.body.is_empty()) {
        (false, true) => true,
        (true, false) => has_hash(claims, "payload_hash", request.body),
        (true, true) | (false, false) => false,
    };
    if body_fits { Ok(()) } else { Err(Denied::Wrong) }
}

fn has_hash(claims: &Value<'_>, name: &str, of: &[u8]) -> bool {
    let actual = hex::encode(Sha256::digest(of));
    text(claims, name).is_some_and(|hash| same(hash.as_bytes(), actual.as_bytes()))
}
