//! Which URLs may be asked for.

use std::net::IpAddr;

use reqwest::Url;
use url::Host;

use super::address::is_public;
use crate::config::Source;
use crate::source::SourceError;

/// A URL that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    /// What may be said of it.
    pub(super) host: String,
    /// Whether the configuration names this host: then its address does not matter.
    pub(super) internal: bool,
    /// Its address, where the URL has one instead of a name.
    pub(super) address: Option<IpAddr>,
}

/// What the configuration allows.
#[derive(Debug)]
pub(super) struct Rules {
    allow_plain: bool,
    /// Lower case, `host` or `host:port`.
    allow_hosts: Vec<String>,
}

impl Rules {
    pub(super) fn new(config: &Source) -> Self {
        let allow_hosts = config.http_allow_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { allow_plain: config.http_allow_plain, allow_hosts }
    }

    /// An event's URL.
    pub(super) fn target(&self, url: &str) -> Result<Target, SourceError> {
        // What is wrong with it would be said with a piece of it.
        let url = Url::parse(url).map_err(|_| SourceError::Invalid("the URL cannot be read".to_owned()))?;
        self.vet(url)
    }

    /// Where an answer leads. Credentials in the URL stay behind, unless the way is relative.
    pub(super) fn redirected(&self, from: &Target, location: &str) -> Result<Target, SourceError> {
        let url = from.url.join(location);
        let unreadable = || SourceError::Invalid(format!("{} redirects to what is no URL", from.host));
        self.vet(url.map_err(|_| unreadable())?)
    }

    fn vet(&self, url: Url) -> Result<Target, SourceError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_plain => {}
            "http" => return Err(SourceError::Denied("plain http:// is not allowed".to_owned())),
            _ => return Err(SourceError::Denied("the URL's scheme is not https".to_owned())),
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
        let internal = self.allow_hosts.iter().any(|allowed| *allowed == host || *allowed == with_port);
        // Addresses in a URL pass by the resolver; the parser has already read those in octal, hex and one number.
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::from(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::from(v6)),
            Some(Host::Domain(_)) | None => None,
        };
        let public = url.has_host() && address.is_none_or(is_public);
        if !internal && !public {
            return Err(not_public(&host));
        }
        Ok(Target { url, host, internal, address })
    }
}

/// The error for an address that may not be connected to.
pub(super) fn not_public(host: &str) -> SourceError {
    SourceError::Denied(format!("{host} has no public address, and source.http_allow_hosts does not name it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow_plain: bool, allow_hosts: &[&str]) -> Rules {
        let mut config = crate::config::load(None, [], &[]).expect("the defaults").source;
        config.http_allow_plain = allow_plain;
        config.http_allow_hosts = allow_hosts.iter().map(|&host| host.to_owned()).collect();
        Rules::new(&config)
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
            assert!(matches!(rules.target(url), Err(SourceError::Denied(_))), "{url}");
        }
        assert!(rules.target("http://8.8.8.8/").is_ok());
    }

    #[test]
    fn https_it_is_unless_configured_otherwise() {
        let secret = "/x?signature=s3cr3t";
        for scheme in ["http", "ftp", "file", "data", "gopher"] {
            let err = rules(false, &[]).target(&format!("{scheme}://example.org{secret}")).expect_err(scheme);
            assert!(matches!(err, SourceError::Denied(_)), "{scheme}: {err}");
            assert!(!err.to_string().contains("s3cr3t"), "{err}");
        }
        assert!(rules(true, &[]).target("http://example.org/").is_ok());
        for url in ["", "/x", "https://", "https:// /", "not a URL?signature=s3cr3t", "https://[::1/"] {
            let err = rules(true, &[]).target(url).expect_err(url);
            assert!(matches!(err, SourceError::Invalid(_)), "{url}: {err}");
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
        assert!(matches!(rules.redirected(&from, "http://a.example/"), Err(SourceError::Denied(_))), "downgrade");
        assert!(matches!(rules.redirected(&from, "https://10.0.0.1/"), Err(SourceError::Denied(_))));
        assert!(matches!(rules.redirected(&from, "file:///etc/passwd"), Err(SourceError::Denied(_))));
    }
}
