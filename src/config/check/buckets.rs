//! Checks of `[buckets.<name>]`.

use super::super::{Bucket, Config, Location, Store, store};
use super::Checker;
use crate::vocabulary::MAX_ID_BYTES;

impl Checker<'_> {
    pub(super) fn buckets(&mut self, config: &Config) {
        for (name, bucket) in &config.buckets {
            for (key, problem) in problems(name, bucket, &config.store) {
                let key = format!("buckets.{name}.{key}");
                // A value that was refused where it stands is not missed here as well.
                if !self.errors.concern(&key) {
                    self.wrong(&key, &problem);
                }
            }
            let others = config.buckets.iter().take_while(|(other, _)| *other != name);
            for (other, _) in others.filter(|(_, other)| other.tenant != bucket.tenant && other.overlaps(bucket)) {
                let problem =
                    format!("is a part of buckets.{other}.url, or the other way round, which is another tenant's");
                self.wrong(&format!("buckets.{name}.url"), &problem);
            }
        }
    }
}

/// What is wrong, by key.
fn problems(name: &str, bucket: &Bucket, of: &Store) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    if bucket.tenant.is_empty() || bucket.tenant.len() > MAX_ID_BYTES {
        problems.push(("tenant".to_owned(), format!("must have 1 to {MAX_ID_BYTES} bytes")));
    }
    if matches!(Location::parse(&bucket.url), Ok(Location::Local { .. })) {
        let problem = "must be a bucket: files of this machine are origins of kind file, below source.file_roots";
        problems.push(("url".to_owned(), problem.to_owned()));
    }
    for (keys, problem) in store::problems(&of.of_bucket(bucket)) {
        // What is wrong with other keys is said of [store].
        let own = keys.iter().filter_map(|key| key.strip_prefix("store.")).find(|key| is_own(key));
        if let Some(own) = own {
            problems.push((own.to_owned(), problem.replace("store.", &format!("buckets.{name}."))));
        }
    }
    problems
}

/// Whether a key of `[store]` is one of a bucket, too, that can be wrong.
fn is_own(key: &str) -> bool {
    key == "url" || key == "endpoint" || key.starts_with("azure_") || key.ends_with("access_key_id")
}
