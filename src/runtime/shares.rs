//! Decides which tenant's message is started next, without queues and clocks, so that it can be tested alone.
//!
//! The tenant of a message stands only in its body, so that no queue can be asked whose messages wait in it. What is
//! done instead: while others may wait behind it, it puts messages of tenants that already have their share into the
//! lane's second queue. The lane itself is short then and in it are the tenants below their share, who come first. Who
//! is above: a tenant that runs as many jobs here as its equal part of the slots, or whose messages were put off a
//! moment ago. Where a lane has but one slot here, the tenant that was started last is above until the others have been
//! looked at.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Who had a message put off so recently has more of the same.
const RECENT: Duration = Duration::from_secs(1);

/// After so many looks into the second queue that met no message of a tenant, other workers have taken them all.
const LOOKS: u64 = 16;

/// What waits in a lane, and what is free for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Messages behind the one that is looked at.
    pub(super) behind: u32,
    /// Messages that were put off.
    pub(super) later: u32,
    /// Jobs that could start now.
    pub(super) room: usize,
}

/// What becomes of a message at the front of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is started.
    Now,
    /// It is started unless somebody else waits behind it.
    AfterOthers,
    /// It goes to the second queue.
    Later,
}

/// What this process knows of the tenants of one lane. A tenant is empty where a message does not name one.
#[derive(Debug, Default)]
pub(super) struct Shares {
    running: HashMap<String, usize>,
    running_later: usize,
    last: Option<Last>,
    put_off: HashMap<String, Instant>,
    /// Messages in the second queue, as far as this worker has put them there and not seen them since.
    waiting: HashMap<String, Waiting>,
    looks: u64,
}

/// A tenant's messages in the second queue.
#[derive(Debug, Default)]
struct Waiting {
    messages: usize,
    /// The look into the queue that last met one of them.
    seen: u64,
}

#[derive(Debug)]
struct Last {
    tenant: String,
    later: bool,
}

impl Shares {
    /// A job has started; `later` where its message came from the second queue.
    pub(super) fn started(&mut self, tenant: &str, later: bool) {
        self.resumed(tenant, later);
        self.last = Some(Last { tenant: tenant.to_owned(), later });
    }

    /// A job that had given its slot back has one again.
    pub(super) fn resumed(&mut self, tenant: &str, later: bool) {
        *self.running.entry(tenant.to_owned()).or_default() += 1;
        self.running_later += usize::from(later);
    }

    /// It has ended, or has given its slot back.
    pub(super) fn ended(&mut self, tenant: &str, later: bool) {
        self.running_later -= usize::from(later);
        if let Some(count) = self.running.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(tenant);
            }
        }
    }

    /// A message was moved from the lane to the second queue.
    pub(super) fn put_off(&mut self, tenant: &str, now: Instant) {
        self.put_off.retain(|_, at| now.duration_since(*at) < RECENT);
        self.put_off.insert(tenant.to_owned(), now);
        self.waits(tenant);
    }

    /// A message was put at the end of the second queue.
    pub(super) fn waits(&mut self, tenant: &str) {
        let waiting = self.waiting.entry(tenant.to_owned()).or_default();
        waiting.messages += 1;
        waiting.seen = self.looks;
    }

    /// A message was taken from the front of the second queue.
    pub(super) fn taken_later(&mut self, tenant: &str) {
        if let Some(waiting) = self.waiting.get_mut(tenant) {
            waiting.messages -= 1;
            waiting.seen = self.looks;
            if waiting.messages == 0 {
                self.waiting.remove(tenant);
            }
        }
    }

    /// The front of the second queue was looked through. Tenants that no look has met for long are forgotten: other workers
    /// take from that queue, too.
    pub(super) fn looked(&mut self) {
        self.looks += 1;
        self.waiting.retain(|_, waiting| waiting.seen + LOOKS > self.looks);
    }

    /// Nothing is in the second queue.
    pub(super) fn nothing_later(&mut self) {
        self.put_off.clear();
        self.waiting.clear();
    }

    /// All of the second queue was looked through, and nobody but this tenant is in it.
    pub(super) fn only_waits(&mut self, tenant: &str) {
        self.waiting.retain(|other, _| other == tenant);
    }

    /// What becomes of a message of this tenant at the front of the lane.
    pub(super) fn turn(&self, tenant: &str, view: View, now: Instant) -> Turn {
        let nobody_waits = view.behind == 0 && view.later == 0;
        if tenant.is_empty() || nobody_waits {
            return Turn::Now;
        }
        if self.was_put_off(tenant, now) || self.running(tenant) >= self.share(view.room) {
            return Turn::Later;
        }
        let alone = self.is_one_slot(view.room) && self.was_last(tenant);
        if alone && view.behind > 0 { Turn::AfterOthers } else { Turn::Now }
    }

    /// Whether the second queue comes before the lane: the last job came from the lane, and none of those that run came
    /// from the second queue. Else tenants that send one by one could keep those who wait there from ever being started.
    pub(super) fn is_turn_of_later(&self, view: View) -> bool {
        view.later > 0 && self.running_later == 0 && self.last.as_ref().is_some_and(|last| !last.later)
    }

    /// Whether a message of this tenant at the front of the second queue lets others of that queue go first.
    pub(super) fn gives_way(&self, tenant: &str, room: usize) -> bool {
        let above = |tenant: &str| {
            self.running(tenant) >= self.share(room) || (self.is_one_slot(room) && self.was_last(tenant))
        };
        above(tenant) && self.waiting.keys().any(|other| other != tenant && !above(other))
    }

    /// Whether this tenant's job was the last to be started.
    pub(super) fn was_last(&self, tenant: &str) -> bool {
        self.last.as_ref().is_some_and(|last| last.tenant == tenant)
    }

    /// Whether the lane has but one slot here, the others being taken by the other lane.
    pub(super) fn is_one_slot(&self, room: usize) -> bool {
        self.running.values().sum::<usize>() + room <= 1
    }

    fn was_put_off(&self, tenant: &str, now: Instant) -> bool {
        self.put_off.get(tenant).is_some_and(|at| now.duration_since(*at) < RECENT)
    }

    fn running(&self, tenant: &str) -> usize {
        self.running.get(tenant).copied().unwrap_or(0)
    }

    /// The equal part of the slots that this lane has here now, among the tenants that are known. There may always be one
    /// more whose message nobody has seen yet.
    fn share(&self, room: usize) -> usize {
        let slots = self.running.values().sum::<usize>() + room;
        let others = self.waiting.keys().filter(|tenant| !self.running.contains_key(*tenant)).count();
        (slots / (self.running.len() + others).max(2)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(behind: u32, later: u32, room: usize) -> View {
        View { behind, later, room }
    }

    fn at_work(tenants: &[&str]) -> Shares {
        let mut shares = Shares::default();
        tenants.iter().for_each(|tenant| shares.started(tenant, false));
        shares
    }

    #[test]
    fn who_is_alone_has_everything() {
        let shares = at_work(&["a", "a", "a"]);
        assert_eq!(shares.turn("a", view(0, 0, 1), Instant::now()), Turn::Now);
    }

    #[test]
    fn who_has_its_equal_part_is_put_off_while_others_may_wait() {
        let (shares, now) = (at_work(&["a", "a", "b"]), Instant::now());
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
        assert_eq!(shares.turn("a", view(0, 1, 1), now), Turn::Later);
        assert_eq!(shares.turn("b", view(1, 0, 1), now), Turn::Now);
        assert_eq!(shares.turn("c", view(1, 9, 1), now), Turn::Now);
        assert_eq!(shares.turn("", view(1, 9, 1), now), Turn::Now, "what names no tenant is answered at once");
    }

    #[test]
    fn who_was_put_off_is_put_off_until_that_is_some_time_ago() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        shares.put_off("a", now);
        assert_eq!(shares.turn("a", view(0, 1, 2), now), Turn::Later);
        assert_eq!(shares.turn("a", view(0, 1, 2), now + RECENT), Turn::Now);
        shares.nothing_later();
        assert_eq!(shares.turn("a", view(1, 0, 2), now), Turn::Now);
    }

    #[test]
    fn on_one_slot_whoever_was_last_lets_others_go_first() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        shares.ended("a", false);
        assert_eq!(shares.turn("a", view(5, 0, 1), now), Turn::AfterOthers);
        assert_eq!(shares.turn("b", view(5, 0, 1), now), Turn::Now);
        assert_eq!(shares.turn("a", view(0, 5, 1), now), Turn::Now, "who sends one by one is not put off");
        assert_eq!(shares.turn("a", view(5, 0, 2), now), Turn::Now, "there is another slot");
    }

    #[test]
    fn the_second_queue_has_its_turn_where_it_has_no_slot() {
        let mut shares = at_work(&["b"]);
        assert!(shares.is_turn_of_later(view(1, 1, 1)));
        assert!(!shares.is_turn_of_later(view(1, 0, 1)));
        shares.started("a", true);
        assert!(!shares.is_turn_of_later(view(1, 1, 1)));
        shares.started("b", false);
        assert!(!shares.is_turn_of_later(view(1, 1, 1)), "it has a slot");
        shares.ended("a", true);
        assert!(shares.is_turn_of_later(view(1, 1, 1)));
    }

    #[test]
    fn in_the_second_queue_who_has_its_part_gives_way_to_those_known_to_wait() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        shares.put_off("a", now);
        assert!(!shares.gives_way("a", 1), "nobody else waits");
        shares.put_off("b", now);
        assert!(shares.gives_way("a", 1));
        assert!(!shares.gives_way("b", 1));
        shares.started("b", true);
        assert!(!shares.gives_way("a", 0), "both have their part");
        shares.ended("b", true);
        shares.only_waits("a");
        assert!(!shares.gives_way("a", 1), "it was looked for and not found");
    }

    #[test]
    fn who_waits_without_a_slot_takes_nothing_of_its_tenants_share() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
        shares.ended("a", false);
        assert_eq!(shares.turn("a", view(1, 0, 2), now), Turn::Now);
        shares.resumed("a", false);
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
    }

    #[test]
    fn who_is_not_met_by_many_looks_is_forgotten() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        shares.put_off("a", now);
        shares.put_off("b", now);
        for _ in 1..LOOKS {
            shares.looked();
            shares.waits("a");
            assert!(shares.gives_way("a", 1));
        }
        shares.looked();
        assert!(!shares.gives_way("a", 1), "other workers have taken what b had there");
        assert!(shares.waiting.contains_key("a"));
    }
}
