//! Files of channel accounts that are asked for and not here yet: the oldest of each account, for the alert that comes before
//! a provider forgets one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Most files that are remembered.
const MOST: usize = 10_000;
/// A file that has not come back here for so long is with another worker, or has ended there.
const FORGOTTEN: Duration = Duration::from_secs(2 * 3600);

/// The files that this worker has begun with, by the id of their event.
#[derive(Debug, Default)]
pub(super) struct Unfetched(Mutex<HashMap<String, File>>);

#[derive(Debug)]
struct File {
    account: String,
    since: Timestamp,
    seen: Instant,
}

impl Unfetched {
    /// A job has begun.
    pub(super) fn begun(&self, cause: &str, account: &str, since: Timestamp) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() < MOST || files.contains_key(cause) {
            files.insert(cause.to_owned(), File { account: account.to_owned(), since, seen: Instant::now() });
        }
    }

    /// It has an outcome.
    pub(super) fn ended(&self, cause: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(cause);
    }

    /// The age of the oldest one of each account.
    pub(super) fn oldest(&self, now: Timestamp) -> HashMap<String, Duration> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, file| file.seen.elapsed() < FORGOTTEN);
        let mut oldest: HashMap<String, Duration> = HashMap::new();
        for file in files.values() {
            let age = Duration::try_from(now.duration_since(file.since)).unwrap_or(Duration::ZERO);
            let known = oldest.entry(file.account.clone()).or_default();
            *known = age.max(*known);
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_until_it_has_ended() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let unfetched = Unfetched::default();
        for (cause, account, since) in [("1", "a", 100), ("2", "a", 50), ("3", "b", 90), ("2", "a", 50)] {
            unfetched.begun(cause, account, at(since));
        }
        let ages = |now| {
            let mut ages: Vec<_> =
                unfetched.oldest(at(now)).into_iter().map(|(name, age)| (name, age.as_secs())).collect();
            ages.sort();
            ages
        };
        assert_eq!(ages(110), [("a".to_owned(), 60), ("b".to_owned(), 20)]);
        unfetched.ended("2");
        unfetched.ended("3");
        assert_eq!(ages(110), [("a".to_owned(), 10)]);
        assert_eq!(ages(10), [("a".to_owned(), 0)], "a clock that was set back");
    }
}
