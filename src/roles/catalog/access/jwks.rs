//! The key set (RFC 7517) of whoever issues tokens. It is read when it is first needed, again when it is old, and at once for a
//! key that is not in it, since issuers replace their keys.

use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::denied::TokenDenied;
use crate::config;
use crate::egress::{self, Egress, Redirects, Request, Rules};

/// Largest key set.
const MAX_BYTES: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two requests for the set, whatever tokens ask for.
const PAUSE: Duration = Duration::from_secs(10);

/// A key set at a URL.
#[derive(Debug)]
pub(super) struct Jwks {
    url: String,
    client: Egress,
    refresh: Duration,
    /// One request at a time: others wait for it.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Vec<Jwk>,
    /// When the set was read.
    read_at: Option<Instant>,
    /// When it was last asked for.
    asked_at: Option<Instant>,
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
            refresh: Duration::from_secs(config.jwks_refresh_s),
            known: Mutex::default(),
        })
    }

    /// The key that a token with this header is signed with.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, TokenDenied> {
        let mut known = self.known.lock().await;
        let is_old = known.read_at.is_none_or(|at| at.elapsed() >= self.refresh);
        let is_missing = find(&known.keys, kid, algorithm).is_none();
        let may_ask = known.asked_at.is_none_or(|at| at.elapsed() >= PAUSE);
        if (is_old || is_missing) && may_ask {
            known.asked_at = Some(Instant::now());
            match self.read().await {
                Some(keys) => (known.keys, known.read_at) = (keys, Some(Instant::now())),
                None => {
                    tracing::warn!("the key set of tokens cannot be read: the keys that were read before stay in use")
                }
            }
        }
        if known.read_at.is_none() {
            return Err(TokenDenied::NoKeys);
        }
        let jwk = find(&known.keys, kid, algorithm).ok_or(TokenDenied::Invalid)?;
        DecodingKey::from_jwk(jwk).map_err(|_| TokenDenied::Invalid)
    }

    async fn read(&self) -> Option<Vec<Jwk>> {
        let answer = self.client.call(&Request::get(&self.url).timeout(TIMEOUT), MAX_BYTES).await.ok()?;
        if answer.status != 200 {
            return None;
        }
        // Keys of kinds that nobody here knows are left out, and the others stay.
        serde_json::from_slice::<JwkSet>(&answer.body).ok().map(|set| set.keys)
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
