//! Signatures of Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): `v1`, HMAC-SHA256.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secrets::Secret;

/// What a key begins with where it is written.
const PREFIX: &str = "whsec_";
/// Keys without padding are taken too.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Fewer bytes could be guessed.
const MIN_KEY_BYTES: usize = 24;
/// The specification's most.
const MAX_KEY_BYTES: usize = 64;

/// Why a key cannot sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ and base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, such as `openssl rand -base64 32` gives"
)]
pub struct BadKey;

/// The bytes of a key, with or without its prefix.
///
/// # Errors
/// [`BadKey`]
pub fn key(secret: &Secret) -> Result<Vec<u8>, BadKey> {
    let text = secret.expose();
    let bytes = LENIENT.decode(text.strip_prefix(PREFIX).unwrap_or(&text)).map_err(|_| BadKey)?;
    if (MIN_KEY_BYTES..=MAX_KEY_BYTES).contains(&bytes.len()) { Ok(bytes) } else { Err(BadKey) }
}

/// `webhook-signature`: one signature for each key, in their order.
#[must_use]
pub fn signatures(keys: &[Vec<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let sign = |key: &Vec<u8>| {
        // An HMAC takes a key of any length.
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        hmac.update(format!("{id}.{timestamp}.").as_bytes());
        hmac.update(body);
        Some(format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes())))
    };
    keys.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(text: &str) -> Vec<u8> {
        key(&Secret::from(text.to_owned())).expect("a key")
    }

    /// Computed with Python's hmac; the first one also stands in the tests of Svix.
    #[test]
    fn signatures_are_those_of_the_vectors() {
        let c = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let c_body = r#"{"specversion":"1.0","type":"mediamill.media.normalized.v1","data":{"tenant":"acme","note":"für Zoë ✓"}}"#;
        for (secret, id, timestamp, body, signature) in [
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                c,
                "6c108181-d7d2-592e-afee-894179822c5a",
                1_795_341_601,
                c_body,
                "v1,7hnuSYCgt3jDz/7X+7byUiO/5Q+zEKD4Mr+pJcQboNk=",
            ),
            (c, "msg_empty", 0, "", "v1,rj/XH3Tm6G/SToL6tT4Lkb4ZUYp8+qMAMWu3q7fMFes="),
            ("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "m", 1, "{}", "v1,pSUjUeLUIrMUCyBzIYRJ38upRF5th3K/GYRFjt5bka0="),
        ] {
            assert_eq!(signatures(&[key_of(secret)], id, timestamp, body.as_bytes()), signature, "{id}");
        }
        let old = key_of("whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        let both =
            signatures(&[key_of(c), old], "6c108181-d7d2-592e-afee-894179822c5a", 1_795_341_601, c_body.as_bytes());
        let expected =
            "v1,7hnuSYCgt3jDz/7X+7byUiO/5Q+zEKD4Mr+pJcQboNk= v1,Ykxe4k6hF/KDZqjWEZmtNKmDq7+t2cKD12VhlIPgx5w=";
        assert_eq!(both, expected);
    }

    #[test]
    fn a_key_has_its_prefix_or_not_and_enough_bytes() {
        let same = key_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(same, key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64!", "whsec_\u{fc}"] {
            assert_eq!(key(&Secret::from(wrong.to_owned())), Err(BadKey), "{wrong:?}");
        }
    }
}
