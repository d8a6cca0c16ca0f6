//! The one place that decides what is tried again.

use std::time::Duration;

use crate::broker::Tries;
use crate::error::Fault;

/// What becomes of a job that did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// A rejected event.
    Reject,
    /// Up the ladder, to this rung from 0.
    Retry {
        /// Index into the ladder's delays.
        rung: usize,
    },
    /// A failed event, and the message to the dead.
    GiveUp,
    /// Back to its lane as it was.
    Requeue,
}

/// Decides by the fault, what was tried before, and the delays of the ladder in seconds.
///
/// Every message ends: a transient fault climbs one rung a try, a suspect one has a single try more in all.
pub(super) fn decide(fault: &Fault, before: Tries, delays_s: &[u64]) -> Decision {
    let tried = usize::try_from(before.attempts).unwrap_or(usize::MAX);
    match fault {
        Fault::Rejected { .. } => Decision::Reject,
        Fault::Suspect { .. } if before.suspicions == 0 && !delays_s.is_empty() => Decision::Retry { rung: 0 },
        Fault::Suspect { .. } => Decision::Reject,
        Fault::Transient { retry_after, .. } if tried < delays_s.len() => {
            Decision::Retry { rung: rung(tried, *retry_after, delays_s) }
        }
        // A worker puts it off and does not ask; without a broker there is nobody to put it off to.
        Fault::NoRoom { .. } if tried < delays_s.len() => Decision::Retry { rung: tried },
        Fault::Transient { .. } | Fault::NoRoom { .. } | Fault::Broken { .. } => Decision::GiveUp,
        Fault::Shutdown => Decision::Requeue,
    }
}

/// The first rung from `at_least` on that waits as long as the other side asked for, or else the last one.
fn rung(at_least: usize, retry_after: Option<Duration>, delays_s: &[u64]) -> usize {
    let Some(wish) = retry_after else { return at_least };
    let long_enough = |rung: &usize| Duration::from_secs(delays_s[*rung]) >= wish;
    (at_least..delays_s.len()).find(long_enough).unwrap_or(delays_s.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const LADDER: &[u64] = &[10, 60, 600];

    fn before(attempts: u32, suspicions: u32) -> Tries {
        Tries { attempts, suspicions }
    }

    fn busy(retry_after_s: Option<u64>) -> Fault {
        let retry_after = retry_after_s.map(Duration::from_secs);
        Fault::Transient { code: Code::SourceUnavailable, message: String::new(), retry_after }
    }

    #[test]
    fn a_transient_fault_climbs_the_ladder_and_ends() {
        let rungs: Vec<_> = (0..5).map(|attempts| decide(&busy(None), before(attempts, 0), LADDER)).collect();
        let retry = |rung| Decision::Retry { rung };
        assert_eq!(rungs, [retry(0), retry(1), retry(2), Decision::GiveUp, Decision::GiveUp]);
        assert_eq!(decide(&busy(None), before(0, 0), &[]), Decision::GiveUp);
        assert_eq!(decide(&busy(None), before(u32::MAX, 0), LADDER), Decision::GiveUp);
    }

    #[test]
    fn a_wish_for_later_skips_rungs_but_adds_no_tries() {
        assert_eq!(decide(&busy(Some(11)), before(0, 0), LADDER), Decision::Retry { rung: 1 });
        assert_eq!(decide(&busy(Some(1)), before(1, 0), LADDER), Decision::Retry { rung: 1 });
        assert_eq!(decide(&busy(Some(86_400)), before(0, 0), LADDER), Decision::Retry { rung: 2 });
        assert_eq!(decide(&busy(Some(1)), before(3, 0), LADDER), Decision::GiveUp);
    }

    #[test]
    fn a_suspect_has_one_more_try_whatever_went_before() {
        let crash = Fault::suspect(Code::MediaCrashedDecoder, "");
        assert_eq!(decide(&crash, before(2, 0), LADDER), Decision::Retry { rung: 0 });
        assert_eq!(decide(&crash, before(3, 1), LADDER), Decision::Reject);
        assert_eq!(decide(&crash, before(0, 0), &[]), Decision::Reject);
    }

    #[test]
    fn the_rest_is_decided_at_once() {
        assert_eq!(decide(&Fault::rejected(Code::MediaEmpty, ""), before(0, 0), LADDER), Decision::Reject);
        assert_eq!(decide(&Fault::broken(Code::StoreForbidden, ""), before(0, 0), LADDER), Decision::GiveUp);
        assert_eq!(decide(&Fault::Shutdown, before(2, 1), LADDER), Decision::Requeue);
        let no_room = Fault::NoRoom { message: String::new() };
        assert_eq!(decide(&no_room, before(0, 0), &[0]), Decision::Retry { rung: 0 });
        assert_eq!(decide(&no_room, before(1, 0), &[0]), Decision::GiveUp);
    }
}
