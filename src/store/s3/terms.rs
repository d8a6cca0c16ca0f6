//! Settings of `[store]` that apply to every object that is uploaded.

use std::collections::HashMap;

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::PutOptions;

/// The value of `store.checksums` for servers that refuse or ignore SHA-256.
pub(super) const WHEN_REQUIRED: &str = "when-required";
/// The `x-amz-tagging` header has the form of a query string.
const TAG: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Settings of `[store]` that apply to every object that is uploaded.
#[derive(Debug)]
pub(super) struct UploadTerms {
    pub(super) sse: Option<ServerSideEncryption>,
    pub(super) kms_key_id: Option<String>,
    pub(super) storage_class: Option<StorageClass>,
    pub(super) tagging: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) cache_control: Option<String>,
    pub(super) checksums: Checksums,
    pub(super) multipart_bytes: u64,
}

/// Which checksum is sent with an upload and compared with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksums {
    /// SHA-256 in a header of each upload. The server refuses other bytes and repeats the hash in its answer.
    Sha256,
    /// MD5, which every server supports. The stored size and the ETag are compared.
    Md5,
}

impl UploadTerms {
    pub(super) fn new(config: &crate::config::Store) -> Self {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let pair = |(name, value): (&String, &String)| {
            format!("{}={}", utf8_percent_encode(name, TAG), utf8_percent_encode(value, TAG))
        };
        let tags: Vec<_> = config.tags.iter().map(pair).collect();
        let metadata: HashMap<_, _> = config.metadata.clone().into_iter().collect();
        Self {
            sse: set(&config.sse).map(|sse| ServerSideEncryption::from(sse.as_str())),
            kms_key_id: set(&config.sse_kms_key_id),
            storage_class: set(&config.storage_class).map(|class| StorageClass::from(class.as_str())),
            tagging: set(&tags.join("&")),
            metadata: (!metadata.is_empty()).then_some(metadata),
            cache_control: set(&config.cache_control),
            checksums: if config.checksums == WHEN_REQUIRED { Checksums::Md5 } else { Checksums::Sha256 },
            multipart_bytes: config.multipart_bytes,
        }
    }

    /// The class of an object: its own, or that of every object.
    pub(super) fn class(&self, options: PutOptions<'_>) -> Option<StorageClass> {
        options.storage_class.map(StorageClass::from).or_else(|| self.storage_class.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_query_string() {
        let mut config = crate::config::load(None, [], &[]).expect("the defaults").store;
        assert_eq!(UploadTerms::new(&config).tagging, None);
        config.tags = [("a b".to_owned(), "c&d".to_owned()), ("e".to_owned(), String::new())].into();
        assert_eq!(UploadTerms::new(&config).tagging.as_deref(), Some("a%20b=c%26d&e="));
    }
}
