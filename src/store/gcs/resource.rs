//! Objects as the JSON API describes them.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Answer, Digests, Head, PutOptions, StoreError};
use crate::store::Listed;

const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Settings of `[store]` that apply to every object.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) kms_key: Option<String>,
    storage_class: Option<String>,
    cache_control: Option<String>,
    metadata: Map<String, Value>,
}

impl Terms {
    pub(super) fn new(config: &crate::config::Store) -> Result<Self, StoreError> {
        if !config.tags.is_empty() {
            let problem = "store.tags: Google Cloud Storage has no object tags; use store.metadata";
            return Err(StoreError::Config(problem.to_owned()));
        }
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let metadata = config.metadata.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        Ok(Self {
            kms_key: set(&config.sse_kms_key_id),
            storage_class: set(&config.storage_class),
            cache_control: set(&config.cache_control),
            metadata: metadata.collect(),
        })
    }

    /// What a new object is to be, with the checksum that its bytes must have.
    pub(super) fn resource(&self, digests: &Digests, options: PutOptions<'_>) -> Value {
        let mut metadata = self.metadata.clone();
        metadata.insert("sha256".to_owned(), hex::encode(digests.sha256).into());
        // A store fills in a type that is missing, and its answer would not be what was asked for.
        let content_type = if options.content_type.is_empty() { UNKNOWN_TYPE } else { options.content_type };
        let mut resource = json!({
            "contentType": content_type,
            "md5Hash": digests.parts[0].content_md5(),
            "metadata": metadata,
        });
        let more = [
            ("contentDisposition", options.content_disposition),
            ("cacheControl", options.cache_control.or(self.cache_control.as_deref())),
            ("storageClass", options.storage_class.or(self.storage_class.as_deref())),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                resource[name] = value.into();
            }
        }
        if let Some(at) = options.expires_at.and_then(|at| Timestamp::try_from(at).ok()) {
            resource["customTime"] = at.to_string().into();
        }
        resource
    }
}

/// The type in [`Terms::resource`].
pub(super) fn content_type(resource: &Value) -> &str {
    resource["contentType"].as_str().unwrap_or(UNKNOWN_TYPE)
}

/// What stands before and after the bytes in the body of an upload (`multipart/related`), and the body's type.
pub(super) fn around(resource: &Value) -> (String, String, String) {
    let boundary = hex::encode(rand::random::<[u8; 16]>());
    let content_type = content_type(resource);
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n\
         --{boundary}\r\nContent-Type: {content_type}\r\n\r\n"
    );
    (head, format!("\r\n--{boundary}--\r\n"), format!("multipart/related; boundary={boundary}"))
}

/// The object or the list that an answer has.
pub(super) fn parse(action: &'static str, answer: &Answer) -> Result<Value, StoreError> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| StoreError::unavailable(action, "the store's answer is not the JSON that was asked for"))
}

/// How browsers are told to take an object. The request's resource has no checksum.
const TOLD: [&str; 3] = ["contentType", "contentDisposition", "cacheControl"];

/// Whether the answer to an upload says that the store has the bytes that were sent, under the name that they were sent for, and
/// to be taken as `asked` says, as far as it repeats that.
pub(super) fn verify(
    action: &'static str,
    answer: &Answer,
    (key, asked): (&str, &Value),
    digests: &Digests,
) -> Result<(), StoreError> {
    let detail =
        "the store has other bytes than were sent, or another name or type for them, or does not say which".to_owned();
    let is_told = |resource: &Value| TOLD.iter().all(|name| resource[name].is_null() || resource[name] == asked[name]);
    match parse(action, answer) {
        Ok(resource) if is_same(&resource, digests) && resource["name"] == key && is_told(&resource) => Ok(()),
        _ => Err(StoreError::Checksum { action, detail }),
    }
}

/// Whether an object has these bytes.
pub(super) fn is_same(resource: &Value, digests: &Digests) -> bool {
    let md5 = resource["md5Hash"].as_str().is_some_and(|md5| md5 == digests.parts[0].content_md5());
    md5 && size(resource) == Some(digests.size_bytes)
}

/// MD5 as it stands in headers and resources.
pub(super) fn md5(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Numbers of 64 bits are texts in this API; one emulator sends numbers.
fn size(resource: &Value) -> Option<u64> {
    let size = &resource["size"];
    size.as_str().and_then(|text| text.parse().ok()).or_else(|| size.as_u64())
}

pub(super) fn head(resource: &Value) -> Head {
    let text = |name: &str| resource[name].as_str().map(str::to_owned);
    Head {
        size_bytes: size(resource).unwrap_or(0),
        modified: modified(resource),
        content_type: text("contentType"),
        content_disposition: text("contentDisposition"),
    }
}

/// The objects of a page of a list, and the token of the next page.
pub(super) fn page(listed: &Value) -> (Vec<Listed>, Option<String>) {
    let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
    let objects = items.iter().filter_map(|item| {
        let key = item["name"].as_str()?.to_owned();
        Some(Listed { key, size_bytes: size(item).unwrap_or(0), modified: modified(item) })
    });
    let next = listed["nextPageToken"].as_str().filter(|token| !token.is_empty());
    (objects.collect::<Vec<_>>(), next.map(str::to_owned))
}

/// The generations of exactly this key on a page of versions.
pub(super) fn generations(listed: &Value, key: &str) -> Vec<String> {
    let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
    let own = items.iter().filter(|item| item["name"].as_str() == Some(key));
    own.filter_map(|item| item["generation"].as_str().map(str::to_owned)).collect()
}

/// Keys and generations on a page of versions, and whether each is the live one.
pub(super) fn all_generations(listed: &Value) -> impl Iterator<Item = (String, String, bool)> {
    let items = listed["items"].as_array().map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|item| {
        let (key, generation) = (item["name"].as_str()?, item["generation"].as_str()?);
        // What was removed or replaced says when.
        Some((key.to_owned(), generation.to_owned(), item["timeDeleted"].is_null()))
    })
}

/// When the object's bytes were written. `updated` would also be when its metadata changed.
fn modified(resource: &Value) -> Option<SystemTime> {
    resource["timeCreated"].as_str()?.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rest::HeaderMap;

    #[test]
    fn a_resource_says_what_the_object_is_to_be() {
        let mut config = crate::config::load(None, [], &[]).expect("the defaults").store;
        config.storage_class = "NEARLINE".to_owned();
        config.metadata = [("team".to_owned(), "crm".to_owned())].into();
        let terms = Terms::new(&config).expect("terms");
        let options = PutOptions { content_disposition: Some("attachment"), ..PutOptions::of("audio/mpeg") };
        let resource = terms.resource(&Digests::of_bytes(b"hello world"), options);
        let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        let expected = json!({
            "contentType": "audio/mpeg", "contentDisposition": "attachment",
            "cacheControl": "private, max-age=300", "storageClass": "NEARLINE",
            "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww==", "metadata": { "team": "crm", "sha256": sha256 },
        });
        assert_eq!(resource, expected);
        let untyped = terms.resource(&Digests::of_bytes(b"hello world"), PutOptions::default());
        assert_eq!(untyped["contentType"], "application/octet-stream", "and never empty");
        let expires_at = Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000));
        let tiered = PutOptions { storage_class: Some("COLDLINE"), expires_at, ..options };
        let resource = terms.resource(&Digests::of_bytes(b"hello world"), tiered);
        assert_eq!(
            (&resource["storageClass"], &resource["customTime"]),
            (&json!("COLDLINE"), &json!("2027-01-15T08:00:00Z"))
        );
        config.tags = [("a".to_owned(), "b".to_owned())].into();
        assert!(Terms::new(&config).is_err(), "there are no tags");
    }

    #[test]
    fn other_bytes_and_another_name_or_type_are_noticed_by_the_answer() {
        let digests = Digests::of_bytes(b"hello world");
        let verdict = |body: Value| {
            let answer = Answer { status: 200, headers: HeaderMap::new(), body: body.to_string().into() };
            verify("test", &answer, ("a/b", &json!({ "contentType": "audio/mpeg" })), &digests).is_ok()
        };
        assert!(verdict(json!({ "name": "a/b", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww==", "size": "11" })));
        let typed = |kind: &str| json!({ "name": "a/b", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww==", "size": "11", "contentType": kind });
        assert!(verdict(typed("audio/mpeg")) && !verdict(typed("audio/mpef")));
        assert!(!verdict(json!({ "name": "a/c", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww==", "size": "11" })));
        assert!(!verdict(json!({ "name": "a/b", "md5Hash": "XrY7u+Ae7tCTyyK7j1rNww==", "size": "12" })));
        assert!(!verdict(json!({ "name": "a/b", "md5Hash": "w8oeq7T8dnasWj3BnnYPxQ==", "size": "11" })));
        assert!(!verdict(json!({ "name": "a/b", "size": "11" })) && !verdict(json!([])));
    }

    #[test]
    fn a_page_has_objects_and_the_way_on() {
        let listed = json!({ "nextPageToken": "t", "items": [
            { "name": "a", "size": "5", "generation": "1", "timeCreated": "2026-01-02T03:04:05.678Z" },
            { "name": "a", "size": 6, "generation": "2" }, { "name": "a0", "generation": "3" },
        ]});
        let (objects, next) = page(&listed);
        assert_eq!((objects.len(), next.as_deref()), (3, Some("t")));
        assert_eq!((objects[0].size_bytes, objects[1].size_bytes), (5, 6));
        assert!(objects[0].modified.is_some() && objects[1].modified.is_none());
        assert_eq!(generations(&listed, "a"), ["1", "2"]);
        assert_eq!(page(&json!({})), (Vec::new(), None));
    }
}
