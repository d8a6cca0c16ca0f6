//! Looking behind the message at the front: for tenants below their share.
//!
//! Both looks are bounded, and both move whatever they pass to the end of the lane's second queue, a batch at a time.
//! Through the lane they go until somebody is found that can start, or the lane is empty: 2,000 messages of one tenant take
//! a fraction of a second, once. Through the second queue they go a window at a time, and only where this worker knows of
//! a tenant below its share in it: tenants that both have many messages there take turns every few seconds.

use std::time::Duration;

use tokio::time::Instant;

use super::desk::Taken;
use super::shares::{Turn, View};
use super::slots::Slot;
use super::take::{Found, Taker};
use crate::broker::{BrokerError, Delivery, Lane, WorkQueue};

/// Messages that are looked at together.
const WINDOW: u16 = 200;
/// Messages of the second queue that are passed for each job that is started.
const LOOK: u16 = 64;
/// How long the broker may take to show the next ones.
const PATIENCE: Duration = Duration::from_millis(50);
/// A look through the lane ends after so long, and the slot is used for what was put off.
const LOOK_TIME: Duration = Duration::from_millis(400);

/// Messages of a lane, sorted.
#[derive(Default)]
struct Sorted {
    /// One a tenant that is below its share, in the order in which they came.
    startable: Vec<Taken>,
    put_off: Vec<Taken>,
}

impl Taker<'_> {
    /// Looks behind `front` for tenants below their share, and starts what it finds. All else that it passes is put off.
    pub(super) async fn sift(
        &mut self,
        lane: Lane,
        front: Taken,
        view: View,
        slot: &mut Option<Slot>,
    ) -> Result<Found, BrokerError> {
        let (began, mut seen) = (Instant::now(), 0);
        let mut sorted = Sorted::default();
        self.sort(front, view, &mut sorted);
        loop {
            let (batch, is_more) = self.window(WorkQueue::plain(lane), WINDOW, view.behind).await?;
            seen += batch.len();
            for delivery in batch {
                self.sort(Taken::read(delivery), view, &mut sorted);
            }
            let put_off = std::mem::take(&mut sorted.put_off);
            self.put_off(lane, put_off, false).await;
            let is_enough = self.has_first(lane, view, &sorted.startable);
            if !is_more || is_enough || began.elapsed() > LOOK_TIME || !self.has_shares() {
                break;
            }
        }
        tracing::debug!(lane = lane.as_str(), seen, startable = sorted.startable.len(), "looked behind the front");
        let Sorted { mut startable, .. } = sorted;
        if self.desk.shares(lane).is_one_slot(view.room) {
            // Stable: who was last is behind the others, and the others are as they came.
            startable.sort_by_key(|incoming| self.desk.shares(lane).was_last(incoming.tenant()));
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
        lane: Lane,
        view: View,
        slot: &mut Option<Slot>,
    ) -> Result<Found, BrokerError> {
        let queue = WorkQueue::later(lane);
        let Some((delivery, behind)) = self.subscription.inlet(queue).get().await? else {
            self.desk.shares(lane).nothing_later();
            return Ok(Found::Nothing);
        };
        let front = Taken::read(delivery);
        self.desk.shares(lane).taken_later(front.tenant());
        let waits_enough = self.slots.waits_enough(front.tenant());
        let gives_way = behind > 0 && self.desk.shares(lane).gives_way(front.tenant(), view.room);
        if !self.has_shares() || !(waits_enough || gives_way) {
            return Ok(self.start_in(front, slot));
        }
        let (batch, is_more) = if behind > 0 { self.window(queue, LOOK, behind).await? } else { (Vec::new(), false) };
        let mut passed = vec![front];
        let mut first = None;
        for incoming in batch.into_iter().map(Taken::read) {
            self.desk.shares(lane).taken_later(incoming.tenant());
            let may = !self.slots.waits_enough(incoming.tenant())
                && incoming.tenant() != passed[0].tenant()
                && !self.desk.shares(lane).gives_way(incoming.tenant(), view.room);
            if first.is_none() && may { first = Some(incoming) } else { passed.push(incoming) }
        }
        if first.is_none() && !is_more {
            self.desk.shares(lane).only_waits(passed[0].tenant());
        }
        if first.is_none() && !waits_enough {
            first = Some(passed.remove(0));
        }
        self.put_off(lane, passed, true).await;
        match first {
            Some(incoming) => Ok(self.start_in(incoming, slot)),
            None => {
                // All of them wait for jobs that are parked.
                self.pause(lane);
                Ok(Found::Nothing)
            }
        }
    }

    /// So many messages at the front of a queue, and whether there are more behind them.
    async fn window(
        &mut self,
        queue: WorkQueue,
        messages: u16,
        behind: u32,
    ) -> Result<(Vec<Delivery>, bool), BrokerError> {
        let wanted = usize::from(messages).min(usize::try_from(behind).unwrap_or(usize::MAX));
        let mut window = self.subscription.inlet(queue).look(messages).await?;
        let mut batch = Vec::new();
        while batch.len() < wanted {
            let more = window.gather(wanted - batch.len(), PATIENCE).await?;
            if more.is_empty() {
                break;
            }
            batch.extend(more);
        }
        batch.extend(window.close().await?);
        let is_more = batch.len() >= usize::from(messages);
        Ok((batch, is_more))
    }

    fn sort(&self, incoming: Taken, view: View, sorted: &mut Sorted) {
        // Somebody may always wait behind it.
        let turn = self.turn_of(&incoming, View { behind: view.behind.max(1), ..view });
        let is_second = sorted.startable.iter().any(|other| other.tenant() == incoming.tenant());
        if turn == Turn::Later || (is_second && !incoming.tenant().is_empty()) {
            sorted.put_off.push(incoming);
        } else {
            sorted.startable.push(incoming);
        }
    }

    /// Whether there is one among them that nobody else comes before.
    fn has_first(&self, lane: Lane, view: View, startable: &[Taken]) -> bool {
        let shares = self.desk.shares(lane);
        let is_one_slot = shares.is_one_slot(view.room);
        startable.iter().any(|incoming| !is_one_slot || !shares.was_last(incoming.tenant()))
    }
}
