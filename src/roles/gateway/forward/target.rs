//! Targets, and the queue of each.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::broker::{Ladder, QueueSpec, WorkQueue};
use crate::config::Config;

/// Delays of the first tries in seconds; after them comes one try an hour.
const FIRST_DELAYS_S: [u64; 4] = [10, 60, 300, 900];
const LAST_DELAY_S: u64 = 3600;
const DAY_S: u64 = 24 * 3600;
/// Bytes of the URL's SHA-256 that stand in the name of its queue.
const NAME_BYTES: usize = 4;

/// Where webhooks of an account are passed on to.
#[derive(Clone)]
pub(in crate::roles::gateway) struct Target {
    /// The account's name.
    pub(in crate::roles::gateway) account: String,
    /// May hold a secret in its path or query, so that it is never logged.
    pub(super) url: String,
    /// As [`QueueSpec::name`].
    pub(super) queue: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// The targets of all accounts.
#[derive(Debug, Clone)]
pub(in crate::roles::gateway) struct Targets {
    targets: Vec<Target>,
    lifetime_s: u64,
}

impl Targets {
    pub(in crate::roles::gateway) fn new(config: &Config) -> Self {
        let of = |(account, channel): (&String, &crate::config::Channel)| {
            let target = |url: &String| Target {
                account: account.clone(),
                url: url.clone(),
                queue: format!("forward.{account}.{}", hex::encode(&Sha256::digest(url)[..NAME_BYTES])),
            };
            channel.forward.iter().map(target).collect::<Vec<_>>()
        };
        let targets = config.channels.iter().flat_map(of).collect();
        Self { targets, lifetime_s: config.gateway.forward_days.saturating_mul(DAY_S) }
    }

    /// For how long a webhook is kept, in seconds.
    pub(super) const fn lifetime_s(&self) -> u64 {
        self.lifetime_s
    }

    pub(super) fn get(&self, queue: usize) -> Option<&Target> {
        self.targets.get(queue)
    }

    /// A queue for each target, in their order.
    pub(in crate::roles::gateway) fn queues(&self) -> Vec<QueueSpec> {
        let spec = |target: &Target| QueueSpec::passing(target.queue.clone(), ladder(self.lifetime_s), self.lifetime_s);
        self.targets.iter().map(spec).collect()
    }

    /// The queues of each account that has targets.
    pub(in crate::roles::gateway) fn by_account(&self) -> HashMap<String, Vec<WorkQueue>> {
        let mut queues: HashMap<String, Vec<WorkQueue>> = HashMap::new();
        for (index, target) in self.targets.iter().enumerate() {
            queues.entry(target.account.clone()).or_default().push(WorkQueue::plain(index));
        }
        queues
    }
}

/// Tries until the lifetime is over: as often as a provider would come itself at first, then once an hour.
fn ladder(lifetime_s: u64) -> Ladder {
    let mut delays_s = FIRST_DELAYS_S.to_vec();
    let mut total_s: u64 = delays_s.iter().sum();
    while total_s < lifetime_s {
        delays_s.push(LAST_DELAY_S);
        total_s += LAST_DELAY_S;
    }
    Ladder { delays_s, jitter_percent: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tries_last_for_as_long_as_a_webhook_is_kept_and_need_few_queues() {
        for days in [1, 7, 30] {
            let delays_s = ladder(days * DAY_S).delays_s;
            let total_s: u64 = delays_s.iter().sum();
            assert!((days * DAY_S..days * DAY_S + LAST_DELAY_S).contains(&total_s), "{days} days: {total_s} s");
            let mut different = delays_s.clone();
            different.dedup();
            assert_eq!(different, [10, 60, 300, 900, 3600], "the same delay twice is one queue");
        }
    }

    #[test]
    fn the_name_of_a_queue_says_the_account_and_not_the_url() {
        let set = [
            ("channels.support.provider", "twilio"),
            ("channels.support.tenant", "acme"),
            ("channels.support.forward", "https://inbox.example/s3cr3t,https://other.example/"),
        ];
        let set: Vec<_> = set.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let targets = Targets::new(&crate::config::load(None, [], &set).expect("a configuration"));
        let names: Vec<_> = targets.queues().into_iter().map(|spec| spec.name).collect();
        assert!(names.iter().all(|name| name.starts_with("forward.support.") && name.len() == 24), "{names:?}");
        assert_ne!(names[0], names[1]);
        assert_eq!(targets.by_account()["support"], [WorkQueue::plain(0), WorkQueue::plain(1)]);
        assert!(!format!("{targets:?}").contains("s3cr3t"));
    }
}
