//! What account and container do with blobs that are deleted, as far as the Blob service says so: whether the account keeps
//! versions stands in its management interface only.

use super::{Answer, Ask, Inner, Method, StoreError, header, missing, xml};
use crate::store::deletion::{Deletion, Known, Lock};

const ACTION: &str = "read the settings of the account";
const READ_CONTAINER: &str = "read the settings of the container";
const DAY_S: u64 = 86_400;
const ACCOUNT_PERMISSION: &str = "Microsoft.Storage/storageAccounts/blobServices/read";
const CONTAINER_PERMISSION: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/read";

impl Inner {
    /// Asks the account and the container.
    ///
    /// Sources: <https://learn.microsoft.com/rest/api/storageservices/get-blob-service-properties>,
    /// <https://learn.microsoft.com/rest/api/storageservices/get-container-properties>.
    pub(super) async fn deletion(&self) -> Result<Deletion, StoreError> {
        let mut url = self.dialect.address.service();
        url.query_pairs_mut().append_pair("restype", "service").append_pair("comp", "properties");
        let soft_delete_s = match self.rest.done(ACTION, &Ask::new(Method::GET, url)).await {
            Ok(answer) => soft_delete_s(&answer),
            Err(StoreError::Forbidden { .. }) => Known::NotPermitted(ACCOUNT_PERMISSION),
            Err(err) => return Err(err),
        };
        let mut url = self.dialect.address.container(&self.container);
        url.query_pairs_mut().append_pair("restype", "container");
        let lock = match self.rest.done(READ_CONTAINER, &Ask::new(Method::GET, url)).await {
            Ok(answer) => lock(&answer),
            Err(StoreError::Forbidden { .. }) => Known::NotPermitted(CONTAINER_PERMISSION),
            Err(err) => return Err(missing(err)),
        };
        let versions = Known::NotTold("the Blob service does not say whether the account keeps versions");
        let copies = Known::NotTold("the Blob service does not say whether the account replicates objects");
        Ok(Deletion { versions, soft_delete_s, lock, copies })
    }
}

fn soft_delete_s(answer: &Answer) -> Known<u64> {
    let text = String::from_utf8_lossy(&answer.body);
    let Some((_, policy)) = text.split_once("<DeleteRetentionPolicy>") else {
        return Known::NotTold("the account's settings have no DeleteRetentionPolicy");
    };
    let policy = policy.split("</DeleteRetentionPolicy>").next().unwrap_or_default();
    let is_on = xml::first(policy, "Enabled").as_deref() == Some("true");
    let days = xml::first(policy, "Days").and_then(|days| days.parse::<u64>().ok()).unwrap_or(0);
    Known::Is(if is_on { days * DAY_S } else { 0 })
}

fn lock(answer: &Answer) -> Known<Lock> {
    let is_on = |name| header(&answer.headers, name) == Some("true");
    if is_on("x-ms-has-immutability-policy") || is_on("x-ms-immutable-storage-with-versioning-enabled") {
        Known::NotTold("the container has an immutability policy, whose days the Blob service does not say")
    } else if is_on("x-ms-has-legal-hold") {
        Known::Is(Lock::UntilLifted)
    } else {
        Known::Is(Lock::None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::HeaderMap;
    use super::*;

    fn answer(body: &str, name: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        if !name.is_empty() {
            headers.insert(name, "true".parse().expect("a value"));
        }
        Answer { status: 200, headers, body: body.to_owned().into() }
    }

    #[test]
    fn an_account_says_how_long_it_keeps_what_is_deleted() {
        let policy = |text: &str| {
            let body = format!(
                "<StorageServiceProperties><HourMetrics><Enabled>true</Enabled></HourMetrics>{text}</StorageServiceProperties>"
            );
            soft_delete_s(&answer(&body, ""))
        };
        let on = "<DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days></DeleteRetentionPolicy>";
        assert_eq!(policy(on), Known::Is(604_800));
        assert_eq!(policy("<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"), Known::Is(0));
        assert!(matches!(policy(""), Known::NotTold(_)));
        assert_eq!(lock(&answer("", "")), Known::Is(Lock::None));
        assert_eq!(lock(&answer("", "x-ms-has-legal-hold")), Known::Is(Lock::UntilLifted));
        assert!(matches!(lock(&answer("", "x-ms-has-immutability-policy")), Known::NotTold(_)));
    }
}
