//! Moves messages that can wait no longer to the queue where they belong now.
//!
//! The oldest messages are at the front of a queue. So a message at the front that belongs elsewhere says that those behind it may as
//! well: they are looked at one by one, up to a few that belong where they are. Nothing is looked at otherwise.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::super::jobs::Taken;
use super::super::role::Role;
use super::{AGE, Taker};
use crate::broker::{BrokerError, WorkQueue};

/// Most messages that are looked at before a free slot gets its next one.
const LOOKED_AT: usize = 200;
/// Messages that are passed and given back. The broker counts that as a delivery of each.
const PASSED: usize = 4;

impl<R: Role> Taker<'_, R> {
    /// The queue of the role where a message belongs now, where that is not the one that it waited in.
    fn elsewhere(&self, incoming: &Taken<R::Message>) -> Option<usize> {
        let lane = incoming.delivery.queue().index;
        Some(self.runner.role.belongs_in(&incoming.message, lane)).filter(|belongs| *belongs != lane)
    }

    /// Notes that a message was taken from the front: where it belonged elsewhere, [`Taker::hasten`] looks behind it.
    pub(super) fn note_front(&mut self, incoming: &Taken<R::Message>) {
        if self.elsewhere(incoming).is_some() && self.has_shares() {
            self.behind = Some(incoming.delivery.queue());
        }
    }

    /// Moves what belongs elsewhere, behind a message that did.
    pub(super) async fn hasten(&mut self) -> Result<(), BrokerError> {
        let Some(queue) = self.behind.take() else { return Ok(()) };
        let (mut moved, mut passed) = (Vec::new(), Vec::new());
        while passed.len() < PASSED && moved.len() + passed.len() < LOOKED_AT {
            let inlet = self.subscription.inlet(queue)?;
            // A queue that is watched has just been empty.
            let got = if inlet.is_watched() { None } else { inlet.get().await? };
            let Some((delivery, _behind)) = got else { break };
            let incoming = self.runner.read(delivery);
            if self.elsewhere(&incoming).is_some() { moved.push(incoming) } else { passed.push(incoming.delivery) }
        }
        self.move_elsewhere(moved).await;
        for delivery in passed {
            self.give_back(delivery).await;
        }
        Ok(())
    }

    /// Moves messages that belong elsewhere there. Gives back the others.
    pub(super) async fn move_elsewhere(&mut self, incoming: Vec<Taken<R::Message>>) -> Vec<Taken<R::Message>> {
        let (mut moved, mut others) = (BTreeMap::<(usize, usize), Vec<_>>::new(), Vec::new());
        for taken in incoming {
            match self.elsewhere(&taken) {
                Some(belongs) => {
                    let lane = taken.delivery.queue().index;
                    moved.entry((lane, belongs)).or_default().push(taken.delivery);
                }
                None => others.push(taken),
            }
        }
        for ((lane, belongs), deliveries) in moved {
            if let Err(error) = self.mover.move_all(WorkQueue::plain(belongs), &deliveries).await {
                tracing::warn!(%error, lane = self.label(lane), "messages cannot be moved to where they belong: they stay in their queue");
                self.without_shares.begin(Instant::now());
            } else {
                self.runner.settler.metrics.put_off(self.label(lane), AGE, deliveries.len());
            }
        }
        others
    }
}
