//! Settings of `[store]` that apply to every object that is uploaded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Ask, Digests, PutOptions, StoreError};
use crate::store::rest::{HeaderName, HeaderValue};

/// The header of tags has the form of a query string.
const TAG: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Settings of `[store]` that apply to every object that is uploaded.
#[derive(Debug)]
pub(super) struct Terms {
    encryption_scope: Option<String>,
    tier: Option<String>,
    tags: Option<String>,
    cache_control: Option<String>,
    metadata: Vec<(HeaderName, HeaderValue)>,
}

impl Terms {
    pub(super) fn new(config: &crate::config::Store) -> Result<Self, StoreError> {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let tag = |(name, value): (&String, &String)| {
            format!("{}={}", utf8_percent_encode(name, TAG), utf8_percent_encode(value, TAG))
        };
        let tags: Vec<_> = config.tags.iter().map(tag).collect();
        Ok(Self {
            encryption_scope: set(&config.sse_kms_key_id),
            tier: set(&config.storage_class),
            tags: set(&tags.join("&")),
            cache_control: set(&config.cache_control),
            metadata: config.metadata.iter().map(metadata).collect::<Result<_, _>>()?,
        })
    }

    /// Adds them, and what the object is.
    pub(super) fn add_to<'a>(
        &self,
        ask: Ask<'a>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<Ask<'a>, StoreError> {
        let sha256 = hex::encode(digests.sha256);
        let content_type = Some(options.content_type).filter(|text| !text.is_empty());
        let headers = [
            ("x-ms-blob-content-type", content_type),
            ("x-ms-blob-content-disposition", options.content_disposition),
            ("x-ms-blob-cache-control", options.cache_control.or(self.cache_control.as_deref())),
            ("x-ms-access-tier", options.storage_class.or(self.tier.as_deref())),
            ("x-ms-encryption-scope", self.encryption_scope.as_deref()),
            ("x-ms-tags", self.tags.as_deref()),
            ("x-ms-meta-sha256", Some(&*sha256)),
        ];
        let set = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut ask = set.into_iter().try_fold(ask, |ask, (name, value)| ask.header(name, value))?;
        ask.headers.extend(self.metadata.iter().cloned());
        Ok(ask)
    }
}

/// Names are identifiers of C#, which have no hyphen.
fn metadata((name, value): (&String, &String)) -> Result<(HeaderName, HeaderValue), StoreError> {
    let is_identifier = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let pair =
        HeaderName::from_bytes(format!("x-ms-meta-{name}").as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    let problem = "store.metadata: on az:// a name has letters, digits and _ only, and a value is one line of ASCII";
    pair.filter(|_| is_identifier).ok_or_else(|| StoreError::Config(problem.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rest::{Method, header};

    #[test]
    fn an_upload_says_what_the_object_is_and_how_it_is_kept() {
        let mut config = crate::config::load(None, [], &[]).expect("the defaults").store;
        config.storage_class = "Cool".to_owned();
        config.sse_kms_key_id = "scope".to_owned();
        config.tags = [("tenant".to_owned(), "a b".to_owned()), ("retain".to_owned(), "365".to_owned())].into();
        config.metadata = [("made_by".to_owned(), "mediamill".to_owned())].into();
        let terms = Terms::new(&config).expect("terms");
        let url = url::Url::parse("https://acme.blob.core.windows.net/c/k").expect("a URL");
        let options = PutOptions { content_disposition: Some("attachment"), ..PutOptions::of("audio/mpeg") };
        let ask =
            terms.add_to(Ask::new(Method::PUT, url), &Digests::of_bytes(b"hello world"), options).expect("headers");
        for (name, value) in [
            ("x-ms-blob-content-type", "audio/mpeg"),
            ("x-ms-blob-content-disposition", "attachment"),
            ("x-ms-blob-cache-control", "private, max-age=300"),
            ("x-ms-access-tier", "Cool"),
            ("x-ms-encryption-scope", "scope"),
            ("x-ms-tags", "retain=365&tenant=a%20b"),
            ("x-ms-meta-made_by", "mediamill"),
            ("x-ms-meta-sha256", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
        ] {
            assert_eq!(header(&ask.headers, name), Some(value));
        }
        let url = url::Url::parse("https://acme.blob.core.windows.net/c/k").expect("a URL");
        let tiered = PutOptions { storage_class: Some("Cold"), ..options };
        let ask =
            terms.add_to(Ask::new(Method::PUT, url), &Digests::of_bytes(b"hello world"), tiered).expect("headers");
        assert_eq!(header(&ask.headers, "x-ms-access-tier"), Some("Cold"));
        config.metadata = [("made-by".to_owned(), "x".to_owned())].into();
        assert!(Terms::new(&config).is_err(), "no hyphen");
    }
}
