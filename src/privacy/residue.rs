//! What is left after an erasure where mediamill cannot reach it, or not at once.

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::events::Residue;

/// Residues of an erasure that ends now. Their names are stable: docs/privacy.md lists them.
#[must_use]
pub fn residues(config: &Config, now: Timestamp) -> Vec<Residue> {
    let broker = &config.broker;
    let waits_s: u64 = broker.retry_delays_s.iter().fold(broker.ack_timeout_s, |sum, delay| sum.saturating_add(*delay));
    let waits = SignedDuration::from_secs(i64::try_from(waits_s).unwrap_or(i64::MAX));
    let until = now.checked_add(waits).ok().map(|until| until.to_string());
    vec![
        Residue { what: "queued-requests".to_owned(), until },
        Residue { what: "broker-files".to_owned(), until: None },
        Residue { what: "consumers".to_owned(), until: None },
        Residue { what: "store-copies".to_owned(), until: None },
        Residue { what: "backups".to_owned(), until: None },
    ]
}

/// Nobody was told of the erasure.
#[must_use]
pub fn untold() -> Residue {
    Residue { what: "untold-consumers".to_owned(), until: None }
}

/// Dead letters were not looked through.
#[must_use]
pub fn dead_letters() -> Residue {
    Residue { what: "dead-letters".to_owned(), until: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_queues_has_a_date() {
        let config = crate::config::load(None, [], &[]).expect("the defaults");
        let now: Timestamp = "2026-11-27T08:00:00Z".parse().expect("a time");
        // 10, 60 and 600 s of retries, and half an hour for who works on it.
        assert_eq!(residues(&config, now)[0].until.as_deref(), Some("2026-11-27T08:41:10Z"));
    }
}
