//! Searches a lane for messages of tenants that have less than their share of the slots.
//!
//! Both searches are bounded, and both move whatever they pass to the end of the lane's second queue, a batch at a
//! time. Through the lane they go until somebody is found that can start, or the lane is empty: 2,000 messages of one
//! tenant take a fraction of a second, once. Through the second queue they go a window at a time, and only where this
//! worker knows of a tenant below its share in it: tenants that both have many messages there take turns every few
//! seconds.

use std::time::Duration;

use tokio::time::Instant;

use super::super::jobs::Taken;
use super::super::role::Role;
use super::super::shares::{Turn, View};
use super::super::slots::Slot;
use super::{Found, Taker};
use crate::broker::{BrokerError, Delivery, WorkQueue};

/// Most messages that are looked at together.
const WINDOW: u16 = 200;
/// As many are looked at together where nothing is known of their size.
const FIRST_WINDOW: u16 = 16;
/// A window is at most so many times as large as the one before.
const GROWTH: u16 = 4;
/// What the messages of a window may have in bytes, as far as those before them tell.
const WINDOW_BYTES: usize = 8 << 20;
/// Messages of the second queue that are passed for each job that is started.
const LOOK: u16 = 64;
/// How long the broker may take to show the next ones.
const PATIENCE: Duration = Duration::from_millis(50);
/// A look through the lane ends after so long, and the slot is used for what was put off.
const LOOK_TIME: Duration = Duration::from_millis(400);

/// How many messages of a queue are looked at together: their size is known only when they are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowSize(u16);

impl Default for WindowSize {
    fn default() -> Self {
        Self(FIRST_WINDOW)
    }
}

impl WindowSize {
    /// The size of the window after one of so many messages, the largest of which had so many bytes.
    fn after(messages: u16, largest_bytes: usize) -> Self {
        let fitting = u16::try_from(WINDOW_BYTES / largest_bytes.max(1)).unwrap_or(u16::MAX);
        Self(fitting.min(messages.saturating_mul(GROWTH)).clamp(1, WINDOW))
    }
}

/// Messages of a lane, sorted.
struct Sorted<M> {
    /// One a tenant that is below its share, in the order in which they came.
    startable: Vec<Taken<M>>,
    put_off: Vec<Taken<M>>,
}

impl<R: Role> Taker<'_, R> {
    /// Looks behind `front` for tenants below their share, and starts what it finds. All else that it passes is put off.
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
            if !is_more || is_enough || began.elapsed() > LOOK_TIME || !self.has_shares() {
                break;
            }
        }
        tracing::debug!(lane = self.label(lane), seen, startable = sorted.startable.len(), "looked behind the front");
        let Sorted { mut startable, .. } = sorted;
        if self.runner.tenants.shares(lane).is_one_slot(view.room) {
            // Stable: who was last is behind the others, and the others are as they came.
            startable.sort_by_key(|incoming| self.runner.tenants.shares(lane).was_last(incoming.tenant()));
        }
        let found = if startable.is_empty() { Found::Others } else { Found::Job };
        for incoming in startable {
            self.start_or_give_back(incoming, slot).await;
        }
        Ok(found)
    }

    /// Takes from the second queue: the message at its front, or one of those behind it whose tenant has less.
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
        let waits_enough = self.slots.waits_enough(front.tenant());
        let gives_way = behind > 0 && self.runner.tenants.shares(lane).gives_way(front.tenant(), view.room);
        if !self.has_shares_for(&front.delivery) || !(waits_enough || gives_way) {
            return Ok(self.start_in(front, slot));
        }
        let (batch, is_more) = if behind > 0 { self.window(queue, LOOK, behind).await? } else { (Vec::new(), false) };
        let mut passed = vec![front];
        let mut first = None;
        for incoming in batch.into_iter().map(|delivery| self.runner.read(delivery)).collect::<Vec<_>>() {
            self.runner.tenants.shares(lane).taken_later(incoming.tenant());
            let may = !self.slots.waits_enough(incoming.tenant())
                && incoming.tenant() != passed[0].tenant()
                && !self.runner.tenants.shares(lane).gives_way(incoming.tenant(), view.room);
            if first.is_none() && may { first = Some(incoming) } else { passed.push(incoming) }
        }
        self.runner.tenants.shares(lane).looked();
        if first.is_none() && !is_more {
            self.runner.tenants.shares(lane).only_waits(passed[0].tenant());
        }
        if first.is_none() && !waits_enough {
            first = Some(passed.remove(0));
        }
        let waiting = passed.first().map_or("", Taken::tenant).to_owned();
        self.put_off(lane, passed, true).await;
        match first {
            Some(incoming) => Ok(self.start_in(incoming, slot)),
            None => {
                // All of them wait for jobs that are parked.
                self.pause(lane, &waiting);
                Ok(Found::Nothing)
            }
        }
    }

    /// At most so many messages at the front of a queue, and whether there are more behind them.
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
            let more = window.gather(wanted - batch.len(), PATIENCE).await?;
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
        // Somebody may always wait behind it.
        let turn = self.turn_of(&incoming, View { behind: view.behind.max(1), ..view });
        let is_second = sorted.startable.iter().any(|other| other.tenant() == incoming.tenant());
        if turn == Turn::Later || (is_second && !incoming.tenant().is_empty()) {
            sorted.put_off.push(incoming);
        } else {
            sorted.startable.push(incoming);
        }
    }

    /// Whether one of them may start before all others that wait.
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
    fn a_window_holds_no_more_bytes_than_the_messages_before_let_expect() {
        let mut size = WindowSize::default();
        let mut sizes = vec![size.0];
        for _ in 0..3 {
            size = WindowSize::after(size.0, 600);
            sizes.push(size.0);
        }
        assert_eq!(sizes, [16, 64, 200, 200], "small messages");
        assert_eq!(WindowSize::after(200, 1 << 20), WindowSize(8));
        assert_eq!(WindowSize::after(16, 100 << 20), WindowSize(1), "never none");
        assert_eq!(WindowSize::after(1, 600), WindowSize(4), "and more again behind a large one");
    }
}
