//! `[privacy]` and `[tenants.<name>]`: who is known how, what may be stored, and for how long.

use serde::{Deserialize, Serialize};

use super::http_url::is_bare_http;
use crate::secrets::Secret;

/// Whether media may be stored of whom no decision is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentMode {
    /// As `privacy.consent` says: for a tenant only.
    #[serde(rename = "")]
    Unset,
    /// They may, until the person denies or withdraws consent.
    #[serde(rename = "opt-out")]
    OptOut,
    /// They may not, until the person grants it.
    #[serde(rename = "required")]
    Required,
}

/// `[privacy]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Privacy {
    pub key: Secret,
    pub key_previous: Secret,
    pub consent: ConsentMode,
    pub consent_purposes: Vec<String>,
    pub retention_days: u32,
    pub cache_s: u64,
    pub sweep_s: u64,
    pub audit_key: Secret,
    pub audit_name: String,
    pub purge_url: String,
    pub purge_token: Secret,
    pub purge_allow_private: bool,
}

/// `[tenants.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Tenant {
    pub tenant: String,
    pub consent: ConsentMode,
    pub consent_purposes: Vec<String>,
    pub retention_days: u32,
    pub revoke_erases: bool,
}

/// A key that can be guessed hides nobody: telephone numbers are few.
const MIN_KEY_BYTES: usize = 32;
/// A hundred years.
const MAX_RETENTION_DAYS: u32 = 36_525;
/// What a cached decision may be late by.
const MAX_CACHE_S: u64 = 3600;
/// Purposes that mediamill itself asks for.
const PURPOSES: [&str; 2] = ["store", "keep-original"];

fn purposes_ok(purposes: &[String]) -> bool {
    purposes.iter().all(|purpose| PURPOSES.contains(&purpose.as_str()))
}

impl Privacy {
    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key: &'static str, problem: String| {
            if !holds {
                problems.push((key, problem));
            }
        };
        for (key, secret) in [("key", &self.key), ("key_previous", &self.key_previous)] {
            let length = secret.expose().len();
            let problem = format!("must have at least {MIN_KEY_BYTES} bytes, or be empty");
            expect(length == 0 || length >= MIN_KEY_BYTES, key, problem);
        }
        let alone = self.key.is_empty() && !self.key_previous.is_empty();
        expect(!alone, "key_previous", "is the key before privacy.key, which is empty".to_owned());
        expect(self.consent != ConsentMode::Unset, "consent", "must be opt-out or required".to_owned());
        let problem = format!("every entry is one of {}", PURPOSES.join(", "));
        expect(purposes_ok(&self.consent_purposes), "consent_purposes", problem);
        let problem = format!("must be at most {MAX_RETENTION_DAYS}");
        expect(self.retention_days <= MAX_RETENTION_DAYS, "retention_days", problem);
        expect(self.cache_s <= MAX_CACHE_S, "cache_s", format!("must be at most {MAX_CACHE_S}"));
        let name = &self.audit_name;
        let name_ok = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '+');
        expect(name_ok, "audit_name", "must be printable ASCII without spaces and plus signs".to_owned());
        let url = &self.purge_url;
        let url_ok = url.is_empty() || (is_bare_http(url) && (self.purge_allow_private || url.starts_with("https://")));
        let problem =
            "must be an https:// URL without password and query (http:// with privacy.purge_allow_private), or empty";
        expect(url_ok, "purge_url", problem.to_owned());
        let alone = url.is_empty() && !self.purge_token.is_empty();
        expect(!alone, "purge_token", "is for privacy.purge_url, which is empty".to_owned());
        problems
    }
}

impl Tenant {
    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !purposes_ok(&self.consent_purposes) {
            problems.push(("consent_purposes", format!("every entry is one of {}", PURPOSES.join(", "))));
        }
        if self.retention_days > MAX_RETENTION_DAYS {
            problems.push(("retention_days", format!("must be at most {MAX_RETENTION_DAYS}")));
        }
        problems
    }
}
