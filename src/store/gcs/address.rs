//! URLs of the JSON API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::StoreError;

const SERVICE: &str = "https://storage.googleapis.com";
/// RFC 3986's unreserved characters; the slashes of a key are escaped, for the whole key is one part of the path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the service is.
#[derive(Debug)]
pub(super) struct Address {
    base: Url,
    is_google: bool,
}

impl Address {
    /// `endpoint`: an emulator's or a private one; empty for Google's.
    pub(super) fn new(endpoint: &str) -> Result<Self, StoreError> {
        let text = if endpoint.is_empty() { SERVICE } else { endpoint.trim_end_matches('/') };
        let base = Url::parse(text).map_err(|err| StoreError::Config(format!("store.endpoint: {err}")))?;
        Ok(Self { base, is_google: endpoint.is_empty() })
    }

    /// Whether it is Google's own: signed links go there and nowhere else.
    pub(super) fn is_google(&self) -> bool {
        self.is_google
    }

    pub(super) fn bucket(&self, bucket: &str) -> Url {
        self.below(&format!("storage/v1/b/{}", utf8_percent_encode(bucket, PART)))
    }

    pub(super) fn objects(&self, bucket: &str) -> Url {
        self.below(&format!("storage/v1/b/{}/o", utf8_percent_encode(bucket, PART)))
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> Url {
        let (bucket, key) = (utf8_percent_encode(bucket, PART), utf8_percent_encode(key, PART));
        self.below(&format!("storage/v1/b/{bucket}/o/{key}"))
    }

    pub(super) fn upload(&self, bucket: &str) -> Url {
        self.below(&format!("upload/storage/v1/b/{}/o", utf8_percent_encode(bucket, PART)))
    }

    /// The address of an upload that the service has begun: the access token goes to the service and to nobody else.
    pub(super) fn vetted(&self, mut url: Url) -> Result<Url, StoreError> {
        let is_googles = self.is_google
            && url.scheme() == "https"
            && url.host_str().is_some_and(|host| host == "googleapis.com" || host.ends_with(".googleapis.com"));
        if url.origin() == self.base.origin() || is_googles {
            return Ok(url);
        }
        // An emulator behind a proxy knows only its own name.
        if !self.is_google {
            let (path, query) = (url.path().to_owned(), url.query().map(str::to_owned));
            url = self.base.clone();
            url.set_path(&path);
            url.set_query(query.as_deref());
            return Ok(url);
        }
        Err(StoreError::Config("write an object: the store leads an upload to a host that is not Google's".to_owned()))
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
    fn a_key_is_one_part_of_the_path() {
        let address = Address::new("").expect("Google's");
        let url = address.object("b", "p/acme/a%2Fb/ü +~.ogg").to_string();
        assert_eq!(url, "https://storage.googleapis.com/storage/v1/b/b/o/p%2Facme%2Fa%252Fb%2F%C3%BC%20%2B~.ogg");
        let other = Address::new("http://127.0.0.1:9/x/").expect("another");
        assert_eq!(other.upload("b").to_string(), "http://127.0.0.1:9/x/upload/storage/v1/b/b/o");
        assert!(address.is_google() && !other.is_google());
    }

    #[test]
    fn an_upload_stays_with_the_service() {
        let vetted = |endpoint: &str, url: &str| {
            let url = Url::parse(url).expect("a URL");
            Address::new(endpoint).expect("an address").vetted(url).map(String::from).ok()
        };
        let google = "https://storage.googleapis.com/upload/x?upload_id=1";
        assert_eq!(vetted("", google).as_deref(), Some(google));
        assert!(vetted("", "https://www.googleapis.com/upload/x").is_some());
        for url in ["https://evil.test/upload/x", "http://storage.googleapis.com/x", "https://xgoogleapis.com/x"] {
            assert_eq!(vetted("", url), None, "{url}");
        }
        let behind = vetted("http://127.0.0.1:9", "http://127.0.0.1:8/upload/x?upload_id=1");
        assert_eq!(behind.as_deref(), Some("http://127.0.0.1:9/upload/x?upload_id=1"));
    }
}
