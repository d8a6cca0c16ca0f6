//! What the bucket does with objects that are deleted.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketVersioningStatus, ExpirationStatus, LifecycleRule, ReplicationRuleStatus};

use super::classify::{classify, is_unknown};
use super::{Inner, StoreError};
use crate::store::deletion::{Deletion, Known, Lock, Versions};

const DAY_S: u64 = 86_400;
/// A year of a retention period.
const YEAR_DAYS: u64 = 365;

impl Inner {
    /// Asks the bucket. `prefix` is what the keys of the store begin with.
    pub(super) async fn deletion(&self, prefix: &str) -> Result<Deletion, StoreError> {
        Ok(Deletion {
            versions: self.versions_kept(prefix).await?,
            // S3 has none.
            soft_delete_s: Known::Is(0),
            lock: self.lock().await?,
            copies: self.copies().await?,
        })
    }

    async fn versions_kept(&self, prefix: &str) -> Result<Known<Versions>, StoreError> {
        let answer = self.remote.client().get_bucket_versioning().bucket(&self.bucket).send().await;
        let asked = ("ask for the versioning of the bucket", "s3:GetBucketVersioning");
        let status = match told(answer, asked, "")? {
            Known::Is(answer) => answer.and_then(|answer| answer.status),
            Known::NotPermitted(permission) => return Ok(Known::NotPermitted(permission)),
            Known::NotTold(why) => return Ok(Known::NotTold(why)),
        };
        Ok(Known::Is(match status {
            // Suspended: what was kept before is still there.
            Some(BucketVersioningStatus::Enabled | BucketVersioningStatus::Suspended) => {
                Versions::Kept { days: self.version_days(prefix).await? }
            }
            _ => Versions::Gone,
        }))
    }

    async fn version_days(&self, prefix: &str) -> Result<Known<Option<u32>>, StoreError> {
        let answer = self.remote.client().get_bucket_lifecycle_configuration().bucket(&self.bucket).send().await;
        let asked = ("ask for the lifecycle of the bucket", "s3:GetLifecycleConfiguration");
        Ok(match told(answer, asked, "NoSuchLifecycleConfiguration")? {
            Known::Is(answer) => {
                let rules = answer.and_then(|answer| answer.rules).unwrap_or_default();
                Known::Is(rules.iter().filter_map(|rule| days_of(rule, prefix)).min())
            }
            Known::NotPermitted(permission) => Known::NotPermitted(permission),
            Known::NotTold(why) => Known::NotTold(why),
        })
    }

    async fn lock(&self) -> Result<Known<Lock>, StoreError> {
        let answer = self.remote.client().get_object_lock_configuration().bucket(&self.bucket).send().await;
        let asked = ("ask for the object lock of the bucket", "s3:GetBucketObjectLockConfiguration");
        Ok(match told(answer, asked, "ObjectLockConfigurationNotFoundError")? {
            Known::Is(answer) => {
                let rule = answer.and_then(|answer| answer.object_lock_configuration?.rule?.default_retention);
                let count = |number: Option<i32>| u64::try_from(number.unwrap_or(0)).unwrap_or(0);
                let days = rule.map_or(0, |rule| count(rule.days) + count(rule.years) * YEAR_DAYS);
                Known::Is(Lock::of(days * DAY_S))
            }
            Known::NotPermitted(permission) => Known::NotPermitted(permission),
            Known::NotTold(why) => Known::NotTold(why),
        })
    }

    async fn copies(&self) -> Result<Known<bool>, StoreError> {
        let answer = self.remote.client().get_bucket_replication().bucket(&self.bucket).send().await;
        let asked = ("ask for the replication of the bucket", "s3:GetReplicationConfiguration");
        Ok(match told(answer, asked, "ReplicationConfigurationNotFoundError")? {
            Known::Is(answer) => {
                let rules = answer.and_then(|answer| answer.replication_configuration).map(|found| found.rules);
                Known::Is(rules.iter().flatten().any(|rule| rule.status == ReplicationRuleStatus::Enabled))
            }
            Known::NotPermitted(permission) => Known::NotPermitted(permission),
            Known::NotTold(why) => Known::NotTold(why),
        })
    }
}

/// An answer; nothing where the code `none` says that nothing is configured, or the server does not have the feature.
fn told<T, E>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    (action, permission): (&'static str, &'static str),
    none: &str,
) -> Result<Known<Option<T>>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let err = match answer {
        Ok(answer) => return Ok(Known::Is(Some(answer))),
        Err(err) => err,
    };
    let status = err.raw_response().map(|raw| raw.status().as_u16());
    if (!none.is_empty() && err.code() == Some(none)) || is_unknown(status, err.code()) {
        return Ok(Known::Is(None));
    }
    match classify(action, err) {
        StoreError::Forbidden { .. } => Ok(Known::NotPermitted(permission)),
        err => Err(err),
    }
}

/// After how many days a rule removes older versions of everything below the prefix.
fn days_of(rule: &LifecycleRule, prefix: &str) -> Option<u32> {
    let is_on = rule.status == ExpirationStatus::Enabled;
    let filter = rule.filter.as_ref();
    // A rule for some tags or sizes is not for everything.
    let is_narrow = filter.is_some_and(|filter| filter.tag.is_some() || filter.and.is_some());
    let own = filter.and_then(|filter| filter.prefix.as_deref()).unwrap_or_default();
    let days = rule.noncurrent_version_expiration.as_ref()?.noncurrent_days?;
    if is_on && !is_narrow && prefix.starts_with(own) { u32::try_from(days).ok() } else { None }
}
