//! Decides whether a message that failed is tried again. No other module decides that.

use std::time::Duration;

use super::failure::Failure;
use crate::broker::{Note, Tries};
use crate::error::{Code, Fault};

/// What happens to a message whose handling failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Reject it: it can never succeed.
    Reject,
    /// Move it into a retry queue of this step of the ladder.
    Retry {
        /// Index into the ladder's delays, from 0.
        step: usize,
    },
    /// Give it up: its retries are used up, or an operator is needed.
    GiveUp,
    /// Return it to its queue unchanged.
    Requeue,
}

/// Decides by the fault, the tries before, and the delays of the ladder in seconds.
///
/// Every message gets an end: each transient fault moves it one step further on the ladder, and a suspect fault allows
/// a single further try in all.
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
        // Only without a broker: with one, the worker postpones the message instead of failing it.
        Fault::NoRoom { .. } if tried < delays_s.len() => RetryDecision::Retry { step: tried },
        // Only of a role that does not postpone the message: wait as long as the fault asks for, within the ladder.
        Fault::Paused { wait, .. } if tried < delays_s.len() => {
            RetryDecision::Retry { step: step(tried, Some(*wait), delays_s) }
        }
        Fault::Transient { .. } | Fault::NoRoom { .. } | Fault::Paused { .. } | Fault::Broken { .. } => {
            RetryDecision::GiveUp
        }
        Fault::Shutdown => RetryDecision::Requeue,
    }
}

/// The first step, not below `at_least`, whose delay is as long as the other side asked for; if there is none, the last
/// step.
pub(super) fn step(at_least: usize, retry_after: Option<Duration>, delays_s: &[u64]) -> usize {
    let Some(wish) = retry_after else { return at_least };
    let long_enough = |step: &usize| Duration::from_secs(delays_s[*step]) >= wish;
    (at_least..delays_s.len()).find(long_enough).unwrap_or_else(|| delays_s.len().saturating_sub(1))
}

/// The note about a failure for headers and events; `None` if the process is stopping, which is no failure of the
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
    fn a_transient_fault_goes_one_step_further_each_time_and_ends() {
        let steps: Vec<_> = (0..5).map(|attempts| decide(&busy(None), before(attempts, 0), LADDER)).collect();
        let retry = |step| RetryDecision::Retry { step };
        assert_eq!(steps, [retry(0), retry(1), retry(2), RetryDecision::GiveUp, RetryDecision::GiveUp]);
        assert_eq!(decide(&busy(None), before(0, 0), &[]), RetryDecision::GiveUp);
        assert_eq!(decide(&busy(None), before(u32::MAX, 0), LADDER), RetryDecision::GiveUp);
    }

    #[test]
    fn a_retry_after_skips_steps_but_adds_no_tries() {
        assert_eq!(decide(&busy(Some(11)), before(0, 0), LADDER), RetryDecision::Retry { step: 1 });
        assert_eq!(decide(&busy(Some(1)), before(1, 0), LADDER), RetryDecision::Retry { step: 1 });
        assert_eq!(decide(&busy(Some(86_400)), before(0, 0), LADDER), RetryDecision::Retry { step: 2 });
        assert_eq!(decide(&busy(Some(1)), before(3, 0), LADDER), RetryDecision::GiveUp);
    }

    #[test]
    fn a_suspect_fault_allows_one_more_try_whatever_went_before() {
        let crash = Fault::suspect(Code::MediaCrashedDecoder, "");
        assert_eq!(decide(&crash, before(2, 0), LADDER), RetryDecision::Retry { step: 0 });
        assert_eq!(decide(&crash, before(3, 1), LADDER), RetryDecision::Reject);
        assert_eq!(decide(&crash, before(0, 0), &[]), RetryDecision::Reject);
    }

    #[test]
    fn all_other_faults_are_decided_at_once() {
        assert_eq!(decide(&Fault::rejected(Code::MediaEmpty, ""), before(0, 0), LADDER), RetryDecision::Reject);
        assert_eq!(decide(&Fault::broken(Code::StoreForbidden, ""), before(0, 0), LADDER), RetryDecision::GiveUp);
        assert_eq!(decide(&Fault::Shutdown, before(2, 1), LADDER), RetryDecision::Requeue);
        let no_room = Fault::NoRoom { message: String::new() };
        assert_eq!(decide(&no_room, before(0, 0), &[0]), RetryDecision::Retry { step: 0 });
        assert_eq!(decide(&no_room, before(1, 0), &[0]), RetryDecision::GiveUp);
    }
}
