//! Takes one message per free slot ([`Intake::Pull`](super::Intake::Pull)). A *lane* here is a queue together with its
//! second queue. The lanes are tried in their order, except that a lane without a running job comes first, so that each
//! lane has a slot while all have messages ([`Slots::order`]).
//!
//! A message is taken only when there is a slot for it, so that none waits in the buffer of a busy worker while another
//! worker is idle. [`Shares`](super::shares::Shares) decides which tenants already have their share of the slots;
//! [`sift`] searches behind their messages for those of other tenants.

mod hand_over;
mod hasten;
mod pauses;
mod put_off;
mod sift;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::select;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::jobs::{Jobs, Runner, Taken};
use super::role::Role;
use super::settle::give_back;
use super::shares::{Turn, View};
use super::slots::{Slot, Slots};
use crate::broker::{BrokerError, Delivery, Inlet, Mover, Subscription, WorkQueue};

pub(super) use hand_over::hand_over;

use pauses::{Doubling, Pause};
use sift::WindowSize;

/// How often, and how many times, a role that cannot handle anything is asked again before it stops consuming.
const CHECK_AGAIN: Duration = Duration::from_millis(500);
const CHECKS: usize = 10;
/// How long shares are not enforced after messages could not be moved, because the broker is short of memory. Doubles
/// with each further failure, from the first value up to the second.
const WITHOUT_SHARES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(120)];
/// How long operations with the broker may take to end after the role is told to stop.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

/// The reason, in metrics, for postponing a message whose tenant already has its share.
pub const SHARE: &str = "share";
/// The reason, in metrics, for moving a message to the queue where it belongs by now.
pub const AGE: &str = "age";

/// Why consuming ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The process is told to stop.
    Shutdown,
    /// For now, because the role cannot handle anything.
    Unable,
}

/// The result of looking for a message in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A job was started.
    Job,
    /// Messages were postponed, and no job was started.
    Others,
    /// There was no message.
    Nothing,
}

/// Fills the slots of a role over one subscription.
pub(super) struct Taker<'a, R: Role> {
    pub(super) runner: &'a Arc<Runner<R>>,
    pub(super) slots: &'a Slots,
    pub(super) jobs: &'a Jobs,
    pub(super) subscription: &'a mut Subscription,
    pub(super) mover: Mover,
    /// Deliveries that arrived just when their queue stopped being watched.
    left_over: Vec<Delivery>,
    /// For each lane: how long its second queue is not looked at.
    pauses: Vec<Pause>,
    without_shares: Doubling,
    /// The lane of the job that was started last.
    last_lane: Option<usize>,
    /// How many messages are fetched together, for each lane's first and second queue.
    window_sizes: Vec<[WindowSize; 2]>,
    /// All queues that the role consumes.
    queues: Vec<WorkQueue>,
    /// A queue from whose front a message was taken that belonged elsewhere.
    behind: Option<WorkQueue>,
}

impl<'a, R: Role> Taker<'a, R> {
    pub(super) fn new(
        runner: &'a Arc<Runner<R>>,
        slots: &'a Slots,
        jobs: &'a Jobs,
        subscription: &'a mut Subscription,
        mover: Mover,
    ) -> Self {
        let [first, most] = WITHOUT_SHARES;
        let topology = &runner.settler.topology;
        let lanes = topology.specs().len();
        Self {
            runner,
            slots,
            jobs,
            subscription,
            mover,
            left_over: Vec::new(),
            pauses: (0..lanes).map(|_| Pause::default()).collect(),
            without_shares: Doubling::new(first, most),
            last_lane: None,
            window_sizes: vec![Default::default(); lanes],
            queues: topology.work_queues(),
            behind: None,
        }
    }

    /// Takes deliveries until told to stop.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, BrokerError> {
        let give_up = async {
            shutdown.cancelled().await;
            sleep(BROKER_TIMEOUT).await;
        };
        select! {
            end = self.turn(shutdown) => end,
            // A broker that does not respond must not shorten the grace period of running jobs.
            () = give_up => Ok(End::Shutdown),
        }
    }

    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<End, BrokerError> {
        loop {
            if shutdown.is_cancelled() {
                return self.ends(End::Shutdown).await;
            }
            if self.runner.role.is_unable() {
                return self.ends(End::Unable).await;
            }
            if self.runner.role.able().is_err() {
                // So that new messages go to processes that can handle them.
                self.unwatch().await?;
                self.ends(End::Unable).await?;
                match shutdown.run_until_cancelled(self.is_able()).await {
                    Some(false) => return Ok(End::Unable),
                    Some(true) | None => continue,
                }
            }
            self.unwatch_what_has_no_room().await?;
            self.hasten().await?;
            self.start_left_over().await;
            if let Some(delivery) = self.subscription.next().now_or_never() {
                self.arrived(delivery?).await;
                continue;
            }
            if self.take_any().await? {
                continue;
            }
            self.watch_what_has_room().await?;
            let now = Instant::now();
            let of_role = (0..self.pauses.len()).filter_map(|lane| self.runner.role.paused_until(lane));
            let paused = self.pauses.iter().filter_map(|pause| pause.now(now)).map(|(until, _)| until);
            let pause = paused.chain(of_role.filter(|until| *until > now)).min();
            select! {
                () = shutdown.cancelled() => {}
                () = self.slots.freed() => {}
                delivery = self.subscription.next() => self.arrived(delivery?).await,
                () = until(pause) => {}
            }
        }
    }

    /// Returns deliveries that were not begun to their queues.
    async fn ends(&mut self, end: End) -> Result<End, BrokerError> {
        for delivery in std::mem::take(&mut self.left_over) {
            self.give_back(delivery).await;
        }
        Ok(end)
    }

    /// Whether the role can handle messages again, after waiting a while for what it lacks.
    async fn is_able(&self) -> bool {
        for _ in 0..CHECKS {
            if self.runner.role.able().is_ok() {
                return true;
            }
            sleep(CHECK_AGAIN).await;
        }
        false
    }

    async fn unwatch(&mut self) -> Result<(), BrokerError> {
        for queue in self.queues.clone() {
            self.left_over.extend(self.subscription.inlet(queue)?.unwatch().await?);
        }
        Ok(())
    }

    async fn unwatch_what_has_no_room(&mut self) -> Result<(), BrokerError> {
        for queue in self.queues.clone() {
            if self.room(queue.index) == 0 || self.is_paused(queue) {
                self.left_over.extend(self.subscription.inlet(queue)?.unwatch().await?);
            }
        }
        Ok(())
    }

    async fn watch_what_has_room(&mut self) -> Result<(), BrokerError> {
        for queue in self.queues.clone() {
            if self.room(queue.index) > 0 && !self.is_paused(queue) {
                self.left_over.extend(self.subscription.inlet(queue)?.watch().await?);
            }
        }
        Ok(())
    }

    /// How many more messages of this lane could start now; 0 while the role has paused the lane.
    fn room(&self, lane: usize) -> usize {
        let until = self.runner.role.paused_until(lane).filter(|until| *until > Instant::now());
        if until.is_some() { 0 } else { self.slots.room(lane) }
    }

    async fn start_left_over(&mut self) {
        for delivery in std::mem::take(&mut self.left_over) {
            if self.room(delivery.queue().index) > 0 {
                self.arrived(delivery).await;
            } else {
                self.give_back(delivery).await;
            }
        }
    }

    async fn give_back(&mut self, delivery: Delivery) {
        give_back(&mut self.mover, &delivery, self.runner.delivery_limit).await;
    }

    /// Handles a message that arrived in a watched queue, which was empty before.
    async fn arrived(&mut self, delivery: Delivery) {
        if self.runner.role.able().is_err() {
            // The role may have become unable during the hours without a message.
            return self.give_back(delivery).await;
        }
        let WorkQueue { index: lane, later } = delivery.queue();
        let incoming = self.runner.read(delivery);
        if later {
            self.runner.tenants.shares(lane).taken_later(incoming.tenant());
        }
        if self.slots.has_max_parked(incoming.tenant()) && self.has_shares_for(&incoming.delivery) {
            self.pause(lane, incoming.tenant());
            return self.put_off(lane, vec![incoming], later).await;
        }
        match self.slots.take(lane) {
            Some(slot) => self.start(incoming, slot),
            // A parked job has just taken the slot.
            None => self.left_over.push(incoming.delivery),
        }
    }

    /// Takes one message for one free slot.
    async fn take_any(&mut self) -> Result<bool, BrokerError> {
        for lane in self.slots.order(self.last_lane) {
            // Watched queues deliver their next message without being asked.
            if self.subscription.inlets().iter().filter(|inlet| inlet.queue().index == lane).all(Inlet::is_watched) {
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

    async fn take(&mut self, lane: usize, slot: Slot) -> Result<bool, BrokerError> {
        let (plain, second) = (WorkQueue::plain(lane), WorkQueue::later(lane));
        let (waiting, later) = tokio::try_join!(self.subscription.count(plain), self.subscription.count(second))?;
        if later == 0 {
            self.runner.tenants.shares(lane).nothing_later();
        }
        let view = View { behind: waiting.saturating_sub(1), later, room: self.slots.room(lane) + 1 };
        let mut slot = Some(slot);
        let mut found = Found::Nothing;
        let [first, second] =
            if self.runner.tenants.shares(lane).is_turn_of_later(view) { [true, false] } else { [false, true] };
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

    async fn take_plain(&mut self, lane: usize, view: View, slot: &mut Option<Slot>) -> Result<Found, BrokerError> {
        let Some((delivery, behind)) = self.subscription.inlet(WorkQueue::plain(lane))?.get().await? else {
            return Ok(Found::Nothing);
        };
        let incoming = self.runner.read(delivery);
        match self.turn_of(&incoming, View { behind, ..view }) {
            Turn::Now => Ok(self.start_in(incoming, slot)),
            Turn::Later if behind == 0 => {
                self.put_off(lane, vec![incoming], false).await;
                Ok(Found::Others)
            }
            Turn::Later | Turn::AfterOthers => self.sift(lane, incoming, View { behind, ..view }, slot).await,
        }
    }

    /// What to do with a message at the front of a lane.
    fn turn_of(&self, incoming: &Taken<R::Message>, view: View) -> Turn {
        if !self.has_shares_for(&incoming.delivery) {
            return Turn::Now;
        }
        if self.slots.has_max_parked(incoming.tenant()) {
            return Turn::Later;
        }
        self.runner.tenants.shares(incoming.delivery.queue().index).turn(incoming.tenant(), view, Instant::now())
    }

    /// Starts a job in the slot that was taken for it.
    fn start_in(&mut self, incoming: Taken<R::Message>, slot: &mut Option<Slot>) -> Found {
        match slot.take() {
            Some(slot) => self.start(incoming, slot),
            None => self.left_over.push(incoming.delivery),
        }
        Found::Job
    }

    /// Starts a job if there is one more slot; otherwise the message returns to its queue.
    async fn start_or_give_back(&mut self, incoming: Taken<R::Message>, slot: &mut Option<Slot>) {
        match slot.take().or_else(|| self.slots.take(incoming.delivery.queue().index)) {
            Some(slot) => self.start(incoming, slot),
            None => self.give_back(incoming.delivery).await,
        }
    }

    fn start(&mut self, incoming: Taken<R::Message>, slot: Slot) {
        let lane = incoming.delivery.queue().index;
        self.note_front(&incoming);
        self.last_lane = Some(lane);
        self.pauses[lane].started(incoming.tenant());
        self.jobs.start(self.runner, incoming, slot, self.slots);
    }

    /// The name of a lane in logs and metrics.
    pub(super) fn label(&self, lane: usize) -> &str {
        &self.runner.settler.topology.spec(WorkQueue::plain(lane)).name
    }

    fn window_size(&mut self, queue: WorkQueue) -> &mut WindowSize {
        &mut self.window_sizes[queue.index][usize::from(queue.later)]
    }
}

/// Waits until this time; without one, for ever.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
