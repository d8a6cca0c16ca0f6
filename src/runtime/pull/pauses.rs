//! Pauses between attempts: each pause after a failed attempt is twice the one before, up to a limit.

use std::time::Duration;

use tokio::time::Instant;

/// A pause whose length doubles each time it begins, up to a limit.
#[derive(Debug)]
pub(super) struct Doubling {
    first: Duration,
    most: Duration,
    /// Zero if it has not begun since the last reset.
    length: Duration,
    until: Option<Instant>,
}

impl Doubling {
    /// A pause that has not begun.
    pub(super) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, length: Duration::ZERO, until: None }
    }

    /// Begins now.
    pub(super) fn begin(&mut self, now: Instant) {
        self.length = if self.has_begun() { (self.length * 2).min(self.most) } else { self.first };
        self.until = Some(now + self.length);
    }

    /// Whether it has begun since the last reset, even if it is over.
    pub(super) const fn has_begun(&self) -> bool {
        !self.length.is_zero()
    }

    /// Whether it has begun and is not over.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// When it ends or ended.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Ends it. The next pause is as long as the first.
    pub(super) const fn reset(&mut self) {
        (self.length, self.until) = (Duration::ZERO, None);
    }
}

/// How long a second queue is not looked at, because the message at its front is of a tenant with too many parked
/// messages.
#[derive(Debug)]
pub(super) struct Pause {
    tenant: String,
    length: Doubling,
}

impl Default for Pause {
    fn default() -> Self {
        let length = Doubling::new(Duration::from_millis(250), Duration::from_secs(5));
        Self { tenant: String::new(), length }
    }
}

impl Pause {
    /// Begins now. Twice as long as before if it is the same tenant and none of its jobs has started since.
    pub(super) fn begin(&mut self, tenant: &str, now: Instant) {
        if self.tenant != tenant || self.length.is_on(now) {
            self.length.reset();
            tenant.clone_into(&mut self.tenant);
        }
        self.length.begin(now);
    }

    /// A job of this tenant was started.
    pub(super) fn started(&mut self, tenant: &str) {
        if self.tenant == tenant {
            self.length.reset();
        }
    }

    /// When the pause ends, and for which tenant; `None` if it is over.
    pub(super) fn now(&self, now: Instant) -> Option<(Instant, &str)> {
        let until = self.length.until().filter(|until| *until > now)?;
        Some((until, &self.tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_limit_and_begins_anew_after_a_reset() {
        let now = Instant::now();
        let mut wait = Doubling::new(Duration::from_secs(5), Duration::from_secs(15));
        let mut lengths = Vec::new();
        for _ in 0..3 {
            wait.begin(now);
            lengths.push(wait.until().expect("it has begun").duration_since(now).as_secs());
        }
        assert_eq!(lengths, [5, 10, 15]);
        assert!(wait.is_on(now + Duration::from_secs(14)) && !wait.is_on(now + Duration::from_secs(15)));
        wait.reset();
        assert!(!wait.is_on(now) && !wait.has_begun());
        wait.begin(now);
        assert_eq!(wait.until(), Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn a_pause_doubles_for_one_tenant_until_a_job_of_it_starts() {
        let (mut pause, start) = (Pause::default(), Instant::now());
        let length = |pause: &Pause, now| pause.now(now).map(|(until, _)| (until - now).as_millis());
        pause.begin("a", start);
        assert_eq!(length(&pause, start), Some(250));
        let second = start + Duration::from_millis(250);
        assert_eq!(length(&pause, second), None);
        pause.begin("a", second);
        assert_eq!(length(&pause, second), Some(500));
        pause.started("b");
        assert_eq!(pause.now(second).map(|(_, tenant)| tenant), Some("a"));
        pause.started("a");
        pause.begin("a", second);
        assert_eq!(length(&pause, second), Some(250));
        let third = second + Duration::from_secs(1);
        pause.begin("b", third);
        assert_eq!(length(&pause, third), Some(250), "another tenant");
    }
}
