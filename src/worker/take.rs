//! What a free slot takes next: audio, audio.later, bulk, bulk.later, whichever has a message first. Bulk comes first while
//! none of it is at work, so that each lane has a slot where both have messages.
//!
//! A message is taken when there is a slot for it, so that none waits in the buffer of a busy worker while another one is
//! idle. Who has its share already is decided by [`Shares`](super::shares::Shares); [`sift`](super::sift) looks behind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Jobs, Taken};
use super::metrics::PutOff;
use super::pauses::{Doubling, Pause};
use super::settle::put_back;
use super::shares::{Turn, View};
use super::sift::WindowSize;
use super::slots::{Slot, Slots};
use crate::broker::{BrokerError, Delivery, Lane, Mover, Subscription, WorkQueue};

/// How often, and how many times, a worker that can do no job looks whether it can again before it lets go of its lanes.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
const LOOKS: usize = 10;
/// How long tenants have no shares after messages could not be moved: a broker without memory takes none. Twice as long
/// each time that they cannot be moved again, up to the second.
const WITHOUT_SHARES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(120)];
/// What goes on with the broker when the worker is told to stop has so long to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Why no more deliveries are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// For good.
    Shutdown,
    /// For now: this worker cannot do what they ask for.
    Unable,
}

/// What came of a look into a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A job was started.
    Job,
    /// Messages were put off, and no job was started.
    Others,
    /// Nothing was there.
    Nothing,
}

/// Fills the slots of a worker from one subscription.
pub(super) struct Taker<'a> {
    pub(super) desk: &'a Arc<Desk>,
    pub(super) slots: &'a Slots,
    pub(super) jobs: &'a Jobs,
    pub(super) subscription: &'a mut Subscription,
    pub(super) mover: Mover,
    /// Delivered in the moment in which they were no longer wanted.
    in_hand: Vec<Delivery>,
    /// How long the second queue of each lane is left alone.
    pauses: [Pause; 2],
    without_shares: Doubling,
    /// The lane of the job that was started last.
    last_lane: Option<Lane>,
    /// How many messages of each queue are looked at together, in the order of [`WorkQueue::ALL`].
    pub(super) window_sizes: [WindowSize; 4],
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        desk: &'a Arc<Desk>,
        slots: &'a Slots,
        jobs: &'a Jobs,
        subscription: &'a mut Subscription,
        mover: Mover,
    ) -> Self {
        let [first, most] = WITHOUT_SHARES;
        Self {
            desk,
            slots,
            jobs,
            subscription,
            mover,
            in_hand: Vec::new(),
            pauses: Default::default(),
            without_shares: Doubling::new(first, most),
            last_lane: None,
            window_sizes: Default::default(),
        }
    }

    /// Takes deliveries until told to stop.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, BrokerError> {
        let give_up = async {
            shutdown.cancelled().await;
            sleep(LAST_ANSWERS).await;
        };
        select! {
            end = self.turn(shutdown) => end,
            // A broker that has fallen silent takes nothing off the grace period of the jobs.
            () = give_up => Ok(End::Shutdown),
        }
    }

    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<End, BrokerError> {
        loop {
            if shutdown.is_cancelled() {
                return self.ends(End::Shutdown).await;
            }
            if self.desk.ability.is_unable() {
                return self.ends(End::Unable).await;
            }
            if self.desk.pipeline.able().is_err() {
                // Whoever can do it is not to wait for this one.
                self.unwatch().await?;
                self.ends(End::Unable).await?;
                match shutdown.run_until_cancelled(self.is_able()).await {
                    Some(false) => return Ok(End::Unable),
                    Some(true) | None => continue,
                }
            }
            self.unwatch_what_has_no_room().await?;
            self.start_in_hand().await;
            if let Some(delivery) = self.subscription.next().now_or_never() {
                self.arrived(delivery?).await;
                continue;
            }
            if self.take_any().await? {
                continue;
            }
            self.watch_what_has_room().await?;
            let now = Instant::now();
            let full = self.desk.pipeline.workspace().full_until().filter(|until| *until > now);
            let paused = self.pauses.iter().filter_map(|pause| pause.now(now)).map(|(until, _)| until);
            let pause = paused.chain(full).min();
            select! {
                () = shutdown.cancelled() => {}
                () = self.slots.freed() => {}
                delivery = self.subscription.next() => self.arrived(delivery?).await,
                () = until(pause) => {}
            }
        }
    }

    /// Gives back what was not begun.
    async fn ends(&mut self, end: End) -> Result<End, BrokerError> {
        for delivery in std::mem::take(&mut self.in_hand) {
            self.give_back(delivery).await;
        }
        Ok(end)
    }

    /// Whether this worker could do a job, after a while in which a fork server may start again or a job make room.
    async fn is_able(&self) -> bool {
        for _ in 0..LOOKS {
            if self.desk.pipeline.able().is_ok() {
                return true;
            }
            sleep(LOOK_AGAIN).await;
        }
        false
    }

    async fn unwatch(&mut self) -> Result<(), BrokerError> {
        for queue in WorkQueue::ALL {
            self.in_hand.extend(self.subscription.inlet(queue).unwatch().await?);
        }
        Ok(())
    }

    async fn unwatch_what_has_no_room(&mut self) -> Result<(), BrokerError> {
        for queue in WorkQueue::ALL {
            if self.room(queue.lane) == 0 || self.is_paused(queue) {
                self.in_hand.extend(self.subscription.inlet(queue).unwatch().await?);
            }
        }
        Ok(())
    }

    async fn watch_what_has_room(&mut self) -> Result<(), BrokerError> {
        for queue in WorkQueue::ALL {
            if self.room(queue.lane) > 0 && !self.is_paused(queue) {
                self.in_hand.extend(self.subscription.inlet(queue).watch().await?);
            }
        }
        Ok(())
    }

    /// How many more jobs of this lane could start now. None of bulk for a while after scratch space was full: their files
    /// are the large ones.
    fn room(&self, lane: Lane) -> usize {
        let is_full = || self.desk.pipeline.workspace().full_until().is_some();
        if lane == Lane::Bulk && is_full() { 0 } else { self.slots.room(lane) }
    }

    async fn start_in_hand(&mut self) {
        for delivery in std::mem::take(&mut self.in_hand) {
            if self.room(delivery.lane()) > 0 {
                self.arrived(delivery).await;
            } else {
                self.give_back(delivery).await;
            }
        }
    }

    /// Gives back what was not begun. Before RabbitMQ 4.3 that counts towards the delivery limit of the message: where half
    /// of it is used up, it goes behind the others of its queue as a new message instead, which nobody has tried.
    async fn give_back(&mut self, delivery: Delivery) {
        if self.is_worn(&delivery) {
            if let Err(error) = self.mover.renew(&delivery).await {
                tracing::debug!(%error, "the message is put back and counted");
            }
        } else {
            put_back(&delivery).await;
        }
    }

    /// Whether half of its delivery limit is used up.
    fn is_worn(&self, delivery: &Delivery) -> bool {
        delivery.delivered_before() >= self.desk.delivery_limit / 2
    }

    /// A message came to a queue that was watched: nothing else waited there.
    async fn arrived(&mut self, delivery: Delivery) {
        if self.desk.pipeline.able().is_err() {
            // As it may have become in the hours for which nothing came.
            return self.give_back(delivery).await;
        }
        let (lane, later) = (delivery.lane(), delivery.queue().later);
        let incoming = Taken::read(delivery);
        if later {
            self.desk.shares(lane).taken_later(incoming.tenant());
        }
        if self.slots.waits_enough(incoming.tenant()) && self.has_shares_for(&incoming.delivery) {
            self.pause(lane, incoming.tenant());
            return self.put_off(lane, vec![incoming], later).await;
        }
        match self.slots.take(lane) {
            Some(slot) => self.start(incoming, slot),
            // A parked job has just taken it back.
            None => self.in_hand.push(incoming.delivery),
        }
    }

    /// One message for one free slot.
    async fn take_any(&mut self) -> Result<bool, BrokerError> {
        for lane in self.slots.order(self.last_lane) {
            let both = [WorkQueue::plain(lane), WorkQueue::later(lane)];
            // Whatever comes to queues that are watched comes by itself.
            if both.iter().all(|queue| self.subscription.inlet(*queue).is_watched()) {
                continue;
            }
            if self.room(lane) == 0 {
                continue;
            }
            let Some(slot) = self.slots.take(lane) else { continue };
            if self.take(lane, slot).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn take(&mut self, lane: Lane, slot: Slot) -> Result<bool, BrokerError> {
        let (waiting, later) = self.subscription.counts(lane).await?;
        if later == 0 {
            self.desk.shares(lane).nothing_later();
        }
        let view = View { behind: waiting.saturating_sub(1), later, room: self.slots.room(lane) + 1 };
        let mut slot = Some(slot);
        let mut found = Found::Nothing;
        let [first, second] = if self.desk.shares(lane).is_turn_of_later(view) { [true, false] } else { [false, true] };
        for from_later in [first, second] {
            let then = if !from_later && waiting > 0 {
                self.take_plain(lane, view, &mut slot).await?
            } else if from_later && (later > 0 || found == Found::Others) && !self.is_paused(WorkQueue::later(lane)) {
                self.take_later(lane, view, &mut slot).await?
            } else {
                Found::Nothing
            };
            match then {
                Found::Job => return Ok(true),
                Found::Others => found = then,
                Found::Nothing => {}
            }
        }
        Ok(found == Found::Others)
    }

    async fn take_plain(&mut self, lane: Lane, view: View, slot: &mut Option<Slot>) -> Result<Found, BrokerError> {
        let Some((delivery, behind)) = self.subscription.inlet(WorkQueue::plain(lane)).get().await? else {
            return Ok(Found::Nothing);
        };
        let incoming = Taken::read(delivery);
        match self.turn_of(&incoming, View { behind, ..view }) {
            Turn::Now => Ok(self.start_in(incoming, slot)),
            Turn::Later if behind == 0 => {
                self.put_off(lane, vec![incoming], false).await;
                Ok(Found::Others)
            }
            Turn::Later | Turn::AfterOthers => self.sift(lane, incoming, View { behind, ..view }, slot).await,
        }
    }

    /// What becomes of a message at the front of a lane.
    pub(super) fn turn_of(&self, incoming: &Taken, view: View) -> Turn {
        if !self.has_shares_for(&incoming.delivery) {
            return Turn::Now;
        }
        if self.slots.waits_enough(incoming.tenant()) {
            return Turn::Later;
        }
        self.desk.shares(incoming.delivery.lane()).turn(incoming.tenant(), view, Instant::now())
    }

    /// Starts a job in the slot that was taken for it.
    pub(super) fn start_in(&mut self, incoming: Taken, slot: &mut Option<Slot>) -> Found {
        match slot.take() {
            Some(slot) => self.start(incoming, slot),
            None => self.in_hand.push(incoming.delivery),
        }
        Found::Job
    }

    /// Starts a job, where there is one more slot.
    pub(super) async fn start_or_give_back(&mut self, incoming: Taken, slot: &mut Option<Slot>) {
        match slot.take().or_else(|| self.slots.take(incoming.delivery.lane())) {
            Some(slot) => self.start(incoming, slot),
            None => self.give_back(incoming.delivery).await,
        }
    }

    fn start(&mut self, incoming: Taken, slot: Slot) {
        let lane = incoming.delivery.lane();
        self.last_lane = Some(lane);
        self.pauses[WorkQueue::later(lane).index() / 2].started(incoming.tenant());
        self.jobs.start(Arc::clone(self.desk), incoming, slot, self.slots);
    }

    /// Moves messages to the end of the lane's second queue; `again` where they come from there.
    pub(super) async fn put_off(&mut self, lane: Lane, incoming: Vec<Taken>, again: bool) {
        if incoming.is_empty() {
            return;
        }
        let (tenants, deliveries): (Vec<_>, Vec<_>) =
            incoming.into_iter().map(|incoming| (incoming.tenant().to_owned(), incoming.delivery)).unzip();
        if let Err(error) = self.mover.move_all(WorkQueue::later(lane), &deliveries).await {
            tracing::warn!(%error, lane = lane.as_str(), "messages cannot be put off: for a while tenants have no shares");
            return self.without_shares.begin(Instant::now());
        }
        self.without_shares.reset();
        self.desk.settler.metrics.put_off(lane, PutOff::Share, tenants.len());
        let (mut shares, now) = (self.desk.shares(lane), Instant::now());
        for tenant in &tenants {
            if again { shares.waits(tenant) } else { shares.put_off(tenant, now) }
        }
    }

    /// Whether messages can be moved at the moment.
    pub(super) fn has_shares(&self) -> bool {
        !self.without_shares.is_on(Instant::now())
    }

    /// Whether this message may be moved. One that was given back often is started where those before it could not be moved:
    /// each window that cannot be moved counts towards the delivery limit of every message in it.
    pub(super) fn has_shares_for(&self, delivery: &Delivery) -> bool {
        self.has_shares() && !(self.without_shares.has_begun() && self.is_worn(delivery))
    }

    /// Leaves a lane's second queue alone for a while, or until a job of this tenant goes on.
    pub(super) fn pause(&mut self, lane: Lane, tenant: &str) {
        self.pauses[WorkQueue::later(lane).index() / 2].begin(tenant, Instant::now());
    }

    fn is_paused(&self, queue: WorkQueue) -> bool {
        let pause = self.pauses[queue.index() / 2].now(Instant::now());
        queue.later && pause.is_some_and(|(_, tenant)| self.slots.waits_enough(tenant))
    }
}

/// Waits until then, or for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
