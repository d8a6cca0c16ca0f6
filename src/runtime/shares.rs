//! Decides which tenant's message is started next. It has no queue and no clock of its own, so that it can be tested
//! alone.
//!
//! The tenant of a message is only in its body, so a queue cannot be asked whose messages wait in it. Instead, while
//! messages of other tenants may wait, messages of a tenant that already has its share are moved into the lane's second
//! queue. That keeps the first queue short, and the tenants below their share, whose messages are left in it, come
//! first.
//!
//! A tenant is above its share if it runs as many jobs in this process as its equal part of the slots, or if one of its
//! messages was postponed a moment ago. In a lane with only one slot here, the tenant whose job was started last is
//! above its share until the others have been looked at.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// A tenant with a message postponed this recently probably has more of them.
const RECENT: Duration = Duration::from_secs(1);

/// After this many searches of the second queue that found no message of a tenant, other workers have probably taken
/// them all.
const SEARCHES: u64 = 16;

/// What waits in a lane, and what is free for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Messages behind the one that is decided about.
    pub(super) behind: u32,
    /// Messages in the second queue.
    pub(super) later: u32,
    /// How many more jobs could start now.
    pub(super) room: usize,
}

/// What to do with a message at the front of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Start it.
    Now,
    /// Start it, unless a message of another tenant waits behind it.
    AfterOthers,
    /// Move it to the second queue.
    Later,
}

/// What this process knows about the tenants of one lane. The tenant is empty for messages that do not name one.
#[derive(Debug, Default)]
pub(super) struct Shares {
    running: HashMap<String, usize>,
    running_later: usize,
    last: Option<Last>,
    put_off: HashMap<String, Instant>,
    /// The messages that this worker has put into the second queue and not seen since.
    waiting: HashMap<String, Waiting>,
    looks: u64,
}

/// A tenant's messages in the second queue.
#[derive(Debug, Default)]
struct Waiting {
    messages: usize,
    /// The number of the last search that found one of them.
    seen: u64,
}

#[derive(Debug)]
struct Last {
    tenant: String,
    later: bool,
}

impl Shares {
    /// A job of this tenant has started; `later` says that its message came from the second queue.
    pub(super) fn started(&mut self, tenant: &str, later: bool) {
        self.resumed(tenant, later);
        self.last = Some(Last { tenant: tenant.to_owned(), later });
    }

    /// A job that had given its slot back has a slot again.
    pub(super) fn resumed(&mut self, tenant: &str, later: bool) {
        *self.running.entry(tenant.to_owned()).or_default() += 1;
        self.running_later += usize::from(later);
    }

    /// A job has ended or has given its slot back.
    pub(super) fn ended(&mut self, tenant: &str, later: bool) {
        self.running_later -= usize::from(later);
        if let Some(count) = self.running.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(tenant);
            }
        }
    }

    /// A message was moved from the first queue to the second one.
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

    /// The front of the second queue was searched. Tenants that many searches have not found there are forgotten: other
    /// workers take messages from that queue too.
    pub(super) fn looked(&mut self) {
        self.looks += 1;
        self.waiting.retain(|_, waiting| waiting.seen + SEARCHES > self.looks);
    }

    /// The second queue is empty.
    pub(super) fn nothing_later(&mut self) {
        self.put_off.clear();
        self.waiting.clear();
    }

    /// The whole second queue was searched, and only this tenant has messages in it.
    pub(super) fn only_waits(&mut self, tenant: &str) {
        self.waiting.retain(|other, _| other == tenant);
    }

    /// What to do with a message of this tenant at the front of the lane.
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

    /// Whether the second queue is looked at before the first one: the last job came from the first queue, and no
    /// running job came from the second. Otherwise tenants that send one message after another could keep the messages
    /// there waiting for ever.
    pub(super) fn is_turn_of_later(&self, view: View) -> bool {
        view.later > 0 && self.running_later == 0 && self.last.as_ref().is_some_and(|last| !last.later)
    }

    /// Whether a message of this tenant at the front of the second queue lets other tenants' messages of that queue go
    /// first.
    pub(super) fn gives_way(&self, tenant: &str, room: usize) -> bool {
        let above = |tenant: &str| {
            self.running(tenant) >= self.share(room) || (self.is_one_slot(room) && self.was_last(tenant))
        };
        above(tenant) && self.waiting.keys().any(|other| other != tenant && !above(other))
    }

    /// Whether the job that was started last was this tenant's.
    pub(super) fn was_last(&self, tenant: &str) -> bool {
        self.last.as_ref().is_some_and(|last| last.tenant == tenant)
    }

    /// Whether the lane has only one slot here, because other lanes use the rest.
    pub(super) fn is_one_slot(&self, room: usize) -> bool {
        self.running.values().sum::<usize>() + room <= 1
    }

    fn was_put_off(&self, tenant: &str, now: Instant) -> bool {
        self.put_off.get(tenant).is_some_and(|at| now.duration_since(*at) < RECENT)
    }

    fn running(&self, tenant: &str) -> usize {
        self.running.get(tenant).copied().unwrap_or(0)
    }

    /// The equal part of the lane's slots for each known tenant. It counts at least two tenants, because a message of
    /// an unknown one may arrive at any time.
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
    fn a_tenant_that_is_alone_may_use_all_slots() {
        let shares = at_work(&["a", "a", "a"]);
        assert_eq!(shares.turn("a", view(0, 0, 1), Instant::now()), Turn::Now);
    }

    #[test]
    fn a_tenant_with_its_equal_part_is_postponed_while_others_may_wait() {
        let (shares, now) = (at_work(&["a", "a", "b"]), Instant::now());
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
        assert_eq!(shares.turn("a", view(0, 1, 1), now), Turn::Later);
        assert_eq!(shares.turn("b", view(1, 0, 1), now), Turn::Now);
        assert_eq!(shares.turn("c", view(1, 9, 1), now), Turn::Now);
        assert_eq!(shares.turn("", view(1, 9, 1), now), Turn::Now, "a message without a tenant is handled at once");
    }

    #[test]
    fn a_tenant_with_a_postponed_message_is_postponed_for_a_while() {
        let (mut shares, now) = (Shares::default(), Instant::now());
        shares.put_off("a", now);
        assert_eq!(shares.turn("a", view(0, 1, 2), now), Turn::Later);
        assert_eq!(shares.turn("a", view(0, 1, 2), now + RECENT), Turn::Now);
        shares.nothing_later();
        assert_eq!(shares.turn("a", view(1, 0, 2), now), Turn::Now);
    }

    #[test]
    fn with_one_slot_the_tenant_that_was_last_lets_others_go_first() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        shares.ended("a", false);
        assert_eq!(shares.turn("a", view(5, 0, 1), now), Turn::AfterOthers);
        assert_eq!(shares.turn("b", view(5, 0, 1), now), Turn::Now);
        assert_eq!(shares.turn("a", view(0, 5, 1), now), Turn::Now, "a tenant that sends one by one is not postponed");
        assert_eq!(shares.turn("a", view(5, 0, 2), now), Turn::Now, "there is another slot");
    }

    #[test]
    fn the_second_queue_has_its_turn_while_it_has_no_slot() {
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
    fn in_the_second_queue_a_tenant_with_its_part_gives_way_to_others_known_to_wait() {
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
        assert!(!shares.gives_way("a", 1), "a search has not found it");
    }

    #[test]
    fn a_parked_message_takes_nothing_of_its_tenants_share() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
        shares.ended("a", false);
        assert_eq!(shares.turn("a", view(1, 0, 2), now), Turn::Now);
        shares.resumed("a", false);
        assert_eq!(shares.turn("a", view(1, 0, 1), now), Turn::Later);
    }

    #[test]
    fn a_tenant_that_many_searches_do_not_find_is_forgotten() {
        let (mut shares, now) = (at_work(&["a"]), Instant::now());
        shares.put_off("a", now);
        shares.put_off("b", now);
        for _ in 1..SEARCHES {
            shares.looked();
            shares.waits("a");
            assert!(shares.gives_way("a", 1));
        }
        shares.looked();
        assert!(!shares.gives_way("a", 1), "other workers have taken what b had there");
        assert!(shares.waiting.contains_key("a"));
    }
}
