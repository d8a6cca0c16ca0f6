//! Which URLs may be requested.

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use super::EgressError;
use super::address::is_public;

/// A URL that may be requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    /// Its host, which error texts may contain.
    pub(super) host: String,
    /// Whether the configuration names this host; then its address may be private.
    pub(super) internal: bool,
    /// The address, if the URL has one instead of a name.
    pub(super) address: Option<IpAddr>,
}

/// How redirects are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// A GET follows at most this many in a row; one more is an error.
    Follow(u32),
    /// A redirect is returned to the caller as the answer.
    Return,
}

/// Which URLs may be requested.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) redirects: Redirects,
    allow_plain: bool,
    /// In lower case, `host` or `host:port`.
    allow_hosts: Vec<String>,
    /// The configuration key of `allow_hosts`, for error texts.
    key: &'static str,
}

impl Rules {
    /// Only https and public addresses, no redirects: for webhooks and APIs whose URL an operator has configured.
    #[must_use]
    pub const fn strict() -> Self {
        Self { redirects: Redirects::Return, allow_plain: false, allow_hosts: Vec::new(), key: "" }
    }

    /// Sets how redirects are handled.
    #[must_use]
    pub fn with_redirects(self, redirects: Redirects) -> Self {
        Self { redirects, ..self }
    }

    /// Sets whether plain `http://` is allowed as well.
    #[must_use]
    pub fn with_plain(self, allow_plain: bool) -> Self {
        Self { allow_plain, ..self }
    }

    /// Sets the hosts, as `host` or `host:port`, that may have private addresses, and the configuration key that lists
    /// them.
    #[must_use]
    pub fn with_hosts(self, hosts: &[String], key: &'static str) -> Self {
        Self { allow_hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), key, ..self }
    }

    /// Checks the URL of a request.
    pub(super) fn target(&self, url: &str) -> Result<Target, EgressError> {
        // The parser's own error is not used: it may contain a part of the URL.
        let url = Url::parse(url).map_err(|_| EgressError::Invalid("the URL is not valid".to_owned()))?;
        self.vet(url)
    }

    /// Checks the target of a redirect. A user and password in the URL are not sent to it, unless the target is
    /// relative.
    pub(super) fn redirected(&self, from: &Target, location: &str) -> Result<Target, EgressError> {
        let url = from.url.join(location);
        let unreadable =
            || EgressError::Invalid(format!("{} redirects to a target that is not a valid URL", from.host));
        self.vet(url.map_err(|_| unreadable())?)
    }

    fn vet(&self, url: Url) -> Result<Target, EgressError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_plain => {}
            "http" => return Err(EgressError::Denied("plain http:// is not allowed".to_owned())),
            _ => return Err(EgressError::Denied("the URL's scheme is not https".to_owned())),
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        let internal = self.allow_hosts.iter().any(|allowed| *allowed == host || *allowed == with_port);
        // An address in a URL is not resolved, so it is checked here. The URL parser has already normalized octal,
        // hexadecimal and single-number forms.
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::from(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::from(v6)),
            Some(Host::Domain(_)) | None => None,
        };
        let public = url.has_host() && address.is_none_or(is_public);
        if !internal && !public {
            return Err(self.not_public(&host));
        }
        Ok(Target { url, host, internal, address })
    }

    /// The error for a host without a public address.
    pub(super) fn not_public(&self, host: &str) -> EgressError {
        let mut text = format!("{host} has no public address");
        if !self.key.is_empty() {
            text = format!("{text}, and {} does not list it", self.key);
        }
        EgressError::Denied(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_plain: bool, allow_hosts: &[&str]) -> Rules {
        let hosts: Vec<String> = allow_hosts.iter().map(|&host| host.to_owned()).collect();
        Rules::strict().with_plain(allow_plain).with_hosts(&hosts, "source.http_allow_hosts")
    }

    #[test]
    fn addresses_are_recognised_however_they_are_written() {
        let rules = rules(true, &[]);
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://[fe80::1]/",
            "https://user:pass@10.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert!(matches!(rules.target(url), Err(EgressError::Denied(_))), "{url}");
        }
        assert!(rules.target("http://8.8.8.8/").is_ok());
    }

    #[test]
    fn only_https_is_allowed_unless_configured_otherwise() {
        let secret = "/x?signature=s3cr3t";
        for scheme in ["http", "ftp", "file", "data", "gopher"] {
            let err = rules(false, &[]).target(&format!("{scheme}://example.org{secret}")).expect_err(scheme);
            assert!(matches!(err, EgressError::Denied(_)), "{scheme}: {err}");
            assert!(!err.to_string().contains("s3cr3t"), "{err}");
        }
        assert!(rules(true, &[]).target("http://example.org/").is_ok());
        for url in ["", "/x", "https://", "https:// /", "not a URL?signature=s3cr3t", "https://[::1/"] {
            let err = rules(true, &[]).target(url).expect_err(url);
            assert!(matches!(err, EgressError::Invalid(_)), "{url}: {err}");
            assert!(!err.to_string().contains("s3cr3t"), "{err}");
        }
    }

    #[test]
    fn hosts_are_allowed_by_name_or_by_name_and_port() {
        let rules = rules(true, &["Media.Internal", "10.0.0.1:8080", "[::1]:443"]);
        let internal = |url: &str| rules.target(url).map(|target| target.internal).ok();
        assert_eq!(internal("https://media.internal:9000/x"), Some(true));
        assert_eq!(internal("http://10.0.0.1:8080/x"), Some(true));
        assert_eq!(internal("https://[::1]/x"), Some(true));
        assert_eq!(internal("http://10.0.0.1/x"), None);
        assert_eq!(internal("https://[::1]:80/x"), None);
        assert_eq!(internal("https://not.media.internal/x"), Some(false), "resolved and checked as any other name");
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let rules = rules(false, &[]);
        let from = rules.target("https://user:secret@a.example/x").expect("fine");
        let to = |location| rules.redirected(&from, location).expect("fine").url.to_string();
        assert_eq!(to("/y"), "https://user:secret@a.example/y");
        assert_eq!(to("https://b.example/y"), "https://b.example/y");
        assert_eq!(to("//b.example/y"), "https://b.example/y");
        assert!(matches!(rules.redirected(&from, "http://a.example/"), Err(EgressError::Denied(_))), "downgrade");
        assert!(matches!(rules.redirected(&from, "https://10.0.0.1/"), Err(EgressError::Denied(_))));
        assert!(matches!(rules.redirected(&from, "file:///etc/passwd"), Err(EgressError::Denied(_))));
    }
}
