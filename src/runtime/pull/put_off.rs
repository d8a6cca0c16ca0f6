//! Postpones messages: moves them to the end of a lane's second queue, and pauses taking from that queue.

use tokio::time::Instant;

use super::super::jobs::Taken;
use super::super::role::Role;
use super::super::settle::is_half_used;
use super::{SHARE, Taker};
use crate::broker::{Delivery, WorkQueue};

impl<R: Role> Taker<'_, R> {
    /// Moves messages to the end of the lane's second queue, and those that belong elsewhere to the end of that queue. `again` says that
    /// they came from the second queue.
    pub(super) async fn put_off(&mut self, lane: usize, incoming: Vec<Taken<R::Message>>, again: bool) {
        let incoming = self.move_elsewhere(incoming).await;
        if incoming.is_empty() {
            return;
        }
        let (tenants, deliveries): (Vec<_>, Vec<_>) =
            incoming.into_iter().map(|incoming| (incoming.tenant().to_owned(), incoming.delivery)).unzip();
        if let Err(error) = self.mover.move_all(WorkQueue::later(lane), &deliveries).await {
            tracing::warn!(%error, lane = self.label(lane), "messages cannot be postponed: tenants have no shares for a while");
            return self.without_shares.begin(Instant::now());
        }
        self.without_shares.reset();
        self.runner.settler.metrics.put_off(self.label(lane), SHARE, tenants.len());
        let (mut shares, now) = (self.runner.tenants.shares(lane), Instant::now());
        for tenant in &tenants {
            if again { shares.waits(tenant) } else { shares.put_off(tenant, now) }
        }
    }

    /// Whether shares are enforced, which needs a broker that accepts moved messages.
    pub(super) fn has_shares(&self) -> bool {
        !self.without_shares.is_on(Instant::now())
    }

    /// Whether this message may be moved. A message that was returned often is started instead while moving fails,
    /// because each failed move counts towards the delivery limit of every message in the batch.
    pub(super) fn has_shares_for(&self, delivery: &Delivery) -> bool {
        let has_second = self.runner.settler.topology.spec(delivery.queue()).has_later;
        has_second
            && self.has_shares()
            && !(self.without_shares.has_begun() && is_half_used(delivery, self.runner.delivery_limit))
    }

    /// Does not look at a lane's second queue for a while, or until a job of this tenant continues.
    pub(super) fn pause(&mut self, lane: usize, tenant: &str) {
        self.pauses[lane].begin(tenant, Instant::now());
    }

    pub(super) fn is_paused(&self, queue: WorkQueue) -> bool {
        let pause = self.pauses[queue.index].now(Instant::now());
        queue.later && pause.is_some_and(|(_, tenant)| self.slots.has_max_parked(tenant))
    }
}
