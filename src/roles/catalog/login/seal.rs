//! What is given to a browser to keep, so that it comes back unchanged: JSON with an end, signed by HMAC with SHA-256 (HS256). Each
//! purpose has a key of its own, so that what was sealed for one never counts for the other.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::secrets::Secret;

/// Longest text that is looked at.
const MAX_BYTES: usize = 8 << 10;

/// What something is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A login that is begun.
    Login,
    /// Somebody who has logged in.
    Session,
}

/// Seals, and knows its own.
#[derive(Debug)]
pub(super) struct Seal {
    key: Secret,
}

impl Seal {
    pub(super) const fn new(key: Secret) -> Self {
        Self { key }
    }

    /// An object as text that is good for so many seconds. Nothing where there is no key.
    pub(super) fn close(&self, purpose: Purpose, mut claims: Value, life_s: u64) -> Option<String> {
        let end = Timestamp::now().as_second().saturating_add(i64::try_from(life_s).ok()?);
        claims.as_object_mut()?.insert("exp".to_owned(), json!(end));
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.key(purpose)?)).ok()
    }

    /// What a text says that was sealed for this purpose and has not ended.
    pub(super) fn open(&self, purpose: Purpose, text: &str) -> Option<Value> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp"]);
        let key = DecodingKey::from_secret(&self.key(purpose)?);
        decode::<Value>(text, &key, &validation).ok().map(|data| data.claims)
    }

    fn key(&self, purpose: Purpose) -> Option<Vec<u8>> {
        let key = self.key.expose();
        let text = match purpose {
            Purpose::Login => "mediamill login 1",
            Purpose::Session => "mediamill session 1",
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok().filter(|_| !key.is_empty())?;
        mac.update(text.as_bytes());
        Some(mac.finalize().into_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: &str) -> Seal {
        Seal::new(Secret::parse(key))
    }

    #[test]
    fn what_is_sealed_comes_back_for_its_purpose_only() {
        let ours = seal("0123456789abcdef0123456789abcdef");
        let text = ours.close(Purpose::Session, json!({ "sub": "maria" }), 60).expect("sealed");
        let claims = ours.open(Purpose::Session, &text).expect("ours");
        assert_eq!(claims["sub"], "maria");
        assert_eq!(ours.open(Purpose::Login, &text), None, "of another purpose");
        assert_eq!(seal("another key that is long enough.").open(Purpose::Session, &text), None, "of another key");
        assert_eq!(seal("").open(Purpose::Session, &text), None);
        assert_eq!(seal("").close(Purpose::Session, json!({}), 60), None, "an empty key seals nothing");
        for n in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[n] = if bytes[n] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(ours.open(Purpose::Session, &changed), None, "changed at {n}");
        }
        for n in 0..text.len() {
            assert_eq!(ours.open(Purpose::Session, &text[..n]), None, "cut at {n}");
        }
    }

    #[test]
    fn what_is_sealed_has_an_end() {
        let ours = seal("0123456789abcdef0123456789abcdef");
        let key = EncodingKey::from_secret(&ours.key(Purpose::Session).expect("a key"));
        let opened = |claims: Value| {
            let text = encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token");
            ours.open(Purpose::Session, &text)
        };
        let now = Timestamp::now().as_second();
        assert!(opened(json!({ "exp": now + 60 })).is_some());
        assert_eq!(opened(json!({ "exp": now - 1 })), None, "it has ended");
        assert_eq!(opened(json!({ "sub": "maria" })), None, "it has no end");
        let text = ours.close(Purpose::Session, json!({}), 60).expect("sealed");
        let end = ours.open(Purpose::Session, &text).expect("ours")["exp"].as_i64().expect("a time");
        assert!((now + 60..now + 65).contains(&end), "{end}, sealed at {now}");
    }
}
