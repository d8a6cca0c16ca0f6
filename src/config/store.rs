//! Checks the keys of `[store]`, and which go together.

use super::http_url::is_http;
use super::{Bucket, Location, Store};

/// S3's smallest part, but for the last one of an upload.
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
/// S3's and Azure's most tags on an object.
const MAX_TAGS: usize = 10;

impl Store {
    /// A bucket as a store to read from: with its own address and credentials, and the timeouts of this one.
    #[must_use]
    pub fn of_bucket(&self, bucket: &Bucket) -> Self {
        Self {
            url: bucket.url.clone(),
            endpoint: bucket.endpoint.clone(),
            path_style: bucket.path_style,
            region: bucket.region.clone(),
            access_key_id: bucket.access_key_id.clone(),
            secret_access_key: bucket.secret_access_key.clone(),
            gcs_credentials: bucket.gcs_credentials.clone(),
            azure_account: bucket.azure_account.clone(),
            azure_key: bucket.azure_key.clone(),
            azure_sas: bucket.azure_sas.clone(),
            azure_tenant_id: bucket.azure_tenant_id.clone(),
            azure_client_id: bucket.azure_client_id.clone(),
            azure_client_secret: bucket.azure_client_secret.clone(),
            // What only writing needs.
            sse: String::new(),
            sse_kms_key_id: String::new(),
            storage_class: String::new(),
            class: String::new(),
            tags: std::collections::BTreeMap::new(),
            metadata: std::collections::BTreeMap::new(),
            ..self.clone()
        }
    }
}

/// Keys, and what is wrong with them. The first key names the mistake.
pub(super) fn problems(store: &Store) -> Vec<(&'static [&'static str], String)> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, keys: &'static [&'static str], problem: &str| {
        if !holds {
            problems.push((keys, problem.to_owned()));
        }
    };
    let location = Location::parse(&store.url);
    if let Err(problem) = &location {
        expect(false, &["store.url"], &problem.to_string());
    }
    let endpoint_ok = store.endpoint.is_empty() || is_http(&store.endpoint);
    expect(endpoint_ok, &["store.endpoint"], "must be an http:// or https:// URL, or empty");
    let half = store.access_key_id.is_empty() != store.secret_access_key.is_empty();
    let keys = &["store.access_key_id", "store.secret_access_key"];
    expect(!half, keys, "goes together with store.secret_access_key: set both or neither");
    let sse_ok = ["", "AES256", "aws:kms"].contains(&store.sse.as_str());
    expect(sse_ok, &["store.sse"], "must be \"\", \"AES256\" or \"aws:kms\"");
    let elsewhere = matches!(location, Ok(Location::Gcs { .. } | Location::Azure { .. }));
    let kms_ok = store.sse_kms_key_id.is_empty() || store.sse == "aws:kms" || elsewhere;
    expect(kms_ok, &["store.sse_kms_key_id", "store.sse"], "means nothing without store.sse = \"aws:kms\"");
    let checksums_ok = ["sha256", "when-required"].contains(&store.checksums.as_str());
    expect(checksums_ok, &["store.checksums"], "must be \"sha256\" or \"when-required\"");
    expect(store.tags.len() <= MAX_TAGS, &["store.tags"], "S3 and Azure take 10 tags at most");
    let tags_ok = store.tags.is_empty() || !matches!(location, Ok(Location::Gcs { .. }));
    expect(tags_ok, &["store.tags", "store.url"], "Google Cloud Storage has no object tags; use store.metadata");
    let parts_ok = store.multipart_bytes >= MIN_PART_BYTES;
    expect(parts_ok, &["store.multipart_bytes"], "must be at least 5242880, S3's smallest part");
    let line = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
    expect(line(&store.cache_control), &["store.cache_control"], "must be one line of ASCII");
    azure(store, matches!(location, Ok(Location::Azure { .. })), &mut expect);
    problems
}

/// One way in, or none at all.
fn azure(store: &Store, is_azure: bool, expect: &mut impl FnMut(bool, &'static [&'static str], &str)) {
    let account_ok = !store.azure_account.is_empty() || !is_azure;
    expect(account_ok, &["store.azure_account", "store.url"], "must name the storage account of an az:// store");
    let ids =
        [store.azure_tenant_id.is_empty(), store.azure_client_id.is_empty(), store.azure_client_secret.is_empty()];
    let whole = ids.iter().all(|empty| *empty == ids[0]);
    let keys = &["store.azure_client_secret", "store.azure_client_id", "store.azure_tenant_id"];
    expect(whole, keys, "goes together with store.azure_tenant_id and store.azure_client_id: set all three or none");
    let ways = [!store.azure_key.is_empty(), !store.azure_sas.is_empty(), ids.contains(&false)];
    let keys = &["store.azure_key", "store.azure_sas", "store.azure_client_secret"];
    let problem = "there is more than one way in: set store.azure_key, store.azure_sas or store.azure_client_secret";
    expect(ways.iter().filter(|set| **set).count() <= 1, keys, problem);
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn problem(flags: &[(&str, &str)]) -> String {
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(None, [], &flags).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    #[cfg(feature = "gcp")]
    fn a_google_bucket_has_a_key_of_its_own_and_no_tags() {
        let url = ("store.url", "gs://bucket/prefix");
        assert_eq!(problem(&[url, ("store.sse_kms_key_id", "projects/p/cryptoKeys/k")]), "");
        assert!(problem(&[url, ("store.tags", "a=b")]).contains("store.tags"), "no tags");
        assert!(problem(&[("store.url", "gs://")]).contains("gs://: needs a bucket"));
    }

    #[test]
    #[cfg(feature = "azure")]
    fn an_azure_container_has_an_account_and_one_way_in() {
        let url = ("store.url", "az://container/prefix");
        let account = ("store.azure_account", "acme");
        assert!(problem(&[url]).contains("store.azure_account"), "no account");
        let (key, sas) = (("store.azure_key", "a2V5"), ("store.azure_sas", "sv=1&sig=2"));
        assert_eq!(problem(&[url, account]), "");
        assert_eq!(problem(&[url, account, key]), "");
        assert!(problem(&[url, account, key, sas]).contains("more than one way in"));
        assert!(problem(&[url, account, ("store.azure_client_id", "x")]).contains("all three or none"));
    }

    #[test]
    fn a_header_is_one_line() {
        assert!(problem(&[("store.cache_control", "private\nx: y")]).contains("store.cache_control"));
        assert_eq!(problem(&[("store.cache_control", "")]), "");
    }
}
