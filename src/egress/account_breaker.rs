//! The circuit breaker of one account with a provider. It stops requests before the provider blocks the account, and
//! while the provider refuses the account's credential. Requests that it stops wait; they have not failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A provider's `Retry-After` is followed up to this time.
const MAX_THROTTLE: Duration = Duration::from_secs(3600);
/// The longest pause of a budget; a longer one is cut to this.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The pause between attempts with a refused credential, which an operator may have renewed meanwhile.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// How many error answers an account may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// This many error answers within the window open the breaker; at least 1.
    pub max_errors: u32,
    /// The time over which errors are counted.
    pub window: Duration,
    /// How long no request is sent once the breaker is open. After that, one request at a time probes whether the
    /// account works again.
    pub pause: Duration,
}

/// How a request ended, as the breaker counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The provider answered normally. Earlier errors stay counted, because the provider counts them too.
    Success,
    /// The provider answered with an error or did not answer.
    Error,
    /// The provider asked for a pause of this length; at most an hour is followed.
    Throttled(Duration),
    /// The provider refused the credential.
    Refused,
    /// The request was abandoned, or its failure has nothing to do with the account.
    Unknown,
}

/// Why the breaker is open. While it is, no request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenReason {
    /// The error budget is used up.
    Errors,
    /// The provider asked for a pause.
    Throttled,
    /// The provider refuses the credential: an operator has to renew it.
    Refused,
    /// Requests are spread out because the provider's quota is nearly used up.
    Slowed,
}

/// The present state of an account's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// If the breaker is open: why, and for how long at least.
    pub open: Option<(OpenReason, Duration)>,
    /// How many errors were counted within the window.
    pub errors: usize,
}

/// The breaker of one account. Clones share its state.
#[derive(Debug, Clone)]
pub struct Breaker(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    budget: Budget,
    /// When the counted errors happened, the oldest first; at most as many as the budget allows.
    errors: VecDeque<Instant>,
    open: Option<(OpenReason, Instant)>,
    /// One request is under way that probes whether the account works again.
    on_trial: bool,
    /// Requests under way whose failure the provider would count as an error.
    in_flight: usize,
    slowed: Option<Slowed>,
}

#[derive(Debug, Clone, Copy)]
struct Slowed {
    interval: Duration,
    until: Instant,
    next: Instant,
}

/// The permission to send one request.
#[derive(Debug)]
pub struct Permit {
    breaker: Breaker,
    is_trial: bool,
    is_counted: bool,
}

impl Breaker {
    /// A closed breaker: requests may be sent.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let inner = Inner { budget, errors: VecDeque::new(), open: None, on_trial: false, in_flight: 0, slowed: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Asks for permission to send a request.
    ///
    /// # Errors
    /// If the breaker is open: why, and how long to wait before asking again.
    pub fn admit(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_at(Instant::now())
    }

    /// As [`Breaker::admit`], for a request whose errors the provider counts. It is admitted only if the budget is not
    /// exceeded even when it and all other such requests under way fail.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_counted(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_counted_at(Instant::now())
    }

    /// As [`Breaker::admit`], for a request that follows one admitted a moment ago, such as the download from a URL
    /// that was just requested. [`Breaker::slow_down`] does not apply to it.
    ///
    /// # Errors
    /// As [`Breaker::admit`].
    pub fn admit_follow_up(&self) -> Result<Permit, (OpenReason, Duration)> {
        self.admit_follow_up_at(Instant::now())
    }

    /// Limits requests to one in each `interval` for the time `lasting`. For providers that say how much of a quota is
    /// used.
    pub fn slow_down(&self, interval: Duration, lasting: Duration) {
        self.slow_down_at(interval, lasting, Instant::now());
    }

    /// The present state.
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
        // While one request probes the account, the others ask again soon.
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
            // Only the probe decides: a request that was sent before the breaker opened says nothing about the present.
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
            // The provider counts a refusal as an error, so the next probe waits until the provider has forgotten this
            // one.
            CallOutcome::Refused if is_counted => {
                self.errors.push_back(now);
                self.trip(OpenReason::Refused, self.budget.pause, now);
            }
            CallOutcome::Refused => self.trip(OpenReason::Refused, REFUSED_PAUSE, now),
        }
    }

    /// Opens the breaker. If it is already open, the reason that lasts longest counts.
    fn trip(&mut self, why: OpenReason, pause: Duration, now: Instant) {
        let until = now + pause.min(MAX_PAUSE);
        if self.open.is_none_or(|(_, other)| other <= until) {
            self.open = Some((why, until));
        }
    }
}

impl Permit {
    /// Reports how the request ended.
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
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(20)), Ok(()), "a success does not reset the budget");
        assert_eq!(ends(&breaker, CallOutcome::Error, start + S(30)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Success, start + S(31)), Err((OpenReason::Errors, S(1799))));

        let later = start + S(1830);
        let trial = breaker.admit_at(later).expect("one");
        assert_eq!(breaker.admit_at(later).err(), Some((OpenReason::Errors, S(1))), "only one probe at a time");
        drop(trial);
        assert_eq!(ends(&breaker, CallOutcome::Error, later), Ok(()), "the probe before was abandoned");
        assert_eq!(
            ends(&breaker, CallOutcome::Success, later + S(1)),
            Err((OpenReason::Errors, S(1799))),
            "one failed probe is enough"
        );
        assert_eq!(ends(&breaker, CallOutcome::Success, later + S(1800)), Ok(()));
        assert_eq!(ends(&breaker, CallOutcome::Error, later + S(1801)), Ok(()));
        assert!(breaker.admit_at(later + S(1802)).is_ok(), "the budget is whole again");
    }

    #[test]
    fn errors_that_are_older_than_the_window_do_not_count() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        for n in 0..20 {
            assert_eq!(ends(&breaker, CallOutcome::Error, start + n * S(1800)), Ok(()), "{n}");
        }
    }

    #[test]
    fn a_retry_after_is_followed_up_to_an_hour_and_a_refused_credential_is_tried_each_minute() {
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
    fn a_request_sent_before_the_breaker_opened_does_not_close_it() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        let slow = breaker.admit_at(start).expect("closed");
        assert_eq!(ends(&breaker, CallOutcome::Throttled(S(90)), start), Ok(()));
        slow.ends_at(CallOutcome::Success, start + S(1));
        assert_eq!(breaker.admit_at(start + S(1)).err(), Some((OpenReason::Throttled, S(89))));
        assert_eq!(breaker.state().errors, 0);
    }

    #[test]
    fn requests_under_way_count_towards_the_budget() {
        let (breaker, start) = (Breaker::new(BUDGET), Instant::now());
        breaker.admit_counted_at(start).expect("the budget is whole").ends_at(CallOutcome::Error, start);
        let both = [breaker.admit_counted_at(start).expect("one"), breaker.admit_counted_at(start).expect("another")];
        assert_eq!(breaker.admit_counted_at(start).err(), Some((OpenReason::Slowed, S(1))), "three could be errors");
        assert!(breaker.admit_at(start).is_ok(), "one that the provider does not count");
        drop(both);
        breaker.admit_counted_at(start).expect("the request under way has ended").ends_at(CallOutcome::Refused, start);
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
