//! Credentials of requests, and the hosts that each may be sent to.

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::EgressError;
use crate::secrets::Secret;

/// A credential and the only hosts that it may be sent to. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Credential {
    form: Form,
    hosts: Hosts,
}

#[derive(Debug, Clone)]
enum Form {
    /// `Name: <prefix><secret>`
    Header { name: HeaderName, prefix: &'static str, secret: Secret },
    /// `Authorization: Basic …` (RFC 7617).
    Basic { user: Secret, password: Secret },
}

impl Credential {
    /// `Authorization: Bearer <token>` (RFC 6750).
    #[must_use]
    pub const fn bearer(token: Secret, hosts: Hosts) -> Self {
        Self::authorization("Bearer ", token, hosts)
    }

    /// `Authorization: <prefix><secret>`. The prefix is a scheme and a space, such as `AccessKey `.
    #[must_use]
    pub const fn authorization(prefix: &'static str, secret: Secret, hosts: Hosts) -> Self {
        Self { form: Form::Header { name: AUTHORIZATION, prefix, secret }, hosts }
    }

    /// `Authorization: Basic …` (RFC 7617).
    #[must_use]
    pub const fn basic(user: Secret, password: Secret, hosts: Hosts) -> Self {
        Self { form: Form::Basic { user, password }, hosts }
    }

    /// A header of the provider, such as `d360-api-key`. The name must be in lower case.
    ///
    /// # Panics
    /// If `name` is not a valid header name.
    #[must_use]
    pub const fn header(name: &'static str, secret: Secret, hosts: Hosts) -> Self {
        Self { form: Form::Header { name: HeaderName::from_static(name), prefix: "", secret }, hosts }
    }

    /// The hosts that the credential may be sent to.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// The header for a request to this URL; `None` if the URL's host is not one of the credential's.
    pub(super) fn header_for(&self, url: &Url) -> Result<Option<(HeaderName, HeaderValue)>, EgressError> {
        if !self.hosts.admit(url) {
            return Ok(None);
        }
        let (name, text) = match &self.form {
            Form::Header { name, prefix, secret } => (name.clone(), format!("{prefix}{}", secret.expose())),
            Form::Basic { user, password } => {
                let [user, password] = Secret::expose_together([user, password]);
                (AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            EgressError::Config("the credential has characters that a header cannot contain".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

/// A list of hosts, each `host`, `host:port` or `*.domain`, reached over https on the given port or 443. For tests,
/// `http://` before an entry allows plain HTTP to that host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Host>);

/// An entry of a host list that is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("each entry must be host, host:port or *.domain, optionally after https:// or http://, without a path or user")]
pub struct HostsError;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    scheme: &'static str,
    /// As the URL parser normalizes it: lower case, punycode.
    name: String,
    /// Whether the entry is a wildcard, which matches all names below `name` but not `name` itself.
    below: bool,
    port: u16,
}

impl Hosts {
    /// Parses a list.
    ///
    /// # Errors
    /// [`HostsError`] if an entry is not a host.
    pub fn new<S: AsRef<str>>(entries: &[S]) -> Result<Self, HostsError> {
        entries.iter().map(|entry| Host::parse(entry.as_ref()).ok_or(HostsError)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the list is empty; an empty list admits no URL.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this URL leads to one of the hosts. A URL with a user or password is never admitted.
    #[must_use]
    pub fn admit(&self, url: &Url) -> bool {
        let bare = url.username().is_empty() && url.password().is_none();
        bare && self.0.iter().any(|host| host.is(url))
    }
}

impl Host {
    fn parse(entry: &str) -> Option<Self> {
        let (scheme, rest) = match entry.split_once("://") {
            None => ("https", entry),
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(_) => return None,
        };
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains(['/', '\\', '@', '?', '#', '*', ' ', '\t', '\n', '\r']) {
            return None;
        }
        let url = Url::parse(&format!("{scheme}://{rest}/")).ok()?;
        // A wildcard directly below a top-level domain, or with an address, has no single owner.
        let name = url.host_str()?.to_owned();
        let is_domain = url.domain().is_some_and(|domain| domain.trim_end_matches('.').contains('.'));
        (!below || is_domain).then_some(Self { scheme, name, below, port: url.port_or_known_default()? })
    }

    fn is(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let named = match self.below {
            true => host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        named && url.scheme() == self.scheme && url.port_or_known_default() == Some(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(entries: &[&str], url: &str) -> bool {
        Hosts::new(entries).expect("hosts").admit(&Url::parse(url).expect(url))
    }

    #[test]
    fn a_host_is_its_name_its_scheme_and_its_port() {
        let hosts = ["graph.facebook.com", "*.fbcdn.net", "api.example:8443", "http://127.0.0.1:8080"];
        for url in [
            "https://graph.facebook.com/v24.0/1?x=y",
            "https://GRAPH.facebook.com:443/",
            "https://a.b.fbcdn.net/",
            "https://api.example:8443/",
            "http://127.0.0.1:8080/media",
        ] {
            assert!(admitted(&hosts, url), "{url}");
        }
        for url in [
            "http://graph.facebook.com/",
            "https://graph.facebook.com:8443/",
            "https://graph.facebook.com.evil.example/",
            "https://evil-graph.facebook.com/",
            "https://graph.facebook.com@evil.example/",
            "https://user@graph.facebook.com/",
            "https://fbcdn.net/",
            "https://evilfbcdn.net/",
            "https://api.example/",
            "https://127.0.0.1:8080/",
            "https://graph.facebook.com./",
        ] {
            assert!(!admitted(&hosts, url), "{url}");
        }
        assert!(!admitted(&[], "https://graph.facebook.com/"));
    }

    #[test]
    fn entries_that_are_not_hosts_are_refused_when_the_list_is_parsed() {
        for entry in
            ["", "*", "*.", "*.com", "*.1.2.3.4", "a/b", "a@b", "ftp://a", "https://a/b", "a b", "a:99999", "a*b"]
        {
            assert_eq!(Hosts::new(&[entry]), Err(HostsError), "{entry:?}");
        }
    }

    #[test]
    fn a_credential_is_sent_to_its_hosts_only_and_never_shown() {
        let hosts = Hosts::new(&["api.example"]).expect("hosts");
        let secret = |text: &str| Secret::from(text.to_owned());
        let written = |credential: &Credential, url: &str| {
            let header = credential.header_for(&Url::parse(url).expect(url)).expect("a header");
            header.map(|(name, value)| {
                assert!(value.is_sensitive());
                format!("{name}: {}", value.to_str().expect("text"))
            })
        };
        let (here, there) = ("https://api.example/x", "https://cdn.example/x");
        let token = || secret("hunter2");
        for (credential, header) in [
            (Credential::bearer(token(), hosts.clone()), "authorization: Bearer hunter2"),
            (Credential::authorization("AccessKey ", token(), hosts.clone()), "authorization: AccessKey hunter2"),
            (Credential::header("d360-api-key", token(), hosts.clone()), "d360-api-key: hunter2"),
            (Credential::basic(secret("user"), token(), hosts.clone()), "authorization: Basic dXNlcjpodW50ZXIy"),
        ] {
            assert_eq!(written(&credential, here).as_deref(), Some(header));
            assert_eq!(written(&credential, there), None);
            assert!(!format!("{credential:?}").contains("hunter2"));
        }
        let broken = Credential::bearer(secret("hunter2\nx-other: 1"), hosts);
        let error = broken.header_for(&Url::parse(here).expect("a URL")).expect_err("no header");
        assert!(!error.to_string().contains("hunter2"));
    }
}
