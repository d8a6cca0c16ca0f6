//! Decides whether a message that failed is tried again. No other module decides that.

use std::time::Duration;

use super::failure::Failure;
use crate::broker::{Note, Tries};
use crate::error::{Code, Fault};

/// What becomes of a message whose handling failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// It can never succeed.
    Reject,
    /// Into a retry queue of this step of the ladder, from 0.
    Retry {
        /// Index into the ladder's delays.
        step: usize,
    },
    /// Its retries are used up, or an operator is needed.
    GiveUp,
    /// Back to its queue as it was.
    Requeue,
}

/// Decides by the fault, what was tried before, and the delays of the ladder in seconds.
///
/// Every message ends: a transient fault goes one step further with each try, a suspect one has a single try more
/// in all.
#[must_use]
pub fn decide(fault: &Fault, before: Tries, delays_s: &[u64]) -> RetryDecision {
    let tried = usize::try_from(before.attempts).unwrap_or(usize::MAX);
    match fault {
        Fault::Rejected { .. } => RetryDecision::Reject,
        Fault::Suspect { .. } if before.suspicions == 0 && !delays_s.is_empty() => RetryDecision::Retry { step: 0 },
        Fault::Suspect { .. } => RetryDecision::Reject,
        Fault::Transient { retry_after, .. } if tried < delays_s.len() => {
            RetryDecision::Retry { step: step(tried, *retry_after, delays_s) }
        }
        // Reached without a broker only: with one, the worker puts the message off instead.
        Fault::NoRoom { .. } if tried < delays_s.len() => RetryDecision::Retry { step: tried },
        // Of a role that does not put it off: as long as it was asked for, as far as the ladder goes.
        Fault::Paused { wait, .. } if tried < delays_s.len() => {
            RetryDecision::Retry { step: step(tried, Some(*wait), delays_s) }
        }
        Fault::Transient { .. } | Fault::NoRoom { .. } | Fault::Paused { .. } | Fault::Broken { .. } => {
            RetryDecision::GiveUp
        }
        Fault::Shutdown => RetryDecision::Requeue,
    }
}

/// The first step from `at_least` on that waits as long as the other side asked for, or else the last one.
pub(super) fn step(at_least: usize, retry_after: Option<Duration>, delays_s: &[u64]) -> usize {
    let Some(wish) = retry_after else { return at_least };
    let long_enough = |step: &usize| Duration::from_secs(delays_s[*step]) >= wish;
    (at_least..delays_s.len()).find(long_enough).unwrap_or_else(|| delays_s.len().saturating_sub(1))
}

/// What is written of a failure into headers and events; nothing where the process is stopping, which is no failure of the
/// message.
#[must_use]
pub fn note(failure: &Failure, attempts: u32, suspicions: u32) -> Option<Note> {
    let (code, reason, suspect) = match &failure.fault {
        Fault::Rejected { code, message }
        | Fault::Transient { code, message, .. }
        | Fault::Paused { code, message, .. }
        | Fault::Broken { code, message } => (*code, message, false),
        Fault::Suspect { code, message } => (*code, message, true),
        Fault::NoRoom { message } => (Code::WorkerScratch, message, false),
        Fault::Shutdown => return None,
    };
    let suspicions = suspicions.saturating_add(u32::from(suspect));
    Some(Note { code, stage: failure.stage, reason: reason.clone(), attempts, suspicions })
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
        let steps: Vec<_> = (0..5).map(|attempts| decide(&busy(None), before(attempts, 0), LADDER)).collect();
        let retry = |step| RetryDecision::Retry { step };
        assert_eq!(steps, [retry(0), retry(1), retry(2), RetryDecision::GiveUp, RetryDecision::GiveUp]);
        assert_eq!(decide(&busy(None), before(0, 0), &[]), RetryDecision::GiveUp);
        assert_eq!(decide(&busy(None), before(u32::MAX, 0), LADDER), RetryDecision::GiveUp);
    }

    #[test]
    fn a_wish_for_later_skips_steps_but_adds_no_tries() {
        assert_eq!(decide(&busy(Some(11)), before(0, 0), LADDER), RetryDecision::Retry { step: 1 });
        assert_eq!(decide(&busy(Some(1)), before(1, 0), LADDER), RetryDecision::Retry { step: 1 });
        assert_eq!(decide(&busy(Some(86_400)), before(0, 0), LADDER), RetryDecision::Retry { step: 2 });
        assert_eq!(decide(&busy(Some(1)), before(3, 0), LADDER), RetryDecision::GiveUp);
    }

    #[test]
    fn a_suspect_has_one_more_try_whatever_went_before() {
        let crash = Fault::suspect(Code::MediaCrashedDecoder, "");
        assert_eq!(decide(&crash, before(2, 0), LADDER), RetryDecision::Retry { step: 0 });
        assert_eq!(decide(&crash, before(3, 1), LADDER), RetryDecision::Reject);
        assert_eq!(decide(&crash, before(0, 0), &[]), RetryDecision::Reject);
    }

    #[test]
    fn the_rest_is_decided_at_once() {
        assert_eq!(decide(&Fault::rejected(Code::MediaEmpty, ""), before(0, 0), LADDER), RetryDecision::Reject);
        assert_eq!(decide(&Fault::broken(Code::StoreForbidden, ""), before(0, 0), LADDER), RetryDecision::GiveUp);
        assert_eq!(decide(&Fault::Shutdown, before(2, 1), LADDER), RetryDecision::Requeue);
        let no_room = Fault::NoRoom { message: String::new() };
        assert_eq!(decide(&no_room, before(0, 0), &[0]), RetryDecision::Retry { step: 0 });
        assert_eq!(decide(&no_room, before(1, 0), &[0]), RetryDecision::GiveUp);
    }
}
