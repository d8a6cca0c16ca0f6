//! Storage classes: what each kind of store calls them, how long it bills an object of them at least, and whether an object of
//! them is read at once.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html>,
//! <https://docs.cloud.google.com/storage/docs/storage-classes>,
//! <https://learn.microsoft.com/azure/storage/blobs/access-tiers-overview>.

use super::Location;

/// A storage class of one kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageClass {
    /// The store's own name of it.
    pub name: &'static str,
    /// The word for it that every store takes; empty where there is none.
    word: &'static str,
    /// Days that an object of it is billed for at least.
    pub min_days: u32,
    /// Whether an object of it is read within milliseconds. Others have to be brought back first, which takes hours.
    pub is_online: bool,
}

const fn online(name: &'static str, word: &'static str, min_days: u32) -> StorageClass {
    StorageClass { name, word, min_days, is_online: true }
}

const fn offline(name: &'static str, word: &'static str, min_days: u32) -> StorageClass {
    StorageClass { name, word, min_days, is_online: false }
}

const S3: &[StorageClass] = &[
    online("STANDARD", "", 0),
    online("INTELLIGENT_TIERING", "", 0),
    online("STANDARD_IA", "infrequent", 30),
    online("ONEZONE_IA", "", 30),
    online("GLACIER_IR", "rare", 90),
    offline("GLACIER", "archive", 90),
    offline("DEEP_ARCHIVE", "", 180),
];
const GCS: &[StorageClass] = &[
    online("STANDARD", "", 0),
    online("NEARLINE", "infrequent", 30),
    online("COLDLINE", "rare", 90),
    online("ARCHIVE", "archive", 365),
];
const AZURE: &[StorageClass] = &[
    online("Hot", "", 0),
    online("Cool", "infrequent", 30),
    online("Cold", "rare", 90),
    offline("Archive", "archive", 180),
];

impl StorageClass {
    /// The class of this name, or that this word stands for, in a store of this kind. Upper and lower case are the same.
    ///
    /// # Errors
    /// What the key may be instead, as the end of a sentence that begins with the key.
    pub fn find(location: &Location, name: &str) -> Result<Self, String> {
        let (store, classes) = match location {
            Location::Local { .. } => {
                return Err("means nothing for a directory, which has no storage classes".to_owned());
            }
            Location::S3 { .. } => ("S3", S3),
            Location::Gcs { .. } => ("Google Cloud Storage", GCS),
            Location::Azure { .. } => ("Azure", AZURE),
        };
        let is_it = |class: &&Self| [class.name, class.word].iter().any(|known| known.eq_ignore_ascii_case(name));
        classes.iter().find(is_it).copied().ok_or_else(|| {
            let names: Vec<&str> = classes.iter().map(|class| class.name).collect();
            format!("{store} has no such class: use infrequent, rare, archive, or one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_another_class_in_each_store() {
        let (bucket, prefix) = ("b".to_owned(), String::new());
        let s3 = Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        let gcs = Location::Gcs { bucket: bucket.clone(), prefix: prefix.clone() };
        let azure = Location::Azure { container: bucket, prefix };
        let of = |location: &Location, name: &str| {
            let class = StorageClass::find(location, name).expect(name);
            (class.name, class.min_days, class.is_online)
        };
        assert_eq!(of(&s3, "infrequent"), ("STANDARD_IA", 30, true));
        assert_eq!(of(&gcs, "infrequent"), ("NEARLINE", 30, true));
        assert_eq!(of(&azure, "infrequent"), ("Cool", 30, true));
        assert_eq!(of(&s3, "archive"), ("GLACIER", 90, false));
        assert_eq!(of(&gcs, "archive"), ("ARCHIVE", 365, true));
        assert_eq!(of(&azure, "archive"), ("Archive", 180, false));
        assert_eq!(of(&s3, "deep_archive"), ("DEEP_ARCHIVE", 180, false));
        assert!(StorageClass::find(&s3, "NEARLINE").is_err_and(|problem| problem.contains("STANDARD_IA")));
        assert!(StorageClass::find(&Location::Local { root: "/".into() }, "rare").is_err());
    }
}
