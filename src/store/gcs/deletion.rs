//! What the bucket does with objects that are deleted: all of it stands in the bucket's own resource, which takes the permission
//! `storage.buckets.get`.

use serde_json::Value;

use super::{Ask, Inner, Method, StoreError, missing, resource};
use crate::store::deletion::{Deletion, Known, Lock, Versions};

const ACTION: &str = "read the settings of the bucket";
const PERMISSION: &str = "storage.buckets.get";

impl Inner {
    /// Asks the bucket. `prefix` is what the keys of the store begin with.
    pub(super) async fn deletion(&self, prefix: &str) -> Result<Deletion, StoreError> {
        let ask = Ask::new(Method::GET, self.dialect.address.bucket(&self.bucket));
        match self.rest.done(ACTION, &ask).await {
            Ok(answer) => Ok(of(&resource::parse(ACTION, &answer)?, prefix)),
            Err(StoreError::Forbidden { .. }) => Ok(Deletion {
                versions: Known::NotPermitted(PERMISSION),
                soft_delete_s: Known::NotPermitted(PERMISSION),
                lock: Known::NotPermitted(PERMISSION),
                // A bucket may have several regions, which are one store.
                copies: Known::Is(false),
            }),
            Err(err) => Err(missing(err)),
        }
    }
}

/// What a bucket's resource says. Numbers of 64 bits are texts in it.
///
/// Source: <https://docs.cloud.google.com/storage/docs/json_api/v1/buckets>.
fn of(bucket: &Value, prefix: &str) -> Deletion {
    let seconds = |pointer: &str| {
        let value = bucket.pointer(pointer);
        value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0)
    };
    let is_versioned = bucket.pointer("/versioning/enabled").and_then(Value::as_bool).unwrap_or(false);
    let rules = bucket.pointer("/lifecycle/rule").and_then(Value::as_array).into_iter().flatten();
    let days = rules.filter_map(|rule| days_of(rule, prefix)).min();
    let versions = if is_versioned { Versions::Kept { days: Known::Is(days) } } else { Versions::Gone };
    let is_held = bucket.pointer("/defaultEventBasedHold").and_then(Value::as_bool).unwrap_or(false);
    Deletion {
        versions: Known::Is(versions),
        soft_delete_s: Known::Is(seconds("/softDeletePolicy/retentionDurationSeconds")),
        lock: Known::Is(if is_held {
            Lock::UntilLifted
        } else {
            Lock::of(seconds("/retentionPolicy/retentionPeriod"))
        }),
        copies: Known::Is(false),
    }
}

/// After how many days a rule removes older generations of everything below the prefix.
fn days_of(rule: &Value, prefix: &str) -> Option<u32> {
    let condition = rule.get("condition")?;
    // A rule with conditions besides is not for everything.
    let known = ["daysSinceNoncurrentTime", "matchesPrefix", "isLive"];
    let is_narrow = condition.as_object()?.keys().any(|name| !known.contains(&name.as_str()));
    let prefixes = condition.get("matchesPrefix").and_then(Value::as_array);
    let covers = prefixes.is_none_or(|all| all.iter().filter_map(Value::as_str).any(|begin| prefix.starts_with(begin)));
    let deletes = rule.pointer("/action/type").and_then(Value::as_str) == Some("Delete");
    let days = condition.get("daysSinceNoncurrentTime")?.as_u64()?;
    if deletes && covers && !is_narrow { u32::try_from(days).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bucket_says_what_it_keeps() {
        assert_eq!(of(&json!({ "softDeletePolicy": { "retentionDurationSeconds": "0" } }), ""), Deletion::at_once());
        let bucket = json!({
            "versioning": { "enabled": true },
            "softDeletePolicy": { "retentionDurationSeconds": "604800" },
            "retentionPolicy": { "retentionPeriod": "86400", "isLocked": true },
            "lifecycle": { "rule": [
                { "action": { "type": "Delete" }, "condition": { "daysSinceNoncurrentTime": 31, "matchesPrefix": ["crm/"] } },
                { "action": { "type": "Delete" }, "condition": { "daysSinceNoncurrentTime": 3, "matchesPrefix": ["other/"] } },
                { "action": { "type": "Delete" }, "condition": { "daysSinceNoncurrentTime": 2, "numNewerVersions": 5 } },
                { "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": { "age": 1 } },
            ] },
        });
        let expected = Deletion {
            versions: Known::Is(Versions::Kept { days: Known::Is(Some(31)) }),
            soft_delete_s: Known::Is(604_800),
            lock: Known::Is(Lock::Seconds(86_400)),
            copies: Known::Is(false),
        };
        assert_eq!(of(&bucket, "crm/"), expected);
        let held = of(&json!({ "defaultEventBasedHold": true }), "");
        assert_eq!(held.lock, Known::Is(Lock::UntilLifted));
    }
}
