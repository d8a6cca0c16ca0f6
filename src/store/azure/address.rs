//! URLs of the Blob service.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::StoreError;

/// RFC 3986's unreserved characters, and the slash, which parts a key as it parts a path.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Where the account is.
#[derive(Debug)]
pub(super) struct Address {
    base: Url,
    pub(super) account: String,
}

impl Address {
    /// `endpoint`: an emulator's, with the account in its path, or a private one; empty for the service's own.
    pub(super) fn new(endpoint: &str, account: &str) -> Result<Self, StoreError> {
        let text = match endpoint {
            "" => format!("https://{account}.blob.core.windows.net"),
            other => other.trim_end_matches('/').to_owned(),
        };
        let base = Url::parse(&text).map_err(|err| StoreError::Config(format!("store.endpoint: {err}")))?;
        Ok(Self { base, account: account.to_owned() })
    }

    /// Whether it is spoken to without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    pub(super) fn service(&self) -> Url {
        self.below("")
    }

    pub(super) fn container(&self, container: &str) -> Url {
        self.below(&utf8_percent_encode(container, KEY).to_string())
    }

    pub(super) fn object(&self, container: &str, key: &str) -> Url {
        self.below(&format!("{}/{}", utf8_percent_encode(container, KEY), utf8_percent_encode(key, KEY)))
    }

    fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let whole = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_path_below_the_container() {
        let address = Address::new("", "acme").expect("an address");
        let url = address.object("media", "p/acme/a%2Fb/ü +~.ogg").to_string();
        assert_eq!(url, "https://acme.blob.core.windows.net/media/p/acme/a%252Fb/%C3%BC%20%2B~.ogg");
        let emulator = Address::new("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1").expect("an address");
        assert_eq!(emulator.container("c").to_string(), "http://127.0.0.1:10000/devstoreaccount1/c");
        assert!(emulator.is_plain() && !address.is_plain());
    }
}
