//! How a worker with this configuration stores objects: the class of each, the requests that it takes, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use super::BenchError;
use super::matrix::Point;
use super::record::StoredObject;
use crate::config::{Config, Location};
use crate::store::{Tiers, put_requests};

/// The class of objects for which the configuration names none: the bucket's own.
pub const STANDARD: &str = "standard";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How objects are stored.
#[derive(Debug, Clone)]
pub struct Placement {
    location: Location,
    tiers: Tiers,
    /// `store.storage_class`, or [`STANDARD`].
    rest: String,
    /// `store.class` by the store's own name of it, where it is set.
    tier: Option<String>,
    multipart_bytes: u64,
    /// By the label of the point, in days.
    retention: BTreeMap<String, u32>,
}

impl Placement {
    /// By `[store]`, and the retention of each point's profile or else `privacy.retention_days`.
    ///
    /// # Errors
    /// A store or a class that does not exist.
    pub fn new(config: &Config, points: &[Point]) -> Result<Self, BenchError> {
        let store = &config.store;
        let location = Location::parse(&store.url).map_err(|error| BenchError::Usage(format!("store.url: {error}")))?;
        let tiers = Tiers::new(&location, store).map_err(|error| BenchError::Usage(error.to_string()))?;
        let days = |point: &Point| match point.profile.raw.retention_days {
            0 => config.privacy.retention_days,
            days => days,
        };
        Ok(Self {
            location,
            rest: if store.storage_class.is_empty() { STANDARD.to_owned() } else { store.storage_class.clone() },
            tier: tiers.class().map(str::to_owned),
            tiers,
            multipart_bytes: store.multipart_bytes,
            retention: points.iter().map(|point| (point.label.clone(), days(point))).collect(),
        })
    }

    /// After how many days media of a point are deleted; nothing where they are kept for good.
    #[must_use]
    pub fn retention_days(&self, point: &str) -> Option<u32> {
        self.retention.get(point).copied().filter(|days| *days > 0)
    }

    /// The class of an object, by the store's own name of it or [`STANDARD`].
    #[must_use]
    pub fn class_of(&self, object: &StoredObject, point: &str) -> &str {
        let kept = self.retention_days(point).map(|days| DAY * days);
        self.tiers.class_of(&object.object, object.size_bytes, kept).unwrap_or(&self.rest)
    }

    /// All classes that objects may have, with the key of the configuration that says so.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let tier = self.tier.as_deref().map(|class| (class, "store.class"));
        [(self.rest.as_str(), "store.storage_class")].into_iter().chain(tier)
    }

    /// The PUT requests that store an object.
    #[must_use]
    pub const fn puts_of(&self, object: &StoredObject) -> u64 {
        put_requests(&self.location, object.size_bytes, self.multipart_bytes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Profiles, load};

    /// An object of this name and size.
    pub(in crate::profile_lab) fn object(object: &str, size_bytes: u64) -> StoredObject {
        StoredObject { object: object.to_owned(), size_bytes }
    }

    /// The placement of one point, whose profile deletes after so many days.
    pub(in crate::profile_lab) fn placement(settings: &[(&str, &str)], point: &str, days: u32) -> Placement {
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = load(None, [], &settings).expect("a configuration");
        let profiles = Profiles::load("".as_ref()).expect("the profiles");
        let mut profile = profiles.iter().next().expect("a profile").clone();
        profile.raw.retention_days = days;
        Placement::new(&config, &[Point { label: point.to_owned(), profile }]).expect("a placement")
    }

    #[test]
    fn large_originals_and_playbacks_have_the_class_where_they_are_kept_for_long_enough() {
        let settings = [("store.url", "s3://bucket"), ("store.class", "infrequent")];
        let (large, small) = (object("audio.mp3", 131_072), object("original.ogg", 131_071));
        let class = |days, object| placement(&settings, "crm", days).class_of(object, "crm").to_owned();
        assert_eq!(class(0, &large), "STANDARD_IA");
        assert_eq!(class(30, &large), "STANDARD_IA");
        assert_eq!(class(29, &large), STANDARD, "the days would be billed all the same");
        assert_eq!(class(0, &small), STANDARD);
        assert_eq!(class(0, &object("manifest.json", 200_000)), STANDARD);
        let all = [("store.url", "s3://bucket"), ("store.storage_class", "STANDARD_IA")];
        assert_eq!(placement(&all, "crm", 7).class_of(&small, "crm"), "STANDARD_IA", "that of every object");
    }

    #[test]
    fn the_profile_s_days_are_before_those_of_the_configuration() {
        let days =
            |profile, all: &str| placement(&[("privacy.retention_days", all)], "crm", profile).retention_days("crm");
        assert_eq!((days(0, "0"), days(7, "0"), days(0, "90"), days(7, "90")), (None, Some(7), Some(90), Some(7)));
    }
}
