//! Fetches objects from the S3 server that the worker is configured for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::sink::{Sink, Wanted};
use super::{Fetched, SourceError};
use crate::config::{Config, Location};
use crate::store::keys::INBOX;
use crate::store::{Account, Store, StoreError, s3_account};

/// The longest key that S3 allows.
const MAX_KEY_BYTES: usize = 1024;

/// The buckets whose objects events may name.
#[derive(Debug)]
pub(super) struct Buckets {
    allowed: Allowed,
    /// The store's bucket and prefix. The objects in it belong to tenants.
    own: Option<(String, String)>,
    read_timeout: Duration,
    store: crate::config::Store,
    /// The store's credentials; if the store is a directory, those of the same `[store]` configuration.
    account: OnceCell<Arc<dyn Account>>,
}

#[derive(Debug)]
enum Allowed {
    Every,
    These(Vec<String>),
}

impl Buckets {
    pub(super) fn new(config: &Config, store: &Store) -> Self {
        let listed = &config.source.s3_buckets;
        let own = match store.location() {
            Location::S3 { bucket, prefix } => Some((bucket.clone(), prefix.clone())),
            Location::Local { .. } | Location::Gcs { .. } | Location::Azure { .. } => None,
        };
        let allowed = match &own {
            _ if listed.iter().any(|bucket| bucket == "*") => Allowed::Every,
            Some((bucket, _)) if listed.is_empty() => Allowed::These(vec![bucket.clone()]),
            _ => Allowed::These(listed.clone()),
        };
        Self {
            allowed,
            own,
            read_timeout: Duration::from_secs(config.source.read_timeout_s),
            store: config.store.clone(),
            account: OnceCell::new_with(store.account()),
        }
    }

    pub(super) async fn fetch(
        &self,
        bucket: &str,
        key: &str,
        wanted: Wanted,
        dest: &Path,
    ) -> Result<Fetched, SourceError> {
        self.vet(bucket, key)?;
        let account = self.account.get_or_try_init(|| s3_account(&self.store)).await;
        let account = account.map_err(|err| self.meaning(bucket, err))?;
        let opened = account.open(bucket, key, self.read_timeout).await;
        let mut reader = opened.map_err(|err| self.meaning(bucket, err))?;
        wanted.announced(reader.size_bytes().unwrap_or(0))?;
        let mut sink = Sink::create(dest, wanted).await?;
        while let Some(bytes) = reader.next().await.map_err(|err| self.meaning(bucket, err))? {
            sink.write(&bytes).await?;
        }
        sink.finish().await
    }

    fn vet(&self, bucket: &str, key: &str) -> Result<(), SourceError> {
        let allowed = match &self.allowed {
            Allowed::Every => is_bucket_name(bucket),
            Allowed::These(buckets) => buckets.iter().any(|allowed| allowed == bucket),
        };
        if !allowed {
            return Err(SourceError::Denied("source.s3_buckets does not list the bucket".to_owned()));
        }
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(SourceError::Invalid(format!("the object's key must have 1 to {MAX_KEY_BYTES} bytes")));
        }
        // A server or proxy that normalizes paths could resolve such a key to another bucket.
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(SourceError::Denied("the object's key contains . or .. between slashes".to_owned()));
        }
        if self.is_a_tenants(bucket, key) {
            let text = "the object is in the store: below store.url only .inbox/ may be used as an origin";
            return Err(SourceError::Denied(text.to_owned()));
        }
        Ok(())
    }

    /// Whether this object belongs to a tenant, possibly another one than the event's.
    fn is_a_tenants(&self, bucket: &str, key: &str) -> bool {
        let Some((_, prefix)) = self.own.as_ref().filter(|(own, _)| own == bucket) else { return false };
        // Some servers treat several slashes as one.
        let mut parts = key.split('/').filter(|part| !part.is_empty());
        let below = prefix.split('/').filter(|part| !part.is_empty()).all(|part| parts.next() == Some(part));
        below && parts.next() != Some(INBOX)
    }

    /// Maps an error of an object store that is used as an origin.
    fn meaning(&self, bucket: &str, err: StoreError) -> SourceError {
        let origin = "the bucket".to_owned();
        match err {
            StoreError::NotFound { .. } => SourceError::NotFound { origin },
            StoreError::Forbidden { detail, .. } => SourceError::Credentials { origin, detail },
            // If the missing bucket is the store's own, it is the store that is missing: assets could not be written
            // either.
            StoreError::Missing { .. } if self.own.as_ref().is_none_or(|(own, _)| own != bucket) => {
                SourceError::NoBucket { chosen_by_event: matches!(self.allowed, Allowed::Every) }
            }
            // The bytes were damaged on their way; the next attempt may receive them intact.
            StoreError::Checksum { .. } | StoreError::Unavailable { .. } => {
                SourceError::Unavailable { detail: err.to_string(), retry_after: None }
            }
            StoreError::Config(_)
            | StoreError::Invalid { .. }
            | StoreError::Range
            | StoreError::Missing { .. }
            | StoreError::Exists { .. }
            | StoreError::Archived { .. }
            | StoreError::TooLarge { .. }
            | StoreError::Scratch(_) => SourceError::Store(err),
        }
    }
}

/// Only bucket names. An ARN could name an access point of another account.
fn is_bucket_name(bucket: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain) && !bucket.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bucket_names_are_accepted() {
        for bucket in ["inbox", "my.bucket-1", "Legacy_Bucket"] {
            assert!(is_bucket_name(bucket), "{bucket}");
        }
        for bucket in ["", "ab", "a/b", "a..b", "arn:aws:s3:eu-west-1:1:accesspoint/x", &"x".repeat(64), "a?b"] {
            assert!(!is_bucket_name(bucket), "{bucket}");
        }
    }
}
