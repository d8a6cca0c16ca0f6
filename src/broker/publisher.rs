//! Publishes messages so that none is lost: mandatory, persistent, confirmed.
//!
//! A plain AMQP publish gets no answer. In *confirm* mode RabbitMQ answers each message once the queues have it on
//! disk. *mandatory* makes it return a message that no queue is bound for, which it would otherwise drop and confirm
//! all the same. So only a message that was confirmed and not returned has arrived.
//!
//! When the connection is lost before the answer, it is unknown whether the message arrived. It is published again, and
//! receivers recognise the second copy by its id. While RabbitMQ is short of memory or disk it stops reading from
//! connections that publish; the publisher waits until it reads again, and the time limit for an answer does not run
//! meanwhile.
//!
//! A message about a delivery is published only while that delivery's channel is open. Once it is closed, RabbitMQ
//! gives the delivery to another consumer, and that consumer publishes.

use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Backoff, Connection};
use super::{BrokerError, Message, Topology};
use crate::config::Broker;

/// Channels that stay open while nothing is published: more than a worker has slots.
const MAX_IDLE_CHANNELS: usize = 64;
/// How often the publisher checks whether a connection is still blocked.
const BLOCKED_POLL: Duration = Duration::from_millis(100);
/// How often a message is published again when a queue refuses it (its leader changes, it is full) before the refusal
/// is returned.
const MAX_NOT_TAKEN: u32 = 3;

/// Publishes over a connection of its own, which it opens again when needed. Cheap to clone.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    config: Broker,
    topology: Topology,
    session: Mutex<Option<Arc<Session>>>,
}

struct Session {
    connection: Connection,
    idle: SyncMutex<Vec<Channel>>,
}

impl Publisher {
    /// Connects when there is something to publish.
    #[must_use]
    pub fn new(config: &Broker, topology: Topology) -> Self {
        Self(Arc::new(Shared { config: config.clone(), topology, session: Mutex::new(None) }))
    }

    /// The topology that is declared on each connection.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.0.topology
    }

    /// Connects now and declares the topology.
    ///
    /// # Errors
    /// [`BrokerError`]
    pub async fn connect(&self) -> Result<(), BrokerError> {
        self.session().await.map(drop)
    }

    /// Whether a connection is open that the next publish will use. False also where that cannot be said at once.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.has_session(|session| session.connection.is_open())
    }

    /// Makes the next publish open another connection. Publishes that are under way keep the present one. Does nothing
    /// while a connection is being opened.
    pub fn reconnect(&self) {
        if let Ok(mut session) = self.0.session.try_lock() {
            *session = None;
        }
    }

    /// Whether the broker has stopped reading because it is short of memory or disk.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.has_session(|session| session.connection.is_blocked())
    }

    /// Whether there is a session of which this holds. False while another caller has it in hand.
    fn has_session(&self, holds: impl FnOnce(&Session) -> bool) -> bool {
        let session = self.0.session.try_lock();
        session.is_ok_and(|session| session.as_deref().is_some_and(holds))
    }

    /// Publishes until the broker has answered, however long that takes: through lost connections and restarts, and
    /// while the broker is short of memory or disk. If a confirm was lost, the message arrives twice. Dropping the
    /// future gives up.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] if no queue is bound, [`BrokerError::NotTaken`] if a queue refuses the message.
    pub async fn deliver(&self, message: &Message) -> Result<(), BrokerError> {
        self.deliver_while(message, || true).await
    }

    /// As [`Publisher::deliver`], but gives up when `wanted` returns false. It is called before each attempt, again
    /// when a connection is open, and repeatedly while that connection is blocked.
    ///
    /// # Errors
    /// Also [`BrokerError::Unwanted`].
    pub async fn deliver_while(
        &self,
        message: &Message,
        wanted: impl Fn() -> bool + Send + Sync,
    ) -> Result<(), BrokerError> {
        let mut backoff = Backoff::new(&self.0.config);
        let mut not_taken = 0;
        while wanted() {
            let error = match self.attempt(message, &wanted).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            not_taken += u32::from(matches!(error, BrokerError::NotTaken { .. }));
            if is_final(&error, not_taken, message.is_for_own_queue(&self.0.topology)) {
                return Err(error);
            }
            tracing::warn!(%error, "a message was not published: publishing again");
            backoff.pause().await;
        }
        Err(BrokerError::Unwanted)
    }

    /// Publishes once and waits for the confirm; without a time limit while the connection is blocked.
    ///
    /// # Errors
    /// [`BrokerError`]. After a timeout or a lost connection the message may have arrived all the same.
    pub async fn publish(&self, message: &Message) -> Result<(), BrokerError> {
        self.attempt(message, &|| true).await
    }

    async fn attempt(&self, message: &Message, wanted: &(impl Fn() -> bool + Sync)) -> Result<(), BrokerError> {
        let session = self.session().await?;
        let result = session.publish(message, Duration::from_secs(self.0.config.confirm_timeout_s), wanted).await;
        let ours = message.is_for_own_queue(&self.0.topology);
        if result.as_ref().is_err_and(|error| *error != BrokerError::Unwanted && (!error.is_answer() || ours)) {
            self.discard(&session).await;
        }
        result
    }

    async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        let mut current = self.0.session.lock().await;
        if let Some(session) = current.as_ref().filter(|session| session.connection.is_open()) {
            return Ok(Arc::clone(session));
        }
        *current = None;
        // In a box: every publish would otherwise carry what only a new connection needs.
        let session = Arc::new(Box::pin(self.open()).await?);
        *current = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn open(&self) -> Result<Session, BrokerError> {
        let connection = Connection::open(&self.0.config, "publisher").await?;
        self.0.topology.declare(&connection).await?;
        Ok(Session { connection, idle: SyncMutex::new(Vec::new()) })
    }

    /// Drops the connection. The next publish opens another one, and declares again what may have been deleted.
    async fn discard(&self, session: &Arc<Session>) {
        let mut current = self.0.session.lock().await;
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, session)) {
            *current = None;
        }
    }
}

/// Whether publishing ends with this error. `not_taken` counts the refusals by queues so far, this one included. The
/// queues of our own topology are declared again with the next connection, so publishing to them continues.
const fn is_final(error: &BrokerError, not_taken: u32, for_own_queue: bool) -> bool {
    match error {
        BrokerError::Config(_) | BrokerError::Unwanted => true,
        BrokerError::Unroutable { .. } => !for_own_queue,
        BrokerError::NotTaken { .. } => !for_own_queue && not_taken >= MAX_NOT_TAKEN,
        BrokerError::Refused { .. } | BrokerError::Unavailable { .. } | BrokerError::Timeout { .. } => false,
    }
}

/// Whether the log already says that a message waits for a blocked connection.
#[derive(Default)]
struct Blocked {
    is_logged: bool,
}

impl Blocked {
    fn log_once(&mut self) {
        if !self.is_logged {
            tracing::warn!(
                "RabbitMQ is short of memory or disk and accepts no messages: publishing waits until it does"
            );
        }
        self.is_logged = true;
    }
}

impl Session {
    async fn publish(
        &self,
        message: &Message,
        confirm_timeout: Duration,
        wanted: &(impl Fn() -> bool + Sync),
    ) -> Result<(), BrokerError> {
        let mut blocked = Blocked::default();
        // lapin buffers a message for a blocked connection and sends it later, even after the caller has given up.
        while self.is_blocked() && wanted() {
            blocked.log_once();
            sleep(BLOCKED_POLL).await;
        }
        let channel = self.channel().await?;
        // During the wait RabbitMQ may have given the delivery that the message is about to another consumer.
        if !wanted() {
            self.keep(channel);
            return Err(BrokerError::Unwanted);
        }
        let confirmation = self.confirmed(&channel, message, confirm_timeout, wanted, blocked).await?;
        let routing_key = message.routing_key.clone();
        let result = match confirmation {
            Confirmation::Ack(None) => Ok(()),
            // RabbitMQ also confirms a message that it has returned.
            Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Err(BrokerError::Unroutable { routing_key }),
            Confirmation::Nack(None) => Err(BrokerError::NotTaken { routing_key }),
            Confirmation::NotRequested => {
                Err(BrokerError::unavailable("publishing", "the channel is not in confirm mode"))
            }
        };
        self.keep(channel);
        result
    }

    /// Publishes and waits for the confirm. Time in which the connection is blocked does not count: the message is
    /// already in the socket, and publishing again would only add another one behind it. When the message is no longer
    /// wanted, the wait ends and the channel is closed.
    async fn confirmed(
        &self,
        channel: &Channel,
        message: &Message,
        confirm_timeout: Duration,
        wanted: &(impl Fn() -> bool + Sync),
        mut blocked: Blocked,
    ) -> Result<Confirmation, BrokerError> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let publish = channel.basic_publish(
            message.exchange.as_str().into(),
            message.routing_key.as_str().into(),
            options,
            &message.body,
            message.properties.clone(),
        );
        let mut confirm = self.connection.answer("publishing", publish).await?;
        let mut deadline = Instant::now() + confirm_timeout;
        loop {
            match timeout(BLOCKED_POLL, &mut confirm).await {
                Ok(result) => return result.map_err(BrokerError::lapin("waiting for a confirm")),
                Err(_elapsed) if self.is_blocked() => {
                    if !wanted() {
                        return Err(BrokerError::Unwanted);
                    }
                    blocked.log_once();
                    deadline = Instant::now() + confirm_timeout;
                }
                Err(_elapsed) if Instant::now() < deadline => {}
                Err(_elapsed) => return Err(BrokerError::Timeout { action: "waiting for a confirm" }),
            }
        }
    }

    fn is_blocked(&self) -> bool {
        self.connection.is_blocked() && self.connection.is_open()
    }

    /// A channel for one message at a time. lapin hands a returned message to the next confirm on the channel, so two
    /// messages in flight on it could receive each other's answer.
    async fn channel(&self) -> Result<Channel, BrokerError> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(channel) if channel.status().connected() => return Ok(channel),
                Some(_closed) => {}
                None => break,
            }
        }
        Box::pin(self.open_channel()).await
    }

    async fn open_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.connection.channel().await?;
        self.connection.answer("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }

    fn keep(&self, channel: Channel) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_CHANNELS {
            idle.push(channel);
        }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("topology", &self.0.topology).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_ends_publishing_whatever_came_before_it() {
        let routing_key = || "media.failed".to_owned();
        let unroutable = BrokerError::Unroutable { routing_key: routing_key() };
        let refused_by_queue = BrokerError::NotTaken { routing_key: routing_key() };
        for not_taken in 0..=MAX_NOT_TAKEN + 1 {
            assert!(is_final(&unroutable, not_taken, false), "unroutable after {not_taken} refusals by queues");
            assert!(!is_final(&unroutable, not_taken, true), "our own queue is declared again");
            assert_eq!(is_final(&refused_by_queue, not_taken, false), not_taken >= MAX_NOT_TAKEN, "{not_taken}");
            assert!(!is_final(&refused_by_queue, not_taken, true), "publishing to our own queue continues");
        }
        assert!(is_final(&BrokerError::Unwanted, 0, true) && is_final(&BrokerError::Config(String::new()), 0, true));
        assert!(!is_final(&BrokerError::Timeout { action: "publishing" }, 0, false));
    }
}
