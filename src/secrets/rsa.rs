//! RSA keys of the configuration, which sign with SHA-256 (RSASSA-PKCS1-v1_5, RFC 8017, 8.2).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A private key. It has no `Debug`.
pub struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// Reads PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`) in PEM (RFC 7468). Nothing where it is neither.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        let key = match between(pem, "PRIVATE KEY") {
            Some(pkcs8) => RsaKeyPair::from_pkcs8(&pkcs8),
            None => RsaKeyPair::from_der(&between(pem, "RSA PRIVATE KEY")?),
        };
        key.ok().map(Self)
    }

    /// The signature of these bytes. Nothing where the library has no randomness.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).ok()?;
        Some(signature)
    }
}

/// The bytes between the lines with this label.
fn between(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (text, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(text).ok()
}
