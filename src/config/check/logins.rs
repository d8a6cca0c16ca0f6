//! Checks of `[login.<name>]`, and of what logins need elsewhere.

use std::collections::BTreeMap;

use url::{Host, Url};

use super::super::Config;
use super::Checker;

/// Shortest key: what is shorter could be guessed.
const MIN_KEY_BYTES: usize = 32;

impl Checker<'_> {
    pub(super) fn logins(&mut self, config: &Config) {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, login) in &config.login {
            for (key, problem) in login.problems() {
                let key = format!("login.{name}.{key}");
                // A value that was refused where it stands is not missed here as well.
                if !self.errors.concern(&key) {
                    self.wrong(&key, &problem);
                }
            }
            for tenant in &login.tenants {
                let owner = *owners.entry(tenant).or_insert(name);
                if owner != name {
                    let problem =
                        format!("{tenant} is a tenant of login.{owner}, and people of a tenant log in at one place");
                    self.wrong(&format!("login.{name}.tenants"), &problem);
                }
            }
        }
        let key = &config.catalog.session_key;
        let first = config.login.keys().next().map(|name| format!("login.{name}"));
        let key_ok = if key.is_empty() { first.is_none() } else { key.expose().len() >= MIN_KEY_BYTES };
        let login = first.as_deref().unwrap_or("catalog.session_key");
        if !self.errors.concern("catalog.session_key") {
            let problem = "must have at least 32 bytes where a login is, such as `openssl rand -hex 32`";
            self.expect_together(key_ok, &["catalog.session_key", login], problem);
        }
        if first.is_some() && !self.errors.concern("links.public_url") {
            let problem = "must be there where a login is, and https:// unless it is an address of this machine";
            self.expect_together(is_safe(&config.links.public_url), &["links.public_url", login], problem);
        }
    }
}

/// Whether browsers keep cookies for it that only they and this server know.
fn is_safe(public_url: &str) -> bool {
    let Ok(url) = Url::parse(public_url) else { return false };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || is_loopback
}
