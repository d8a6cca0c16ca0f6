//! Links: a shared access signature for one object (service SAS), by the account's key or by a key that the service gives to whoever
//! has a token (user delegation). The layout of what is signed belongs to its version: both are those of 2023-11-03.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::login::Signing;
use super::{Ask, Body, Inner, Link, LinkOptions, Method, StoreError, xml};
use crate::store::SignedUrl;

const SIGN: &str = "sign a link";
const VERSION: &str = "2023-11-03";
/// Clocks differ: a link counts from a little earlier on.
const SKEW: Duration = Duration::from_secs(300);
/// How long a key is asked for, and how much of that a link may use at least. The service gives 7 days at most.
const KEY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600 - 600);

/// A key that signs links for whoever had a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DelegatedKey {
    oid: String,
    tid: String,
    start: String,
    expiry: String,
    service: String,
    version: String,
    value: String,
}

/// The key that was asked for last, and when it ends.
#[derive(Default)]
pub(super) struct Keys(Mutex<Option<(DelegatedKey, SystemTime)>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// What a link says and what is signed of it.
struct Grant<'a> {
    /// `/blob/<account>/<container>/<key>`, not encoded.
    resource: String,
    start: String,
    expiry: String,
    /// `https` where the link may not be followed without TLS.
    protocol: &'static str,
    content_type: &'a str,
    content_disposition: &'a str,
}

impl Grant<'_> {
    fn to_sign(&self, delegated: Option<&DelegatedKey>) -> String {
        let head = ["r", &self.start, &self.expiry, &self.resource];
        let tail = [self.protocol, VERSION, "b", "", "", "", self.content_disposition, "", "", self.content_type];
        let middle: Vec<&str> = match delegated {
            // Object and tenant of the key, when it counts, what for, in which version; two users and a correlation; the address.
            Some(key) => {
                vec![&key.oid, &key.tid, &key.start, &key.expiry, &key.service, &key.version, "", "", "", ""]
            }
            // A stored policy, the address.
            None => vec!["", ""],
        };
        head.into_iter().chain(middle).chain(tail).collect::<Vec<_>>().join("\n")
    }

    /// The parameters of the link without its signature.
    fn parameters<'a>(&'a self, delegated: Option<&'a DelegatedKey>) -> Vec<(&'static str, &'a str)> {
        let mut all = vec![("sv", VERSION), ("st", &*self.start), ("se", &*self.expiry), ("sr", "b"), ("sp", "r")];
        if let Some(key) = delegated {
            all.extend([("skoid", &*key.oid), ("sktid", &key.tid), ("skt", &key.start), ("ske", &key.expiry)]);
            all.extend([("sks", &*key.service), ("skv", &key.version)]);
        }
        let more = [("spr", self.protocol), ("rscd", self.content_disposition), ("rsct", self.content_type)];
        all.extend(more.into_iter().filter(|(_, value)| !value.is_empty()));
        all
    }
}

fn signature(key: &str, text: &str) -> Result<String, StoreError> {
    let unusable = || StoreError::Config("store.azure_key: the account's key is not base64".to_owned());
    let key = STANDARD.decode(key).map_err(|_| unusable())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| unusable())?;
    mac.update(text.as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

/// As the service writes times, without fractions of seconds.
fn written(at: SystemTime) -> Result<String, StoreError> {
    let at = Timestamp::try_from(at).map_err(|_| StoreError::invalid(SIGN, "the time has no date"))?;
    Ok(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

impl Inner {
    pub(super) async fn sign(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        let now = SystemTime::now();
        let (secret, delegated) = match self.dialect.login.signing() {
            Signing::Nothing => return Ok(Link::Stream),
            Signing::Key(key) => (key, None),
            Signing::Delegated => {
                let key = self.delegated_key(now, options.expires_in).await?;
                (key.value.as_str().into(), Some(key))
            }
        };
        let address = &self.dialect.address;
        let expires_at = now + Duration::from_secs(options.expires_in.as_secs());
        let grant = Grant {
            resource: format!("/blob/{}/{}/{key}", address.account, self.container),
            start: written(now - SKEW)?,
            expiry: written(expires_at)?,
            protocol: if address.is_plain() { "" } else { "https" },
            content_type: options.content_type.unwrap_or_default(),
            content_disposition: options.content_disposition.unwrap_or_default(),
        };
        let mut url = address.object(&self.container, key);
        url.query_pairs_mut()
            .extend_pairs(grant.parameters(delegated.as_ref()))
            .append_pair("sig", &signature(&secret, &grant.to_sign(delegated.as_ref()))?);
        Ok(Link::Signed(SignedUrl::new(url.into(), expires_at)))
    }

    /// A key of the service that a link of this life can be signed with.
    async fn delegated_key(&self, now: SystemTime, life: Duration) -> Result<DelegatedKey, StoreError> {
        let keys = &self.keys.0;
        let known = keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((key, _)) = known.filter(|(_, until)| *until > now + life) {
            return Ok(key);
        }
        let until = now + KEY_LIFE;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
            written(now - SKEW)?,
            written(until)?
        );
        let mut url = self.dialect.address.service();
        url.query_pairs_mut().append_pair("restype", "service").append_pair("comp", "userdelegationkey");
        let answer = self.rest.done(SIGN, &Ask::new(Method::POST, url).body(Body::bytes(body.into()))).await?;
        let key = delegated(&String::from_utf8_lossy(&answer.body))
            .ok_or_else(|| StoreError::unavailable(SIGN, "the store gave no key to sign links with"))?;
        *keys.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), until));
        Ok(key)
    }
}

fn delegated(text: &str) -> Option<DelegatedKey> {
    let text = |name| xml::first(text, name);
    Some(DelegatedKey {
        oid: text("SignedOid")?,
        tid: text("SignedTid")?,
        start: text("SignedStart")?,
        expiry: text("SignedExpiry")?,
        service: text("SignedService")?,
        version: text("SignedVersion")?,
        value: text("Value")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the public emulator, which everybody has.
    const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn grant<'a>(protocol: &'static str, content_type: &'a str, content_disposition: &'a str) -> Grant<'a> {
        Grant {
            resource: "/blob/devstoreaccount1/media/acme/wamid%2EHBgL1/audio.mp3".to_owned(),
            start: "2026-01-02T03:04:05Z".to_owned(),
            expiry: "2026-01-02T03:09:05Z".to_owned(),
            protocol,
            content_type,
            content_disposition,
        }
    }

    /// What azure-storage-blob 12.31.1 (PyPI), and a computation by hand, sign for the same.
    #[test]
    fn signatures_are_those_of_the_vendors_library() {
        let plain = grant("", "", "");
        assert_eq!(
            signature(KEY, &plain.to_sign(None)).ok().as_deref(),
            Some("QmOJuvIMPacih9WKgWFn0Y5b/J9gzuJAOHjVL4j9yuA=")
        );
        let named = grant("https", "audio/mpeg", "attachment; filename=\"note.mp3\"");
        assert_eq!(
            signature(KEY, &named.to_sign(None)).ok().as_deref(),
            Some("dxMiN7lbFzh59d06nyWo7+4FjASKvzXhLNgmUy9lT4E=")
        );
        let key = DelegatedKey {
            oid: "11111111-2222-3333-4444-555555555555".to_owned(),
            tid: "66666666-7777-8888-9999-000000000000".to_owned(),
            start: "2026-01-02T00:00:00Z".to_owned(),
            expiry: "2026-01-02T12:00:00Z".to_owned(),
            service: "b".to_owned(),
            version: "2023-11-03".to_owned(),
            value: KEY.to_owned(),
        };
        let signed = signature(KEY, &named.to_sign(Some(&key))).ok();
        assert_eq!(signed.as_deref(), Some("sz2SNbYnWQZH0xWqvZR1sw4796tiVKNAD+ft8MbUiX8="));
        assert!(named.parameters(Some(&key)).contains(&("skoid", "11111111-2222-3333-4444-555555555555")));
        assert!(signature("no base64!", "").is_err());
    }
}
