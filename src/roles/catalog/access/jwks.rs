//! The key set (RFC 7517) of whoever issues tokens. It is read again for a key that is not in it, since issuers replace their
//! keys.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::denied::TokenDenied;
use crate::config;
use crate::egress::{self, Egress, Redirects, Request, Rules};
use crate::roles::catalog::refreshed::Refreshed;

/// Largest key set.
const MAX_BYTES: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key set at a URL.
#[derive(Debug)]
pub(super) struct Jwks {
    url: String,
    client: Egress,
    keys: Refreshed<Vec<Jwk>>,
}

impl Jwks {
    /// Nothing where no URL is configured.
    pub(super) fn new(config: &config::Catalog) -> Option<Self> {
        let rules = Rules::strict()
            .with_redirects(Redirects::Return)
            .with_hosts(&config.jwks_hosts, "catalog.jwks_hosts")
            .with_plain(!config.jwks_hosts.is_empty() && config.jwks_url.starts_with("http://"));
        let options =
            egress::Options { rules, connect_timeout: TIMEOUT, read_timeout: TIMEOUT, user_agent: String::new() };
        (!config.jwks_url.is_empty()).then(|| Self {
            url: config.jwks_url.clone(),
            client: Egress::new(options),
            keys: Refreshed::new("the key set at catalog.jwks_url", Duration::from_secs(config.jwks_refresh_s)),
        })
    }

    /// The key that a token with this header is signed with.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, TokenDenied> {
        let lacks = |keys: &Vec<Jwk>| find(keys, kid, algorithm).is_none();
        let keys = self.keys.get(lacks, self.read()).await.map_err(|error| {
            if let Some(error) = error {
                tracing::warn!(error, "the key set at catalog.jwks_url cannot be read: no token is accepted, and it is asked for again with a later request");
            }
            TokenDenied::NoKeys
        })?;
        let jwk = find(&keys, kid, algorithm).ok_or(TokenDenied::Invalid)?;
        DecodingKey::from_jwk(jwk).map_err(|_| TokenDenied::Invalid)
    }

    /// Reads it, or says why that cannot be, without what the issuer has sent.
    async fn read(&self) -> Result<Vec<Jwk>, String> {
        let request = Request::get(&self.url).timeout(TIMEOUT);
        let answer = self.client.call(&request, MAX_BYTES).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("it is answered with status {}", answer.status));
        }
        // Keys of kinds that nobody here knows are left out, and the others stay.
        let set: JwkSet = serde_json::from_slice(&answer.body).map_err(|_| "it is no set of keys".to_owned())?;
        Ok(set.keys)
    }
}

/// The key of this id, or the only one that fits where the token names none.
fn find<'a>(keys: &'a [Jwk], kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = keys.iter().filter(|jwk| fits(jwk, algorithm));
    match kid {
        Some(kid) => fitting.find(|jwk| jwk.common.key_id.as_deref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

/// Whether a key may sign with this algorithm. A set that holds a shared key would tell it to everybody: such a key is none.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let family = DecodingKey::from_jwk(jwk).map(|key| key.family());
    let family_ok =
        family.is_ok_and(|family| family != AlgorithmFamily::Hmac && family.algorithms().contains(&algorithm));
    let use_ok = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let said = jwk.common.key_algorithm.as_ref();
    family_ok && use_ok && said.is_none_or(|said: &KeyAlgorithm| said.to_string() == format!("{algorithm:?}"))
}
