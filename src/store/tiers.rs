//! Which storage class an object has: by what it is, how large it is, and how long it is kept.

use std::time::Duration;

use super::StoreError;
use crate::config::{self, Location, StorageClass};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which objects have a class of their own. What pages and erasing read often never has: manifest, peaks, waveform,
/// thumbnail, rendition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiers {
    class: Option<StorageClass>,
    has_originals: bool,
    has_playbacks: bool,
    min_bytes: u64,
}

impl Tiers {
    /// The classes that `[store]` asks for.
    ///
    /// # Errors
    /// [`StoreError::Config`] for a class that the store does not have.
    pub fn new(location: &Location, config: &config::Store) -> Result<Self, StoreError> {
        if config.class.is_empty() {
            return Ok(Self::default());
        }
        let class = StorageClass::find(location, &config.class);
        let class = class.map_err(|problem| StoreError::Config(format!("store.class: {problem}")))?;
        let has = |role: &str| config.class_roles.iter().any(|tiered| tiered == role);
        Ok(Self {
            class: Some(class),
            has_originals: has("original"),
            has_playbacks: has("playback"),
            min_bytes: config.tier_min_bytes,
        })
    }

    /// The class that originals or playback assets may have.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        self.class.map(|class| class.name)
    }

    /// The class of an object of this name and size, which is kept so long or for good; nothing where it has that of every
    /// object. What is deleted before the days are over that the class is billed for at least would cost more in it.
    #[must_use]
    pub fn class_of(&self, object: &str, size_bytes: u64, kept: Option<Duration>) -> Option<&'static str> {
        let class = self.class?;
        let is_tiered = match object.split_once('.').map_or(object, |(name, _)| name) {
            "original" => self.has_originals,
            "audio" | "video" => self.has_playbacks,
            _ => false,
        };
        // The job itself takes some of the time: a day that has begun counts.
        let is_kept = kept.is_none_or(|kept| kept + DAY > DAY * class.min_days);
        (is_tiered && is_kept && size_bytes >= self.min_bytes).then_some(class.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_originals_and_playbacks_that_are_kept_have_a_class() {
        let mut config = config::load(None, [], &[]).expect("the defaults").store;
        let location = Location::S3 { bucket: "b".to_owned(), prefix: String::new() };
        let tiers = |config: &config::Store| Tiers::new(&location, config).expect("a class");
        let large = 128 << 10;
        assert_eq!(tiers(&config).class_of("original.ogg", large, None), None, "there is none by default");
        config.class = "infrequent".to_owned();
        let both = tiers(&config);
        for object in ["original.ogg", "original.bin", "audio.mp3", "video.mp4"] {
            assert_eq!(both.class_of(object, large, None), Some("STANDARD_IA"), "{object}");
            assert_eq!(both.class_of(object, large - 1, None), None, "{object} is small");
        }
        for object in ["manifest.json", "peaks.json", "waveform.png", "thumbnail.jpg", "picture.jpg"] {
            assert_eq!(both.class_of(object, u64::MAX, None), None, "{object}");
        }
        let after = |days: u32| Some(DAY * days - Duration::from_secs(60));
        assert_eq!(both.class_of("audio.mp3", large, after(30)), Some("STANDARD_IA"));
        assert_eq!(both.class_of("audio.mp3", large, after(29)), None, "it would be billed for 30 days");
        config.class_roles = vec!["original".to_owned()];
        assert_eq!(tiers(&config).class_of("audio.mp3", large, None), None);
        config.class = "no such class".to_owned();
        assert!(Tiers::new(&location, &config).is_err());
    }
}
