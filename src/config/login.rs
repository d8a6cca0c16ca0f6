//! `[login.<name>]`: OpenID Connect providers at which people of some tenants log in.

use serde::{Deserialize, Serialize};
use url::Url;

use super::http_url::is_bare_http;
use crate::secrets::Secret;
use crate::vocabulary::MAX_ID_BYTES;

/// Seconds that a session may last.
const SESSION_S: std::ops::RangeInclusive<u64> = 300..=86_400;

/// `[login.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Login {
    pub tenants: Vec<String>,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scopes: Vec<String>,
    pub roles_claim: String,
    pub hosts: Vec<String>,
    pub session_s: u64,
}

impl Login {
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 1] {
        [("client_secret", &self.client_secret)]
    }

    /// What is wrong, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key: &'static str, problem: String| {
            if !holds {
                problems.push((key, problem));
            }
        };
        let tenant_ok = |tenant: &String| tenant != "*" && (1..=MAX_ID_BYTES).contains(&tenant.len());
        let tenants_ok = !self.tenants.is_empty() && self.tenants.iter().all(tenant_ok);
        expect(tenants_ok, "tenants", format!("must name a tenant, each by 1 to {MAX_ID_BYTES} bytes; * is none"));
        let problem =
            "must be the https:// URL of the provider, without password and query; http:// for a host of hosts only";
        expect(self.issuer_ok(), "issuer", problem.to_owned());
        expect(!self.client_id.is_empty(), "client_id", "must be there: the provider gives it".to_owned());
        expect(!self.client_secret.is_empty(), "client_secret", "must be there: the provider gives it".to_owned());
        let word = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let scopes_ok = self.scopes.iter().all(word) && self.scopes.iter().any(|scope| scope == "openid");
        expect(scopes_ok, "scopes", "every entry is one word, and openid is one of them".to_owned());
        expect(word(&self.roles_claim), "roles_claim", "must be the name of a claim".to_owned());
        let bare = |host: &String| !host.is_empty() && !host.contains(['/', '@', ' ']);
        let problem = "every entry is a name or name:port, without scheme or path";
        expect(self.hosts.iter().all(bare), "hosts", problem.to_owned());
        let problem = format!("must be {} to {}", SESSION_S.start(), SESSION_S.end());
        expect(SESSION_S.contains(&self.session_s), "session_s", problem);
        problems
    }

    /// Whether the provider may be asked over plain HTTP: the operator names its host as one of their own network.
    fn issuer_ok(&self) -> bool {
        let Some(url) = Url::parse(&self.issuer).ok().filter(|_| is_bare_http(&self.issuer)) else { return false };
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        let is_named = |known: &String| known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(&with_port);
        url.scheme() == "https" || self.hosts.iter().any(is_named)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn problem(more: &[(&str, &str)]) -> String {
        let first = [
            ("login.acme.tenants", "acme"),
            ("login.acme.issuer", "https://login.example"),
            ("login.acme.client_id", "mediamill"),
            ("login.acme.client_secret", "hunter2"),
            ("catalog.session_key", KEY),
            ("links.public_url", "https://media.example"),
        ];
        let flags: Vec<_> =
            first.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(None, [], &flags).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn a_login_has_all_that_it_takes() {
        assert_eq!(problem(&[]), "");
        for (key, value) in [
            ("login.acme.tenants", ""),
            ("login.acme.tenants", "*"),
            ("login.acme.issuer", ""),
            ("login.acme.issuer", "login.example"),
            ("login.acme.issuer", "https://u:p@login.example"),
            ("login.acme.issuer", "http://login.example"),
            ("login.acme.client_id", ""),
            ("login.acme.client_secret", ""),
            ("login.acme.scopes", "email"),
            ("login.acme.scopes", "openid,a b"),
            ("login.acme.roles_claim", ""),
            ("login.acme.hosts", "http://login.example"),
            ("login.acme.session_s", "299"),
            ("login.acme.session_s", "86401"),
            ("catalog.session_key", ""),
            ("catalog.session_key", "short"),
            ("links.public_url", ""),
            ("links.public_url", "http://media.example"),
        ] {
            let text = problem(&[(key, value)]);
            assert!(
                text.contains(&format!("{key}: must")) || text.contains(&format!("{key}: every")),
                "{key} {value}: {text}"
            );
            assert!(!text.contains("hunter2") && text.lines().count() == 1, "{key} {value}: {text}");
        }
        assert_eq!(problem(&[("links.public_url", "http://127.0.0.1:8081")]), "");
        for host in ["sso.internal", "SSO.internal:80"] {
            assert_eq!(
                problem(&[("login.acme.issuer", "http://sso.internal"), ("login.acme.hosts", host)]),
                "",
                "{host}"
            );
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_and_where() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mediamill.toml");
        let text =
            "[login.Acme]\n[login.acme]\ntenants = [\"a\"]\nsession_s = 1\n[login.beta]\ntenants = [\"b\", \"a\"]\n";
        std::fs::write(&path, text).expect("a file");
        let text = load(Some(&path), [], &[]).expect_err("wrong").to_string();
        for expected in [
            "mediamill.toml:1: login.Acme: a name has",
            "mediamill.toml:2: login.acme.issuer: must be",
            "mediamill.toml:4: login.acme.session_s: must be 300 to 86400",
            "mediamill.toml:6: login.beta.tenants: a is a tenant of login.acme",
            "mediamill.toml:5: login.beta.client_id: must be there",
            "catalog.session_key: must have at least 32 bytes",
            "links.public_url: must be there",
        ] {
            assert!(text.contains(expected), "{expected} is not in:\n{text}");
        }
    }
}
