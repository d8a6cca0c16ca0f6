//! The breaker of one account with a provider: it stops asking before the provider blocks the account, and while the account's
//! credential is refused. Requests that it holds back wait; they have not failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Longer than this no provider's `Retry-After` closes an account.
const MAX_THROTTLE: Duration = Duration::from_secs(3600);
/// How often a refused credential is tried again: an operator may have renewed it.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// How many errors an account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So many error answers within the window stop the account; at least 1.
    pub max_errors: u32,
    /// The window over which they are counted.
    pub window: Duration,
    /// How long the account is left alone then. Afterwards one request at a time tries it.
    pub pause: Duration,
}

/// What a request found out about its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The provider answered as it should. Errors before it stay in the budget: the provider counts them too.
    Good,
    /// An error answer, or none.
    Error,
    /// The provider asks to come back after so long; an hour at most is believed.
    Throttled(Duration),
    /// The provider refuses the credential.
    Refused,
    /// Nothing: the request was given up, or its failure has nothing to do with the account.
    Nothing,
}

/// Why an account is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The error budget is used up.
    Errors,
    /// The provider has asked for it.
    Throttled,
    /// The provider refuses the credential: an operator has to renew it.
    Refused,
    /// Requests are spread out, because the provider's quota is nearly used up.
    Slowed,
}

/// What is known of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Why no request may be sent now, and how long that lasts at least.
    pub closed: Option<(Closed, Duration)>,
    /// Error answers within the window.
    pub errors: usize,
}

/// The breaker of one account. Clones are the same breaker.
#[derive(Debug, Clone)]
pub struct Breaker(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    budget: Budget,
    /// When errors happened: no more than the budget has, the oldest first.
    errors: VecDeque<Instant>,
    closed: Option<(Closed, Instant)>,
    /// A request finds out whether the account works again.
    on_trial: bool,
    slowed: Option<Slowed>,
}

#[derive(Debug, Clone, Copy)]
struct Slowed {
    interval: Duration,
    until: Instant,
    next: Instant,
}

/// The right to send one request.
#[derive(Debug)]
pub struct Pass {
    breaker: Breaker,
    is_trial: bool,
}

impl Breaker {
    /// A breaker that lets requests through.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let inner = Inner { budget, errors: VecDeque::new(), closed: None, on_trial: false, slowed: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Before a request.
    ///
    /// # Errors
    /// Why the account is left alone, and how long to wait before asking again.
    pub fn admit(&self) -> Result<Pass, (Closed, Duration)> {
        self.admit_at(Instant::now())
    }

    /// Spreads requests out for a while: at most one in each interval. For providers that say how much of a quota is used.
    pub fn slow_down(&self, interval: Duration, lasting: Duration) {
        self.slow_down_at(interval, lasting, Instant::now());
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.forget(now);
        State { closed: inner.closed_for(now), errors: inner.errors.len() }
    }

    fn admit_at(&self, now: Instant) -> Result<Pass, (Closed, Duration)> {
        let mut inner = self.lock();
        if let Some(closed) = inner.closed_for(now) {
            return Err(closed);
        }
        let is_trial = inner.closed.is_some();
        inner.on_trial = is_trial;
        if let Some(slowed) = &mut inner.slowed {
            slowed.next = now + slowed.interval;
        }
        Ok(Pass { breaker: self.clone(), is_trial })
    }

    fn slow_down_at(&self, interval: Duration, lasting: Duration, now: Instant) {
        let mut inner = self.lock();
        let next = inner.slowed.map_or(now, |slowed| slowed.next.min(now + interval));
        inner.slowed = Some(Slowed { interval, until: now + lasting.min(MAX_THROTTLE), next });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn closed_for(&self, now: Instant) -> Option<(Closed, Duration)> {
        let left = |until: Instant| until.saturating_duration_since(now);
        if let Some((why, until)) = self.closed {
            let wait = left(until);
            if self.on_trial || !wait.is_zero() {
                // While a request tries the account, others ask again soon.
                return Some((why, wait.max(Duration::from_secs(1))));
            }
        }
        let slowed = self.slowed.filter(|slowed| now < slowed.until && now < slowed.next);
        slowed.map(|slowed| (Closed::Slowed, left(slowed.next)))
    }

    fn forget(&mut self, now: Instant) {
        while self.errors.front().is_some_and(|error| now.saturating_duration_since(*error) >= self.budget.window) {
            self.errors.pop_front();
        }
        self.slowed = self.slowed.filter(|slowed| now < slowed.until);
    }

    fn learn(&mut self, finding: Finding, is_trial: bool, now: Instant) {
        self.forget(now);
        self.on_trial &= !is_trial;
        match finding {
            // A request from before the account was closed does not open it.
            Finding::Good if is_trial => {
                self.closed = None;
                self.errors.clear();
            }
            Finding::Good | Finding::Nothing => {}
            Finding::Error => {
                self.errors.push_back(now);
                if is_trial || self.errors.len() >= self.budget.max_errors.max(1) as usize {
                    self.errors.clear();
                    self.close(Closed::Errors, self.budget.pause, now);
                }
            }
            Finding::Throttled(wish) => self.close(Closed::Throttled, wish.min(MAX_THROTTLE), now),
            Finding::Refused => self.close(Closed::Refused, REFUSED_PAUSE, now),
        }
    }

    /// The longest of several reasons counts.
    fn close(&mut self, why: Closed, pause: Duration, now: Instant) {
        let until = now + pause;
        if self.closed.is_none_or(|(_, other)| other <= until) {
            self.closed = Some((why, until));
        }
    }
}

impl Pass {
    /// The request has ended.
    pub fn ends(self, finding: Finding) {
        self.ends_at(finding, Instant::now());
    }

    fn ends_at(mut self, finding: Finding, now: Instant) {
        self.breaker.lock().learn(finding, self.is_trial, now);
        self.is_trial = false;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.lock().on_trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const BUDGET: Budget = Budget { max_errors: 3, window: S_HOUR, pause: Duration::from_secs(1800) };
    const S_HOUR: Duration = Duration::from_secs(3600);

    fn ends(breaker: &Breaker, finding: Finding, now: Instant) -> Result<(), (Closed, Duration)> {
        breaker.admit_at(now).map(|pass| pass.ends_at(finding, now))
    }

    #[test]
    fn errors_within_the_window_close_the_account_and_one_request_opens_it() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        assert_eq!(ends(&breaker, Finding::Error, start), Ok(()));
        assert_eq!(ends(&breaker, Finding::Error, start + S(10)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start + S(20)), Ok(()), "does not give the budget back");
        assert_eq!(ends(&breaker, Finding::Error, start + S(30)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start + S(31)), Err((Closed::Errors, S(1799))));

        let later = start + S(1830);
        let trial = breaker.admit_at(later).expect("one");
        assert_eq!(breaker.admit_at(later).err(), Some((Closed::Errors, S(1))), "and only one");
        drop(trial);
        assert_eq!(ends(&breaker, Finding::Error, later), Ok(()), "the one before was given up");
        assert_eq!(
            ends(&breaker, Finding::Good, later + S(1)),
            Err((Closed::Errors, S(1799))),
            "one error is enough now"
        );
        assert_eq!(ends(&breaker, Finding::Good, later + S(1800)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Error, later + S(1801)), Ok(()));
        assert!(breaker.admit_at(later + S(1802)).is_ok(), "a whole budget again");
    }

    #[test]
    fn errors_that_are_older_than_the_window_do_not_count() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        for n in 0..20 {
            assert_eq!(ends(&breaker, Finding::Error, start + n * S(1800)), Ok(()), "{n}");
        }
    }

    #[test]
    fn a_wish_is_followed_for_an_hour_at_most_and_a_refused_credential_is_tried_each_minute() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        assert_eq!(ends(&breaker, Finding::Throttled(S(90)), start), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start), Err((Closed::Throttled, S(90))));
        assert_eq!(ends(&breaker, Finding::Throttled(S(1_000_000)), start + S(90)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start + S(90)), Err((Closed::Throttled, S(3600))));
        let start = start + S(4000);
        assert_eq!(ends(&breaker, Finding::Refused, start), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start), Err((Closed::Refused, S(60))));
        assert_eq!(ends(&breaker, Finding::Refused, start + S(60)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start + S(61)), Err((Closed::Refused, S(59))));
        assert_eq!(ends(&breaker, Finding::Good, start + S(120)), Ok(()));
        assert_eq!(ends(&breaker, Finding::Good, start + S(121)), Ok(()));
    }

    #[test]
    fn a_request_from_before_does_not_open_what_was_closed_meanwhile() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        let slow = breaker.admit_at(start).expect("open");
        assert_eq!(ends(&breaker, Finding::Throttled(S(90)), start), Ok(()));
        slow.ends_at(Finding::Good, start + S(1));
        assert_eq!(breaker.admit_at(start + S(1)).err(), Some((Closed::Throttled, S(89))));
        assert_eq!(breaker.state().errors, 0);
    }

    #[test]
    fn a_slowed_account_has_one_request_in_each_interval() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        breaker.slow_down_at(S(10), S(60), start);
        assert!(breaker.admit_at(start).is_ok());
        assert_eq!(breaker.admit_at(start + S(3)).err(), Some((Closed::Slowed, S(7))));
        assert!(breaker.admit_at(start + S(10)).is_ok());
        assert!(breaker.admit_at(start + S(61)).is_ok() && breaker.admit_at(start + S(61)).is_ok(), "over");
    }
}
