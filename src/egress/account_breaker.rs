//! The breaker of one account with a provider: it stops asking before the provider blocks the account, and while the account's
//! credential is refused. Requests that it holds back wait; they have not failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The longest `Retry-After` of a provider that is followed.
const MAX_THROTTLE: Duration = Duration::from_secs(3600);
/// The longest pause of a budget that is kept.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a refused credential is tried again: an operator may have renewed it.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// How many errors an account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So many error answers within the window stop the account; at least 1.
    pub max_errors: u32,
    /// The window over which they are counted.
    pub window: Duration,
    /// How long no request is sent then. Afterwards one request at a time tries the account.
    pub pause: Duration,
}

/// How a request ended, for its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The provider answered as it should. Errors before it stay in the budget: the provider counts them too.
    Success,
    /// An error answer, or none.
    Error,
    /// The provider asks to come back after so long; an hour at most is believed.
    Throttled(Duration),
    /// The provider refuses the credential.
    Refused,
    /// The request was given up, or its failure has nothing to do with the account.
    Unknown,
}

/// Why the breaker is open, so that no request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenReason {
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
    /// Where the breaker is open: why, and how long that lasts at least.
    pub open: Option<(OpenReason, Duration)>,
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
    open: Option<(OpenReason, Instant)>,
    /// One request is on its way to find out whether the account works again.
    on_trial: bool,
    /// Requests on their way that each may become an error of the budget.
    in_flight: usize,
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
pub struct Permit {
    breaker: Breaker,
    is_trial: bool,
    is_counted: bool,
}

impl Breaker {
    /// A closed breaker: requests are sent.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let inner = Inner { budget, errors: VecDeque::new(), open: None, on_trial: false, in_flight: 0, slowed: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Before a request.
    ///
    /// # Errors
    /// Where the breaker is open: why, and how long to wait before asking again.
    pub fn admit(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_at(Instant::now())
    }

    /// Before a request whose errors the provider counts: it is admitted only where the budget is kept even if it and all others
    /// on their way fail.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_counted(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_counted_at(Instant::now())
    }

    /// Before a request that belongs to one that was admitted a moment ago, such as that for a file whose URL has just been
    /// asked for: [`Breaker::slow_down`] does not concern it.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_follow_up(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_follow_up_at(Instant::now())
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
        State { open: inner.open_for(now), errors: inner.errors.len() }
    }

    fn admit_at(&self, now: Instant) -> Result<Permit, (OpenReason, Duration)> {
        let mut inner = self.lock();
        if let Some(open) = inner.open_for(now) {
            return Err(open);
        }
        if let Some(slowed) = &mut inner.slowed {
            slowed.next = now + slowed.interval;
        }
        Ok(self.permit(&mut inner))
    }

    fn admit_counted_at(&self, now: Instant) -> Result<Permit, (OpenReason, Duration)> {
        {
            let mut inner = self.lock();
            inner.forget(now);
            let used = inner.errors.len() + inner.in_flight;
            if used > 0 && used >= inner.budget.max_errors as usize {
                return Err(inner.tripped_for(now).unwrap_or((OpenReason::Slowed, Duration::from_secs(1))));
            }
            inner.in_flight += 1;
        }
        match self.admit_at(now) {
            Ok(mut permit) => {
                permit.is_counted = true;
                Ok(permit)
            }
            Err(open) => {
                self.lock().in_flight -= 1;
                Err(open)
            }
        }
    }

    fn admit_follow_up_at(&self, now: Instant) -> Result<Permit, (OpenReason, Duration)> {
        let mut inner = self.lock();
        match inner.tripped_for(now) {
            Some(open) => Err(open),
            None => Ok(self.permit(&mut inner)),
        }
    }

    fn permit(&self, inner: &mut Inner) -> Permit {
        let is_trial = inner.open.is_some();
        inner.on_trial = is_trial;
        Permit { breaker: self.clone(), is_trial, is_counted: false }
    }

    fn slow_down_at(&self, interval: Duration, lasting: Duration, now: Instant) {
        let interval = interval.min(MAX_THROTTLE);
        let mut inner = self.lock();
        let next = inner.slowed.map_or(now, |slowed| slowed.next.min(now + interval));
        inner.slowed = Some(Slowed { interval, until: now + lasting.min(MAX_THROTTLE), next });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open_for(&self, now: Instant) -> Option<(OpenReason, Duration)> {
        self.tripped_for(now).or_else(|| {
            let slowed = self.slowed.filter(|slowed| now < slowed.until && now < slowed.next)?;
            Some((OpenReason::Slowed, slowed.next.saturating_duration_since(now)))
        })
    }

    fn tripped_for(&self, now: Instant) -> Option<(OpenReason, Duration)> {
        let (why, until) = self.open?;
        let wait = until.saturating_duration_since(now);
        // While a request tries the account, others ask again soon.
        (self.on_trial || !wait.is_zero()).then(|| (why, wait.max(Duration::from_secs(1))))
    }

    fn forget(&mut self, now: Instant) {
        while self.errors.front().is_some_and(|error| now.saturating_duration_since(*error) >= self.budget.window) {
            self.errors.pop_front();
        }
        self.slowed = self.slowed.filter(|slowed| now < slowed.until);
    }

    fn learn(&mut self, outcome: CallOutcome, is_trial: bool, is_counted: bool, now: Instant) {
        self.forget(now);
        self.on_trial &= !is_trial;
        match outcome {
            // Only the trial decides: a request that began before the breaker opened is older news.
            CallOutcome::Success if is_trial => {
                self.open = None;
                self.errors.clear();
            }
            CallOutcome::Success | CallOutcome::Unknown => {}
            CallOutcome::Error => {
                self.errors.push_back(now);
                if is_trial || self.errors.len() >= self.budget.max_errors.max(1) as usize {
                    self.errors.clear();
                    self.trip(OpenReason::Errors, self.budget.pause, now);
                }
            }
            CallOutcome::Throttled(wish) => self.trip(OpenReason::Throttled, wish.min(MAX_THROTTLE), now),
            // The provider counts a refusal too: the next probe comes when it has forgotten this one.
            CallOutcome::Refused if is_counted => {
                self.errors.push_back(now);
                self.trip(OpenReason::Refused, self.budget.pause, now);
            }
            CallOutcome::Refused => self.trip(OpenReason::Refused, REFUSED_PAUSE, now),
        }
    }

    /// Opens the breaker. Of several reasons the one that lasts longest counts.
    fn trip(&mut self, why: OpenReason, pause: Duration, now: Instant) {
        let until = now + pause.min(MAX_PAUSE);
        if self.open.is_none_or(|(_, other)| other <= until) {
            self.open = Some((why, until));
        }
    }
}

impl Permit {
    /// The request has ended.
    pub fn ends(self, outcome: CallOutcome) {
        self.ends_at(outcome, Instant::now());
    }

    fn ends_at(mut self, outcome: CallOutcome, now: Instant) {
        self.breaker.lock().learn(outcome, self.is_trial, self.is_counted, now);
        self.is_trial = false;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        if self.is_trial {
            inner.on_trial = false;
        }
        if self.is_counted {
            inner.in_flight -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const BUDGET: Budget = Budget { max_errors: 3, window: S_HOUR, pause: Duration::from_secs(1800) };
    const S_HOUR: Duration = Duration::from_secs(3600);

    fn ends(breaker: &Breaker, outcome: CallOutcome, now: Instant) -> Result<(), (OpenReason, Duration)> {
        breaker.admit_at(now).map(|pass| pass.ends_at(outcome, now))
    }

    #[test]
    fn errors_within_the_window_open_the_breaker_and_one_success_closes_it() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        assert_eq!(ends(&breaker, CallOutcome::Error, start), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Error, start + S(10)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(20)), Ok(()), "does not give the budget back");
        assert_eq!(ends(&breaker, CallOutcome::Error, start + S(30)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(31)), Err((OpenReason::Errors, S(1799))));

        let later = start + S(1830);
        let trial = breaker.admit_at(later).expect("one");
        assert_eq!(breaker.admit_at(later).err(), Some((OpenReason::Errors, S(1))), "and only one");
        drop(trial);
        assert_eq!(ends(&breaker, CallOutcome::Error, later), Ok(()), "the one before was given up");
        assert_eq!(
            ends(&breaker, CallOutcome::Success, later + S(1)),
            Err((OpenReason::Errors, S(1799))),
            "one error is enough now"
        );
        assert_eq!(ends(&breaker, CallOutcome::Success, later + S(1800)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Error, later + S(1801)), Ok(()));
        assert!(breaker.admit_at(later + S(1802)).is_ok(), "a whole budget again");
    }

    #[test]
    fn errors_that_are_older_than_the_window_do_not_count() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        for n in 0..20 {
            assert_eq!(ends(&breaker, CallOutcome::Error, start + n * S(1800)), Ok(()), "{n}");
        }
    }

    #[test]
    fn a_wish_is_followed_for_an_hour_at_most_and_a_refused_credential_is_tried_each_minute() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        assert_eq!(ends(&breaker, CallOutcome::Throttled(S(90)), start), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start), Err((OpenReason::Throttled, S(90))));
        assert_eq!(ends(&breaker, CallOutcome::Throttled(S(1_000_000)), start + S(90)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(90)), Err((OpenReason::Throttled, S(3600))));
        let start = start + S(4000);
        assert_eq!(ends(&breaker, CallOutcome::Refused, start), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start), Err((OpenReason::Refused, S(60))));
        assert_eq!(ends(&breaker, CallOutcome::Refused, start + S(60)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(61)), Err((OpenReason::Refused, S(59))));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(120)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(121)), Ok(()));
    }

    #[test]
    fn a_request_from_before_does_not_close_the_breaker() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        let slow = breaker.admit_at(start).expect("closed");
        assert_eq!(ends(&breaker, CallOutcome::Throttled(S(90)), start), Ok(()));
        slow.ends_at(CallOutcome::Success, start + S(1));
        assert_eq!(breaker.admit_at(start + S(1)).err(), Some((OpenReason::Throttled, S(89))));
        assert_eq!(breaker.state().errors, 0);
    }

    #[test]
    fn requests_on_their_way_count_towards_the_budget() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        breaker.admit_counted_at(start).expect("the budget is whole").ends_at(CallOutcome::Error, start);
        let both = [breaker.admit_counted_at(start).expect("one"), breaker.admit_counted_at(start).expect("another")];
        assert_eq!(breaker.admit_counted_at(start).err(), Some((OpenReason::Slowed, S(1))), "three could be errors");
        assert!(breaker.admit_at(start).is_ok(), "one that the provider does not count");
        drop(both);
        breaker.admit_counted_at(start).expect("given back").ends_at(CallOutcome::Refused, start);
        assert_eq!(breaker.state().errors, 2, "a refusal is counted as well");
        assert_eq!(breaker.admit_at(start + S(60)).err(), Some((OpenReason::Refused, S(1740))), "no probe each minute");
    }

    #[test]
    fn a_slowed_account_has_one_request_in_each_interval() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        breaker.slow_down_at(S(10), S(60), start);
        assert!(breaker.admit_at(start).is_ok());
        assert_eq!(breaker.admit_at(start + S(3)).err(), Some((OpenReason::Slowed, S(7))));
        assert!(breaker.admit_follow_up_at(start + S(3)).is_ok(), "the file whose URL was asked for");
        assert!(breaker.admit_at(start + S(10)).is_ok());
        assert!(breaker.admit_at(start + S(61)).is_ok() && breaker.admit_at(start + S(61)).is_ok(), "over");
    }
}
