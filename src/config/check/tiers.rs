//! Checks of `store.class`, and of what it means together with how long media are kept.

use super::super::{Config, Location, StorageClass};
use super::Checker;

/// Roles of assets that may have a class of their own. What pages and erasing read often is not among them.
const TIERED: [&str; 2] = ["original", "playback"];

impl Checker<'_> {
    pub(super) fn tiers(&mut self, config: &Config) {
        let store = &config.store;
        let roles_ok = store.class_roles.iter().all(|role| TIERED.contains(&role.as_str()));
        self.expect(roles_ok, "store.class_roles", "every entry is original or playback");
        // What is wrong with the address is said of store.url.
        let Ok(location) = Location::parse(&store.url) else { return };
        if store.class.is_empty() {
            return;
        }
        let class = match StorageClass::find(&location, &store.class) {
            Ok(class) => class,
            Err(problem) => return self.expect_together(false, &["store.class", "store.url"], &problem),
        };
        let plays = store.class_roles.iter().any(|role| role == "playback");
        let problem = format!(
            "{} is not read at once, and what people play has to be: set store.class_roles = [\"original\"]",
            class.name
        );
        self.expect_together(class.is_online || !plays, &["store.class", "store.class_roles"], &problem);
        let mut kept = vec![("privacy.retention_days".to_owned(), config.privacy.retention_days)];
        let tenants = config.tenants.iter();
        kept.extend(tenants.map(|(name, tenant)| (format!("tenants.{name}.retention_days"), tenant.retention_days)));
        for (key, days) in kept {
            let problem = format!(
                "{} is billed for {} days at least, and {key} deletes after {days}: use a class with fewer days",
                class.name, class.min_days
            );
            // 0 means for good, or as privacy.retention_days says.
            self.expect_together(days == 0 || days >= class.min_days, &["store.class", &key], &problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn problem(more: &[(&str, &str)]) -> String {
        let flags = [&[("store.url", "s3://bucket/prefix")], more].concat();
        let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(None, [], &flags).map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn a_class_is_refused_where_media_are_deleted_before_its_days_are_over() {
        let class = ("store.class", "infrequent");
        assert_eq!(problem(&[class]), "");
        assert_eq!(problem(&[class, ("privacy.retention_days", "30")]), "");
        let text = problem(&[class, ("privacy.retention_days", "29")]);
        assert!(text.contains("store.class: STANDARD_IA is billed for 30 days at least"), "{text}");
        let text = problem(&[class, ("tenants.acme.retention_days", "7")]);
        assert!(text.contains("tenants.acme.retention_days deletes after 7"), "{text}");
    }

    #[test]
    fn a_class_is_one_that_the_store_has_and_that_plays() {
        assert!(problem(&[("store.class", "NEARLINE")]).contains("S3 has no such class"));
        assert!(problem(&[("store.class", "rare"), ("store.url", "file:///x")]).contains("no storage classes"));
        assert!(problem(&[("store.class", "archive")]).contains("GLACIER is not read at once"));
        assert_eq!(problem(&[("store.class", "archive"), ("store.class_roles", "original")]), "");
        assert!(problem(&[("store.class_roles", "thumbnail")]).contains("store.class_roles"));
    }
}
