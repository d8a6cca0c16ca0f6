//! Objects of the S3 that the worker is configured for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::sink::{Sink, Wanted};
use super::{Fetched, SourceError};
use crate::config::{Config, Location};
use crate::store::keys::INBOX;
use crate::store::{Account, Store, StoreError, s3_account};

/// S3's longest key.
const MAX_KEY_BYTES: usize = 1024;

/// The buckets that events may name objects of.
#[derive(Debug)]
pub(super) struct Buckets {
    allowed: Allowed,
    /// The store's own bucket and prefix: what is there belongs to tenants.
    own: Option<(String, String)>,
    read_timeout: Duration,
    store: crate::config::Store,
    /// The store's own credentials, or those of the same configuration where the store is a directory.
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
            return Err(SourceError::Denied("source.s3_buckets does not allow this bucket".to_owned()));
        }
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(SourceError::Invalid(format!("an object's key has 1 to {MAX_KEY_BYTES} bytes")));
        }
        // A server or a proxy that tidies paths could be led to another bucket.
        if key.split('/').any(|part| part == "." || part == "..") {
            return Err(SourceError::Denied("the object's key has . or .. as a part".to_owned()));
        }
        if self.is_a_tenants(bucket, key) {
            let text = "the object is below store.url, and only .inbox/ there may be read as an origin";
            return Err(SourceError::Denied(text.to_owned()));
        }
        Ok(())
    }

    /// Whether this is an object that belongs to a tenant, who may be another than the event's.
    fn is_a_tenants(&self, bucket: &str, key: &str) -> bool {
        let Some((_, prefix)) = self.own.as_ref().filter(|(own, _)| own == bucket) else { return false };
        // Some servers take several slashes for one.
        let mut parts = key.split('/').filter(|part| !part.is_empty());
        let below = prefix.split('/').filter(|part| !part.is_empty()).all(|part| parts.next() == Some(part));
        below && parts.next() != Some(INBOX)
    }

    /// What trouble with a store means where it is an origin.
    fn meaning(&self, bucket: &str, err: StoreError) -> SourceError {
        let origin = "the bucket".to_owned();
        match err {
            StoreError::NotFound { .. } => SourceError::NotFound { origin },
            StoreError::Forbidden { detail, .. } => SourceError::Credentials { origin, detail },
            // Where assets could not go either, it is the store that is missing.
            StoreError::Missing { .. } if self.own.as_ref().is_none_or(|(own, _)| own != bucket) => {
                SourceError::NoBucket { chosen_by_event: matches!(self.allowed, Allowed::Every) }
            }
            // Bytes that were damaged on their way: the next try may bring them whole.
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

/// Names, not ARNs: those lead to other accounts' access points.
fn is_bucket_name(bucket: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain) && !bucket.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_pass_for_buckets() {
        for bucket in ["inbox", "my.bucket-1", "Legacy_Bucket"] {
            assert!(is_bucket_name(bucket), "{bucket}");
        }
        for bucket in ["", "ab", "a/b", "a..b", "arn:aws:s3:eu-west-1:1:accesspoint/x", &"x".repeat(64), "a?b"] {
            assert!(!is_bucket_name(bucket), "{bucket}");
        }
    }
}
