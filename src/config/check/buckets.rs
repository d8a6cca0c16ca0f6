//! Checks of `[buckets.<name>]`.

use super::super::Config;
use super::Checker;

impl Checker<'_> {
    pub(super) fn buckets(&mut self, config: &Config) {
        for (name, bucket) in &config.buckets {
            for (key, problem) in bucket.problems(name, &config.store) {
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
