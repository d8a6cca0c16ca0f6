//! `[catalog]` and `[access.<name>]`: the index, its doors, and who may do what.

use serde::{Deserialize, Serialize};

use super::http_url::is_bare_http;
use crate::secrets::Secret;

/// `[catalog]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Catalog {
    pub listen: String,
    pub tls_certificate: std::path::PathBuf,
    pub tls_key: std::path::PathBuf,
    pub url: Secret,
    pub connections: u32,
    pub batch: u16,
    pub jwt_key: Secret,
    pub jwks_url: String,
    pub jwks_hosts: Vec<String>,
    pub jwks_refresh_s: u64,
    pub jwt_issuer: String,
    pub jwt_audience: String,
    pub jwt_leeway_s: u64,
    pub proxy_networks: Vec<String>,
    pub proxy_user_header: String,
    pub proxy_roles_header: String,
    pub session_key: Secret,
    pub link_s: u64,
    pub redirect: bool,
    pub frame_ancestors: Vec<String>,
    pub page_rows: u32,
    pub audit_repeat_s: u64,
    pub http_connections: usize,
    pub head_bytes: usize,
    pub head_timeout_s: u64,
    pub request_timeout_s: u64,
    pub drain_timeout_s: u64,
}

/// `[access.<name>]`: what whoever has the role of this name may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Access {
    pub tenants: Vec<String>,
    pub kinds: Vec<String>,
    pub tags: Vec<String>,
    pub assets: Vec<String>,
    pub actions: Vec<String>,
}

/// Shortest key: what is shorter could be guessed.
const MIN_KEY_BYTES: usize = 32;
/// What a role may be allowed.
const ACTIONS: [&str; 8] = ["view", "original", "export", "erase", "hold", "audit", "revoke", "operate"];
const KINDS: [&str; 4] = ["audio", "video", "image", "document"];
const ASSETS: [&str; 6] = ["playback", "thumbnail", "rendition", "waveform", "peaks", "original"];

impl Catalog {
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 3] {
        [("catalog.url", &self.url), ("catalog.jwt_key", &self.jwt_key), ("catalog.session_key", &self.session_key)]
    }

    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key: &'static str, problem: &str| {
            if !holds {
                problems.push((key, problem.to_owned()));
            }
        };
        let listen_ok = self.listen.is_empty() || self.listen.parse::<std::net::SocketAddr>().is_ok();
        expect(listen_ok, "catalog.listen", "must be an IP address and a port, such as 0.0.0.0:8081, or empty");
        let tls_ok = self.tls_certificate.as_os_str().is_empty() == self.tls_key.as_os_str().is_empty();
        expect(tls_ok, "catalog.tls_key", "catalog.tls_certificate and catalog.tls_key must both be there, or neither");
        let url = self.url.expose();
        let schemes = ["sqlite:", "postgres:", "postgresql:"];
        let url_ok = schemes.iter().any(|scheme| url.starts_with(scheme));
        expect(url_ok, "catalog.url", "must be sqlite:///file.db or postgres://user@host/database");
        expect((1..=200).contains(&self.connections), "catalog.connections", "must be 1 to 200");
        expect((1..=2000).contains(&self.batch), "catalog.batch", "must be 1 to 2000");
        let key = self.jwt_key.expose();
        let key_ok = key.is_empty() || key.len() >= MIN_KEY_BYTES;
        expect(key_ok, "catalog.jwt_key", "must have at least 32 bytes, or be empty");
        let jwks_ok = self.jwks_url.is_empty() || is_bare_http(&self.jwks_url);
        expect(jwks_ok, "catalog.jwks_url", "must be an http:// or https:// URL without password and query, or empty");
        let has_tokens = !key.is_empty() || !self.jwks_url.is_empty();
        let problem = "must be there where tokens are taken: a token for another service would be taken as well";
        expect(!has_tokens || !self.jwt_audience.is_empty(), "catalog.jwt_audience", problem);
        let problem = "must be there where catalog.jwks_url is";
        expect(self.jwks_url.is_empty() || !self.jwt_issuer.is_empty(), "catalog.jwt_issuer", problem);
        expect(self.jwt_leeway_s <= 60, "catalog.jwt_leeway_s", "must be at most 60");
        expect((10..=86_400).contains(&self.jwks_refresh_s), "catalog.jwks_refresh_s", "must be 10 to 86400");
        let networks_ok = self.proxy_networks.iter().all(|text| network(text).is_some());
        expect(networks_ok, "catalog.proxy_networks", "every entry is an address or a network, such as 10.0.0.0/8");
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let header_ok = |text: &str| !text.is_empty() && text.bytes().all(lower);
        let headers = [
            ("catalog.proxy_user_header", &self.proxy_user_header),
            ("catalog.proxy_roles_header", &self.proxy_roles_header),
        ];
        for (key, header) in headers {
            expect(header_ok(header), key, "must be the name of a header in lower case");
        }
        expect((60..=604_800).contains(&self.link_s), "catalog.link_s", "must be 60 to 604800");
        let source_ok = |text: &String| is_bare_http(text) && text.matches('/').count() == 2;
        let frames_ok = self.frame_ancestors.iter().all(source_ok);
        expect(
            frames_ok,
            "catalog.frame_ancestors",
            "every entry is an origin, such as https://acme.lightning.force.com",
        );
        expect((1..=1000).contains(&self.page_rows), "catalog.page_rows", "must be 1 to 1000");
        expect(self.audit_repeat_s <= 3600, "catalog.audit_repeat_s", "must be at most 3600");
        expect((1..=65_536).contains(&self.http_connections), "catalog.http_connections", "must be 1 to 65536");
        expect((8192..=1 << 20).contains(&self.head_bytes), "catalog.head_bytes", "must be 8192 to 1048576");
        for (key, seconds) in [
            ("catalog.head_timeout_s", self.head_timeout_s),
            ("catalog.request_timeout_s", self.request_timeout_s),
            ("catalog.drain_timeout_s", self.drain_timeout_s),
        ] {
            expect((1..=600).contains(&seconds), key, "must be 1 to 600");
        }
        problems
    }
}

impl Access {
    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.tenants.is_empty() {
            problems.push(("tenants", "must name a tenant, or * for every one".to_owned()));
        }
        let lists = [
            ("kinds", &self.kinds, &KINDS[..]),
            ("assets", &self.assets, &ASSETS),
            ("actions", &self.actions, &ACTIONS),
        ];
        for (key, values, known) in lists {
            if !values.iter().all(|value| known.contains(&value.as_str())) {
                problems.push((key, format!("every entry is one of {}", known.join(", "))));
            }
        }
        let operates = self.actions.iter().any(|action| action == "operate");
        if operates && !self.tenants.iter().any(|tenant| tenant == "*") {
            problems.push(("actions", "operate is for all tenants: tenants must have *".to_owned()));
        }
        problems
    }
}

/// A network as address and number of bits; one address has all of them.
#[must_use]
pub fn network(text: &str) -> Option<(std::net::IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: std::net::IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => most,
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
    };
    Some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_bits() {
        let is = |text: &str, address: &str, bits| {
            assert_eq!(network(text), Some((address.parse().expect("an address"), bits)), "{text}");
        };
        is("10.0.0.0/8", "10.0.0.0", 8);
        is("127.0.0.1", "127.0.0.1", 32);
        is("::1", "::1", 128);
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "proxy", "10.0.0.0/8/8", "::/129"] {
            assert_eq!(network(text), None, "{text}");
        }
    }
}
