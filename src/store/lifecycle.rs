//! Rules that a bucket itself may follow, as a backstop for what only a killed process or a failed erasure leaves behind.
//!
//! They never remove what mediamill still answers for: a rule of a bucket sees neither holds nor the period of one media, nor that
//! the small object in the place of a manifest is a tombstone. Google Cloud Storage alone has a time on each object.

use serde_json::{Value, json};

use crate::config::Location;

/// Days after which what is left of an upload that never ended is removed.
const UPLOAD_DAYS: u32 = 7;
/// Days after which an old version is removed, and an object whose time is over: what mediamill itself removes is gone before.
const BACKSTOP_DAYS: u32 = 31;

/// The document to apply, in the form that the vendor's own tool takes; nothing for a directory. `prefix` of every rule is the
/// store's.
///
/// Sources: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>,
/// <https://docs.cloud.google.com/storage/docs/lifecycle>,
/// <https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure>.
#[must_use]
pub fn lifecycle(location: &Location) -> Option<Value> {
    let below = match location.prefix() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    match location {
        Location::Local { .. } => None,
        Location::S3 { .. } => Some(json!({ "Rules": [
            {
                "ID": "mediamill-uploads", "Status": "Enabled", "Filter": { "Prefix": below },
                "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": UPLOAD_DAYS },
            },
            {
                "ID": "mediamill-versions", "Status": "Enabled", "Filter": { "Prefix": below },
                "NoncurrentVersionExpiration": { "NoncurrentDays": BACKSTOP_DAYS },
                "Expiration": { "ExpiredObjectDeleteMarker": true },
            },
        ] })),
        Location::Gcs { .. } => {
            let within = |mut condition: Value| {
                if !below.is_empty() {
                    condition["matchesPrefix"] = json!([below]);
                }
                condition
            };
            Some(json!({ "rule": [
                { "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": within(json!({ "age": UPLOAD_DAYS })) },
                { "action": { "type": "Delete" }, "condition": within(json!({ "daysSinceNoncurrentTime": BACKSTOP_DAYS })) },
                { "action": { "type": "Delete" }, "condition": within(json!({ "daysSinceCustomTime": BACKSTOP_DAYS })) },
            ] }))
        }
        Location::Azure { container, .. } => Some(json!({ "rules": [{
            "name": "mediamill-versions", "enabled": true, "type": "Lifecycle",
            "definition": {
                "filters": { "blobTypes": ["blockBlob"], "prefixMatch": [format!("{container}/{below}")] },
                "actions": {
                    "version": { "delete": { "daysAfterCreationGreaterThan": BACKSTOP_DAYS } },
                    "snapshot": { "delete": { "daysAfterCreationGreaterThan": BACKSTOP_DAYS } },
                },
            },
        }] })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_removes_what_is_current_and_has_no_time_of_its_own() {
        let (bucket, prefix) = ("media".to_owned(), "crm".to_owned());
        let s3 = lifecycle(&Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() }).expect("rules");
        for rule in s3["Rules"].as_array().expect("rules") {
            assert_eq!(rule["Filter"], json!({ "Prefix": "crm/" }));
            assert!(rule["Expiration"]["Days"].is_null(), "{rule}");
        }
        let gcs = lifecycle(&Location::Gcs { bucket: bucket.clone(), prefix }).expect("rules");
        for rule in gcs["rule"].as_array().expect("rules") {
            assert_eq!(rule["condition"]["matchesPrefix"], json!(["crm/"]));
            assert!(rule["action"]["type"] != "Delete" || rule["condition"]["age"].is_null(), "{rule}");
        }
        let azure = lifecycle(&Location::Azure { container: bucket, prefix: String::new() }).expect("rules");
        let definition = &azure["rules"][0]["definition"];
        assert_eq!(definition["filters"]["prefixMatch"], json!(["media/"]));
        assert!(definition["actions"]["baseBlob"].is_null(), "{azure}");
        assert_eq!(lifecycle(&Location::Local { root: "/".into() }), None);
    }
}
