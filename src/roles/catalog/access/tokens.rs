//! JSON Web Tokens (RFC 7519): signed by a shared key (HS256), or by a private key whose public one is in a key set.
//!
//! | claim | meaning |
//! |---|---|
//! | `exp`, `aud` | required; `nbf` and `iss` where they are there or configured |
//! | `sub` | who it is |
//! | `roles` | names of tables below `access`: a list, or one text with spaces between them |
//! | `tenants` | the only tenants that it is for, where it is there |
//! | `contact` | the only contact that it is for, as its keyed hash, where it is there |

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::denied::TokenDenied;
use super::jwks::Jwks;
use crate::config;
use crate::secrets::Secret;

/// Longest token that is read.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Judges tokens.
#[derive(Debug)]
pub struct Tokens {
    key: Secret,
    jwks: Option<Jwks>,
    issuer: String,
    audience: String,
    leeway_s: u64,
}

/// What a token says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who it is.
    pub subject: String,
    /// Their roles.
    pub roles: Vec<String>,
    /// The only tenants that it is for.
    pub tenants: Option<Vec<String>>,
    /// The only contact that it is for.
    pub contact: Option<String>,
}

impl Tokens {
    /// As the configuration says.
    #[must_use]
    pub fn new(config: &config::Catalog) -> Self {
        Self {
            key: config.jwt_key.clone(),
            jwks: Jwks::new(config),
            issuer: config.jwt_issuer.clone(),
            audience: config.jwt_audience.clone(),
            leeway_s: config.jwt_leeway_s,
        }
    }

    /// What a token says, where it is valid now.
    ///
    /// # Errors
    /// [`TokenDenied`]
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenDenied> {
        if token.len() > MAX_TOKEN_BYTES || self.audience.is_empty() {
            return Err(TokenDenied::Invalid);
        }
        let header = decode_header(token).map_err(|_| TokenDenied::Invalid)?;
        // The key's kind decides, not the token: a public key is never taken for a shared one.
        let key = match header.alg {
            Algorithm::HS256 => {
                let key = self.key.expose();
                if key.is_empty() {
                    return Err(TokenDenied::Invalid);
                }
                DecodingKey::from_secret(key.as_bytes())
            }
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::ES256
            | Algorithm::ES384
            | Algorithm::EdDSA => {
                let jwks = self.jwks.as_ref().ok_or(TokenDenied::Invalid)?;
                jwks.key(header.kid.as_deref(), header.alg).await?
            }
            _ => return Err(TokenDenied::Invalid),
        };
        let data = decode::<Value>(token, &key, &self.validation(header.alg)).map_err(|_| TokenDenied::Invalid)?;
        claims(&data.claims).ok_or(TokenDenied::Invalid)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.leeway_s;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        let mut required = vec!["exp", "aud"];
        if !self.issuer.is_empty() {
            validation.set_issuer(&[&self.issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

/// Nothing where a claim that confines the token cannot be read: it would confine nothing.
fn claims(value: &Value) -> Option<Claims> {
    let list = |key: &str| match value.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>())),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>().map(Some)
        }
        Some(_) => None,
    };
    let contact = match value.get("contact") {
        None | Some(Value::Null) => None,
        Some(contact) => Some(contact.as_str()?.to_owned()),
    };
    Some(Claims {
        subject: value.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned(),
        roles: list("roles")?.unwrap_or_default(),
        tenants: list("tenants")?,
        contact,
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn tokens() -> Tokens {
        Tokens {
            key: Secret::parse(KEY),
            jwks: None,
            issuer: "https://login.example".to_owned(),
            audience: "mediamill".to_owned(),
            leeway_s: 30,
        }
    }

    fn good() -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": "https://login.example", "aud": "mediamill", "exp": now + 60, "nbf": now - 1, "sub": "maria",
            "roles": ["agent"], "tenants": ["acme"], "contact": "c0ffee",
        })
    }

    fn signed(claims: &Value, key: &str, algorithm: Algorithm) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).expect("a token")
    }

    #[tokio::test]
    async fn a_valid_token_says_who_it_is() {
        let claims = tokens().verify(&signed(&good(), KEY, Algorithm::HS256)).await.expect("valid");
        assert_eq!(
            (claims.subject.as_str(), claims.roles, claims.contact.as_deref()),
            ("maria", vec!["agent".to_owned()], Some("c0ffee"))
        );
        assert_eq!(claims.tenants, Some(vec!["acme".to_owned()]));
    }

    #[tokio::test]
    async fn every_token_that_was_tampered_with_is_refused() {
        let now = jiff::Timestamp::now().as_second();
        let with = |key: &str, value: Value| {
            let mut claims = good();
            claims[key] = value;
            signed(&claims, KEY, Algorithm::HS256)
        };
        let without = |key: &str| {
            let mut claims = good();
            claims.as_object_mut().expect("an object").remove(key);
            signed(&claims, KEY, Algorithm::HS256)
        };
        let valid = signed(&good(), KEY, Algorithm::HS256);
        let parts: Vec<&str> = valid.split('.').collect();
        let unsigned = {
            use base64::Engine;
            let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
            [format!("{none}.{}.", parts[1]), format!("{none}.{}.{}", parts[1], parts[2])]
        };
        let other = with("sub", json!("someone else"));
        let swapped = format!("{}.{}.{}", parts[0], other.split('.').nth(1).expect("a part"), parts[2]);
        let cases = [
            with("exp", json!(now - 3600)),
            with("nbf", json!(now + 3600)),
            with("aud", json!("another")),
            with("iss", json!("https://evil.example")),
            with("tenants", json!(7)),
            with("tenants", json!([7])),
            with("contact", json!(["c0ffee"])),
            without("exp"),
            without("aud"),
            without("iss"),
            signed(&good(), "another key that is long enough.", Algorithm::HS256),
            signed(&good(), KEY, Algorithm::HS384),
            unsigned[0].clone(),
            unsigned[1].clone(),
            swapped,
            parts[..2].join("."),
            String::new(),
            "a.b.c".to_owned(),
            "x".repeat(MAX_TOKEN_BYTES + 1),
        ];
        assert!(tokens().verify(&valid).await.is_ok(), "is the test blind?");
        for (n, token) in cases.iter().enumerate() {
            assert_eq!(tokens().verify(token).await, Err(TokenDenied::Invalid), "case {n}");
        }
        let without_key = Tokens { key: Secret::parse(""), ..tokens() };
        let empty = signed(&good(), "", Algorithm::HS256);
        assert_eq!(without_key.verify(&empty).await, Err(TokenDenied::Invalid), "an empty key signs nothing");
    }
}
