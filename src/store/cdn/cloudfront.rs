//! Signed URLs of Amazon CloudFront, with a canned policy and SHA-256.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html>.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Signer;
use crate::config::Links;
use crate::secrets::RsaKey;
use crate::store::{LinkOptions, SignedUrl, StoreError};

/// What stands in a segment of a path as it is (RFC 3986, 2.3), and slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The same in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A distribution, and a key of one of its key groups.
pub(super) struct CloudFront {
    /// `https://d111111abcdef8.cloudfront.net`, without a slash at its end.
    base: String,
    key_id: String,
    key: RsaKey,
}

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFront").field("base", &self.base).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl CloudFront {
    pub(super) fn new(links: &Links) -> Result<Self, StoreError> {
        let unusable = || StoreError::Config("links.signer_key: is no RSA key in PEM (PKCS #8 or PKCS #1)".to_owned());
        let key = RsaKey::from_pem(&links.signer_key.expose()).ok_or_else(unusable)?;
        Ok(Self { base: links.signer_url.clone(), key_id: links.signer_key_id.clone(), key })
    }

    /// The signature of a text, in the base64 that CloudFront takes in a query.
    fn signature(&self, text: &str) -> Result<String, StoreError> {
        let signature = self.key.sign(text.as_bytes());
        let signature = signature.ok_or_else(|| StoreError::Config("links.signer_key: does not sign".to_owned()))?;
        Ok(STANDARD.encode(signature).replace('+', "-").replace('=', "_").replace('/', "~"))
    }
}

impl Signer for CloudFront {
    /// The headers of the answer are parameters that S3 knows; the distribution has to pass them on to the bucket and to have them
    /// in its cache key.
    fn sign(&self, key: &str, options: &LinkOptions<'_>, now: SystemTime) -> Result<SignedUrl, StoreError> {
        let mut resource = format!("{}/{}", self.base, utf8_percent_encode(key, PATH));
        let headers = [
            ("response-content-type", options.content_type),
            ("response-content-disposition", options.content_disposition),
        ];
        for (name, value) in headers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let before = if resource.contains('?') { '&' } else { '?' };
            resource = format!("{resource}{before}{name}={}", utf8_percent_encode(value, QUERY));
        }
        let end = (now + options.expires_in).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        // Exactly this text, without a space: CloudFront makes it again from the URL.
        let policy = format!(
            "{{\"Statement\":[{{\"Resource\":\"{resource}\",\"Condition\":{{\"DateLessThan\":{{\"AWS:EpochTime\":{end}}}}}}}]}}"
        );
        let signature = self.signature(&policy)?;
        let before = if resource.contains('?') { '&' } else { '?' };
        let url = format!(
            "{resource}{before}Expires={end}&Signature={signature}&Key-Pair-Id={}&Hash-Algorithm=SHA256",
            utf8_percent_encode(&self.key_id, QUERY)
        );
        Ok(SignedUrl::new(url, SystemTime::UNIX_EPOCH + Duration::from_secs(end)))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::secrets::Secret;

    const KEY: &str = include_str!("../../../tests/cdn/published-test-key.pem");

    fn cloudfront() -> CloudFront {
        let mut links = crate::config::load(None, [], &[]).expect("the defaults").links;
        links.signer_url = "https://d111111abcdef8.cloudfront.net".to_owned();
        links.signer_key_id = "K2JCJMDEHXQW5F".to_owned();
        links.signer_key = Secret::parse(KEY);
        CloudFront::new(&links).expect("a key")
    }

    const LINK: LinkOptions<'_> =
        LinkOptions { expires_in: Duration::from_secs(300), content_type: None, content_disposition: None };

    /// The signature of the botocore library's signer for the same URL and time, with SHA-256 in the place of SHA-1; also that of
    /// OpenSSL.
    #[test]
    fn a_link_has_the_signature_of_other_software() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_290_100);
        let link = cloudfront().sign("acme/wamid%2EHBgL1/audio.mp3", &LINK, now).expect("signed");
        let url = "https://d111111abcdef8.cloudfront.net/acme/wamid%252EHBgL1/audio.mp3?Expires=1767290400&Signature=";
        let rest = link.expose().strip_prefix(url).unwrap_or_else(|| panic!("{}", link.expose()));
        let (signature, rest) = rest.split_once('&').expect("more");
        assert!(
            signature.starts_with("b~BQg~dw9YDuTQdV2kuUidiQ") && signature.ends_with("3KLQgpRVEDjkww__"),
            "{signature}"
        );
        let digest = "15c84389f6e3bd317dbcecc1a06df13cfeb46243bdadc41a66bbed1464f6f35e";
        assert_eq!(hex::encode(Sha256::digest(signature)), digest);
        assert_eq!(rest, "Key-Pair-Id=K2JCJMDEHXQW5F&Hash-Algorithm=SHA256");
        assert_eq!(link.expires_at, SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_290_400));
    }

    /// A policy of one's own for a folder, for the same key: what is signed is a text like any other.
    #[test]
    fn a_folder_has_the_signature_of_other_software() {
        let policy = "{\"Statement\":[{\"Resource\":\"https://d111111abcdef8.cloudfront.net/acme/wamid%252EHBgL1/*\",\
                      \"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1767290400}}}]}";
        let signature = cloudfront().signature(policy).expect("signed");
        assert!(
            signature.starts_with("EystyOcn~Bkp3I29GPsi9AG8") && signature.ends_with("PYi-emNc91yEng__"),
            "{signature}"
        );
    }

    #[test]
    fn the_headers_of_the_answer_are_signed_too() {
        let options = LinkOptions {
            content_disposition: Some("attachment; filename=\"a b.mp3\""),
            content_type: Some("audio/mpeg"),
            ..LINK
        };
        let link = cloudfront().sign("a/ü.mp3", &options, SystemTime::UNIX_EPOCH).expect("signed");
        let begin = "https://d111111abcdef8.cloudfront.net/a/%C3%BC.mp3?response-content-type=audio%2Fmpeg&\
                     response-content-disposition=attachment%3B%20filename%3D%22a%20b.mp3%22&Expires=300&Signature=";
        assert!(link.expose().starts_with(begin), "{}", link.expose());
        assert!(!format!("{:?} {link:?}", cloudfront()).contains("PRIVATE"));
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let mut links = crate::config::load(None, [], &[]).expect("the defaults").links;
        links.signer_key = Secret::parse("no key");
        assert!(CloudFront::new(&links).is_err_and(|err| err.to_string().contains("links.signer_key")));
    }
}
