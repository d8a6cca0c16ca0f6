//! A look at a subscription from beside it, for health and metrics: the consumers know nothing of it.

use std::sync::Arc;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use super::connection::Link;
use super::{BrokerError, Lane, Topology, WorkQueue};

/// Looks at the connection that a worker consumes over. Cheap to clone.
#[derive(Clone)]
pub struct Lookout(Arc<Post>);

struct Post {
    link: Arc<Link>,
    lanes: Vec<(Lane, Channel)>,
    /// Word for metrics, and the queue's name; several queues may share a word.
    queues: Vec<(&'static str, String)>,
    /// For counting: a queue that is not there closes the channel that it was asked for on.
    channel: Mutex<Option<Channel>>,
}

impl Lookout {
    pub(super) fn new(link: Arc<Link>, lanes: Vec<(Lane, Channel)>, topology: &Topology) -> Self {
        let work = |queue: &WorkQueue| (queue.lane.as_str(), topology.work_queue(*queue));
        let mut queues: Vec<_> = WorkQueue::ALL.iter().map(work).collect();
        queues.extend(topology.ladder().into_iter().map(|queue| ("retry", queue)));
        queues.push(("dead", topology.dead()));
        queues.push(("unrouted", topology.unrouted()));
        Self(Arc::new(Post { link, lanes, queues, channel: Mutex::default() }))
    }

    /// Lanes whose messages can no longer be acknowledged.
    #[must_use]
    pub fn closed_lanes(&self) -> Vec<Lane> {
        let closed = |channel: &Channel| !channel.status().connected();
        let mut lanes: Vec<_> =
            self.0.lanes.iter().filter(|(_, channel)| closed(channel)).map(|(lane, _)| *lane).collect();
        lanes.dedup();
        lanes
    }

    /// Messages that wait: in both queues of each lane, on the retry ladder, in the dead queue, in the unrouted queue. An
    /// answer to this is also the proof that the broker is there.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn depths(&self) -> Result<Vec<(&'static str, u32)>, BrokerError> {
        let Post { link, queues, .. } = &*self.0;
        // Put back only if all went well: after an error, or where this future is dropped, another one is opened.
        let mut kept = self.0.channel.lock().await;
        let channel = match kept.take() {
            Some(channel) if channel.status().connected() => channel,
            Some(_) | None => link.channel().await?,
        };
        let mut depths: Vec<(&'static str, u32)> = Vec::new();
        for (word, queue) in queues {
            let passive = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
            let declare = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
            let count = link.answer("counting messages", declare).await?.message_count();
            match depths.iter_mut().find(|(known, _)| known == word) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => depths.push((word, count)),
            }
        }
        *kept = Some(channel);
        Ok(depths)
    }
}

impl std::fmt::Debug for Lookout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookout").field("queues", &self.0.queues).finish_non_exhaustive()
    }
}
