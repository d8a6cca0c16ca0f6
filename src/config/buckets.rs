//! `[buckets.<name>]`: buckets that media are fetched from, each with its tenant and credentials of its own.

use serde::{Deserialize, Serialize};

use super::Location;
use crate::secrets::Secret;

/// `[buckets.<name>]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Bucket {
    pub tenant: String,
    pub url: String,
    pub endpoint: String,
    pub path_style: bool,
    pub region: String,
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    pub gcs_credentials: Secret,
    pub azure_account: String,
    pub azure_key: Secret,
    pub azure_sas: Secret,
    pub azure_tenant_id: String,
    pub azure_client_id: String,
    pub azure_client_secret: Secret,
}

impl Bucket {
    pub(super) fn secrets(&self) -> [(&'static str, &Secret); 6] {
        [
            ("access_key_id", &self.access_key_id),
            ("secret_access_key", &self.secret_access_key),
            ("gcs_credentials", &self.gcs_credentials),
            ("azure_key", &self.azure_key),
            ("azure_sas", &self.azure_sas),
            ("azure_client_secret", &self.azure_client_secret),
        ]
    }

    /// Whether a part of one bucket is a part of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (Ok(one), Ok(two)) = (Location::parse(&self.url), Location::parse(&other.url)) else { return false };
        one.is_same_bucket(&two)
            && self.azure_account == other.azure_account
            && (is_below(one.prefix(), two.prefix()) || is_below(two.prefix(), one.prefix()))
    }
}

/// Whether every key below the prefix `inner` is below `outer`.
fn is_below(inner: &str, outer: &str) -> bool {
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn problem(more: &[(&str, &str)]) -> String {
        let first = [("buckets.a.tenant", "acme"), ("buckets.a.url", "s3://inbox/acme")];
        let flags = [&first[..], more].concat();
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(None, [], &flags).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn a_bucket_has_a_tenant_and_an_address() {
        assert_eq!(problem(&[]), "");
        assert!(problem(&[("buckets.a.tenant", "")]).contains("buckets.a.tenant: must have 1 to"));
        assert!(problem(&[("buckets.a.url", "file:///var/x")]).contains("buckets.a.url: must be a bucket"));
        assert!(problem(&[("buckets.a.url", "ftp://x")]).contains("buckets.a.url: no store has the scheme"));
        let text = problem(&[("buckets.a.access_key_id", "x")]);
        assert!(text.contains("goes together with buckets.a.secret_access_key"), "{text}");
    }

    #[test]
    fn no_two_tenants_share_a_part_of_a_bucket() {
        let other = |url: &'static str| problem(&[("buckets.b.tenant", "beta"), ("buckets.b.url", url)]);
        assert_eq!(other("s3://inbox/acme-2"), "");
        assert_eq!(other("s3://other/acme"), "");
        for url in ["s3://inbox", "s3://inbox/acme", "s3://inbox/acme/sub"] {
            assert!(other(url).contains("another tenant"), "{url}: {}", other(url));
        }
        assert_eq!(problem(&[("buckets.b.tenant", "acme"), ("buckets.b.url", "s3://inbox/acme/sub")]), "");
    }
}
