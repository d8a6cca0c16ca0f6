//! Searches a lane for messages of tenants that use less than their share of the slots.
//!
//! Both searches are bounded. Both move the messages that they pass to the end of the lane's second queue, one batch at
//! a time. The search through the first queue ends when a message is found that may start, or when the queue is empty:
//! passing 2,000 messages of one tenant takes a fraction of a second, once. The second queue is searched one window at
//! a time, and only if this worker knows that a tenant below its share has messages there. So two tenants with many
//! messages there take turns every few seconds.

use std::time::Duration;

use tokio::time::Instant;

use super::super::jobs::Taken;
use super::super::role::Role;
use super::super::shares::{Turn, View};
use super::super::slots::Slot;
use super::{Found, Taker};
use crate::broker::{BrokerError, Delivery, WorkQueue};

/// Most messages that are fetched together.
const WINDOW: u16 = 200;
/// How many messages are fetched together while nothing is known about their size.
const FIRST_WINDOW: u16 = 16;
/// A window has at most this many times as many messages as the one before.
const GROWTH: u16 = 4;
/// How many bytes the messages of a window should have, judging by the size of those before.
const WINDOW_BYTES: usize = 8 << 20;
/// How many messages of the second queue may be passed for each job that is started.
const LATER_WINDOW: u16 = 64;
/// How long to wait for the broker to deliver more of a window.
const DELIVERY_WAIT: Duration = Duration::from_millis(50);
/// The search through the first queue ends after this time, and the slot goes to one of the postponed messages.
const SEARCH_TIME: Duration = Duration::from_millis(400);

/// How many messages of a queue are fetched together. Their size is known only after they have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowSize(u16);

impl Default for WindowSize {
    fn default() -> Self {
        Self(FIRST_WINDOW)
    }
}

impl WindowSize {
    /// The size of the window after one with this many messages, the largest of which had this many bytes.
    fn after(messages: u16, largest_bytes: usize) -> Self {
        let fitting = u16::try_from(WINDOW_BYTES / largest_bytes.max(1)).unwrap_or(u16::MAX);
        Self(fitting.min(messages.saturating_mul(GROWTH)).clamp(1, WINDOW))
    }
}

/// Messages of a lane, sorted by what happens to them.
struct Sorted<M> {
    /// One message for each tenant below its share, in the order of arrival.
    startable: Vec<Taken<M>>,
    put_off: Vec<Taken<M>>,
}

impl<R: Role> Taker<'_, R> {
    /// Searches behind `front` for messages of tenants below their share, and starts those. All others that it passes
    /// are postponed.
    pub(super) async fn sift(
        &mut self,
        lane: usize,
        front: Taken<R::Message>,
        view: View,
        slot: &mut Option<Slot>,
    ) -> Result<Found, BrokerError> {
        let (began, mut seen) = (Instant::now(), 0);
        let mut sorted = Sorted { startable: Vec::new(), put_off: Vec::new() };
        self.sort(front, view, &mut sorted);
        loop {
            let (batch, is_more) = self.window(WorkQueue::plain(lane), WINDOW, view.behind).await?;
            seen += batch.len();
            for delivery in batch {
                self.sort(self.runner.read(delivery), view, &mut sorted);
            }
            let put_off = std::mem::take(&mut sorted.put_off);
            self.put_off(lane, put_off, false).await;
            let is_enough = self.has_first(lane, view, &sorted.startable);
            if !is_more || is_enough || began.elapsed() > SEARCH_TIME || !self.has_shares() {
                break;
            }
        }
        tracing::debug!(
            lane = self.label(lane),
            seen,
            startable = sorted.startable.len(),
            "searched a lane for messages of other tenants"
        );
        let Sorted { mut startable, .. } = sorted;
        if self.runner.tenants.shares(lane).is_one_slot(view.room) {
            // The sort is stable: messages of the last tenant go to the end, the others keep their order.
            startable.sort_by_key(|incoming| self.runner.tenants.shares(lane).was_last(incoming.tenant()));
        }
        let found = if startable.is_empty() { Found::Others } else { Found::Job };
        for incoming in startable {
            self.start_or_give_back(incoming, slot).await;
        }
        Ok(found)
    }

    /// Takes a message from the second queue: the one at its front, or one behind it whose tenant uses less.
    pub(super) async fn take_later(
        &mut self,
        lane: usize,
        view: View,
        slot: &mut Option<Slot>,
    ) -> Result<Found, BrokerError> {
        let queue = WorkQueue::later(lane);
        let Some((delivery, behind)) = self.subscription.inlet(queue)?.get().await? else {
            self.runner.tenants.shares(lane).nothing_later();
            return Ok(Found::Nothing);
        };
        let front = self.runner.read(delivery);
        self.runner.tenants.shares(lane).taken_later(front.tenant());
        let has_max_parked = self.slots.has_max_parked(front.tenant());
        let gives_way = behind > 0 && self.runner.tenants.shares(lane).gives_way(front.tenant(), view.room);
        if !self.has_shares_for(&front.delivery) || !(has_max_parked || gives_way) {
            return Ok(self.start_in(front, slot));
        }
        let (batch, is_more) =
            if behind > 0 { self.window(queue, LATER_WINDOW, behind).await? } else { (Vec::new(), false) };
        let mut passed = vec![front];
        let mut first = None;
        for incoming in batch.into_iter().map(|delivery| self.runner.read(delivery)).collect::<Vec<_>>() {
            self.runner.tenants.shares(lane).taken_later(incoming.tenant());
            let may = !self.slots.has_max_parked(incoming.tenant())
                && incoming.tenant() != passed[0].tenant()
                && !self.runner.tenants.shares(lane).gives_way(incoming.tenant(), view.room);
            if first.is_none() && may { first = Some(incoming) } else { passed.push(incoming) }
        }
        self.runner.tenants.shares(lane).looked();
        if first.is_none() && !is_more {
            self.runner.tenants.shares(lane).only_waits(passed[0].tenant());
        }
        if first.is_none() && !has_max_parked {
            first = Some(passed.remove(0));
        }
        let waiting = passed.first().map_or("", Taken::tenant).to_owned();
        self.put_off(lane, passed, true).await;
        match first {
            Some(incoming) => Ok(self.start_in(incoming, slot)),
            None => {
                // The tenants of all these messages have too many parked jobs.
                self.pause(lane, &waiting);
                Ok(Found::Nothing)
            }
        }
    }

    /// Fetches up to this many messages from the front of a queue. Also returns whether there are more.
    async fn window(
        &mut self,
        queue: WorkQueue,
        messages: u16,
        behind: u32,
    ) -> Result<(Vec<Delivery>, bool), BrokerError> {
        let messages = messages.min(self.window_size(queue).0);
        let wanted = usize::from(messages).min(usize::try_from(behind).unwrap_or(usize::MAX));
        let mut window = self.subscription.inlet(queue)?.look(messages).await?;
        let mut batch = Vec::new();
        while batch.len() < wanted {
            let more = window.gather(wanted - batch.len(), DELIVERY_WAIT).await?;
            if more.is_empty() {
                break;
            }
            batch.extend(more);
        }
        batch.extend(window.close().await?);
        if let Some(largest) = batch.iter().map(|delivery| delivery.body().len()).max() {
            *self.window_size(queue) = WindowSize::after(messages, largest);
        }
        let is_more = batch.len() >= usize::from(messages);
        Ok((batch, is_more))
    }

    fn sort(&self, incoming: Taken<R::Message>, view: View, sorted: &mut Sorted<R::Message>) {
        // Postpone it even if nothing seems to be behind it: another message may arrive at any time.
        let turn = self.turn_of(&incoming, View { behind: view.behind.max(1), ..view });
        let is_second = sorted.startable.iter().any(|other| other.tenant() == incoming.tenant());
        if turn == Turn::Later || (is_second && !incoming.tenant().is_empty()) {
            sorted.put_off.push(incoming);
        } else {
            sorted.startable.push(incoming);
        }
    }

    /// Whether one of these messages may start before any other one that waits.
    fn has_first(&self, lane: usize, view: View, startable: &[Taken<R::Message>]) -> bool {
        let shares = self.runner.tenants.shares(lane);
        let is_one_slot = shares.is_one_slot(view.room);
        startable.iter().any(|incoming| !is_one_slot || !shares.was_last(incoming.tenant()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_window_follows_the_size_of_earlier_messages() {
        let mut size = WindowSize::default();
        let mut sizes = vec![size.0];
        for _ in 0..3 {
            size = WindowSize::after(size.0, 600);
            sizes.push(size.0);
        }
        assert_eq!(sizes, [16, 64, 200, 200], "small messages");
        assert_eq!(WindowSize::after(200, 1 << 20), WindowSize(8));
        assert_eq!(WindowSize::after(16, 100 << 20), WindowSize(1), "at least one message");
        assert_eq!(WindowSize::after(1, 600), WindowSize(4), "it grows again after a large message");
    }
}
