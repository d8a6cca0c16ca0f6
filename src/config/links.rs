//! `[links]`: links that people and CRMs keep.

use serde::{Deserialize, Serialize};

use super::http_url::is_bare_http;
use crate::secrets::Secret;

/// Shortest key: what is shorter could be guessed.
const MIN_KEY_BYTES: usize = 32;
/// Longest life of a link that has one: a hundred years.
const MAX_DAYS: u32 = 36_500;

/// `[links]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Links {
    pub public_url: String,
    pub key: Secret,
    pub previous_key: Secret,
    pub capability_days: u32,
    pub signer: String,
    pub signer_url: String,
    pub signer_key_id: String,
    pub signer_key: Secret,
}

impl Links {
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 3] {
        [("links.key", &self.key), ("links.previous_key", &self.previous_key), ("links.signer_key", &self.signer_key)]
    }

    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let url = &self.public_url;
        if !url.is_empty() && (!is_bare_http(url) || url.ends_with('/')) {
            let problem = "must be an http:// or https:// URL without password and query and without a slash at its end, or empty";
            problems.push(("links.public_url", problem.to_owned()));
        }
        self.signer(&mut problems);
        for (key, secret) in self.secrets().into_iter().take(2) {
            if !secret.is_empty() && secret.expose().len() < MIN_KEY_BYTES {
                problems
                    .push((key, format!("must have at least {MIN_KEY_BYTES} bytes, such as `openssl rand -hex 32`")));
            }
        }
        if self.capability_days > MAX_DAYS {
            problems.push(("links.capability_days", format!("must be at most {MAX_DAYS}")));
        }
        problems
    }

    /// The network that signs links has an address, and a key with its id.
    fn signer(&self, problems: &mut Vec<(&'static str, String)>) {
        if self.signer.is_empty() {
            return;
        }
        if self.signer != "cloudfront" {
            problems.push(("links.signer", "must be cloudfront, or empty".to_owned()));
        }
        let url = &self.signer_url;
        if !is_bare_http(url) || url.ends_with('/') {
            let problem = "must be the https:// URL of the distribution, without a slash at its end";
            problems.push(("links.signer_url", problem.to_owned()));
        }
        if self.signer_key_id.is_empty() || self.signer_key.is_empty() {
            let problem = "must have the key of a key group of the distribution, and links.signer_key_id its id";
            problems.push(("links.signer_key", problem.to_owned()));
        }
    }
}
