//! Whether a role's consume loop runs and whether the role can work. Answering does not affect running jobs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval, timeout};

use super::jobs::Runner;
use super::metrics::Metrics;
use super::readiness::{Part, Readiness};
use super::role::Role;
use super::settle::Settler;
use crate::broker::{Publisher, QueueDepths};

/// How often the consume loop records that it runs.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The loop hangs if it has recorded nothing for this long.
const HANG_AFTER: Duration = Duration::from_secs(15);
/// How long an answer is reused, so that frequent probes and scrapes hardly load the broker and the store.
const REUSE: Duration = Duration::from_secs(1);
/// How long the broker may take to answer: less than the default time-outs of the kubelet and of Prometheus.
const BROKER_TIMEOUT: Duration = Duration::from_secs(3);

/// Health and metrics of a running role. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    role: Arc<dyn Checked>,
    metrics: Metrics,
    publisher: Publisher,
    started: Instant,
    last_beat_ms: AtomicU64,
    stopping: AtomicBool,
    /// Counts messages over the connection that consumes, while there is one.
    depths: SyncMutex<Option<QueueDepths>>,
    /// Why the role does not take messages yet, if it waits for something.
    waits_for: SyncMutex<Option<String>>,
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl Health {
    pub(super) fn new<R: Role>(runner: &Arc<Runner<R>>) -> Self {
        let Settler { publisher, metrics, .. } = runner.settler.clone();
        Self(Arc::new(State {
            role: Arc::<Runner<R>>::clone(runner),
            metrics,
            publisher,
            started: Instant::now(),
            last_beat_ms: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            depths: SyncMutex::default(),
            waits_for: SyncMutex::default(),
            last: Mutex::default(),
        }))
    }

    /// How long the loop has not run, if that is longer than `HANG_AFTER`.
    #[must_use]
    pub fn hangs_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.0.last_beat_ms.load(Ordering::Relaxed));
        let still = self.0.started.elapsed().saturating_sub(last);
        (still > HANG_AFTER).then_some(still)
    }

    /// Checks every part. An answer of the last second is reused.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.0.last.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < REUSE
        {
            return readiness.clone();
        }
        let readiness = self.look().await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    /// All metrics as text, updated now.
    pub async fn metrics(&self) -> String {
        let readiness = self.readiness().await;
        let metrics = &self.0.metrics;
        metrics.waiting(&readiness.depths);
        for part in &readiness.parts {
            metrics.ready(part.name, part.trouble.is_none());
        }
        self.0.role.measure();
        metrics.encode()
    }

    async fn look(&self) -> Readiness {
        let counted = self.depths().clone();
        let depths = async {
            let counted = counted.as_ref().ok_or_else(|| "there is no connection to the broker".to_owned())?;
            let depths =
                timeout(BROKER_TIMEOUT, counted.depths()).await.map_err(|_| "it does not answer in time".to_owned())?;
            if self.0.publisher.is_blocked() {
                return Err("it takes no messages: it is short of memory or disk".to_owned());
            }
            depths.map_err(|error| error.to_string())
        };
        let (depths, others) = tokio::join!(depths, self.0.role.parts());
        let lanes = match &counted {
            _ if self.0.stopping.load(Ordering::Relaxed) => Some(format!("the {} is stopping", self.0.role.name())),
            None => Some(match &*self.waits_for_lock() {
                Some(reason) => format!("not consuming: {reason}"),
                None => "not consuming".to_owned(),
            }),
            Some(counted) => {
                let closed = counted.closed();
                (!closed.is_empty()).then(|| format!("not consuming: {}", closed.join(", ")))
            }
        };
        let mut parts = vec![
            Part { name: "lanes", trouble: lanes },
            Part { name: "broker", trouble: depths.as_ref().err().cloned() },
        ];
        parts.extend(others);
        Readiness { parts, depths: depths.unwrap_or_default() }
    }

    fn depths(&self) -> MutexGuard<'_, Option<QueueDepths>> {
        self.0.depths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_for_lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records once a second that the task which polls this future runs.
    pub(super) async fn beat(&self) {
        let mut beats = interval(HEARTBEAT);
        loop {
            beats.tick().await;
            let at = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.last_beat_ms.store(at, Ordering::Relaxed);
        }
    }

    /// Consuming has begun over the connection of `depths`, or has ended.
    pub(super) fn consumes(&self, depths: Option<QueueDepths>) {
        *self.depths() = depths;
    }

    /// Sets the reason why no messages are taken for now; `None` if there is no reason.
    pub(super) fn waits_for(&self, reason: Option<&str>) {
        *self.waits_for_lock() = reason.map(str::to_owned);
    }

    /// The role is stopping and takes no more messages.
    pub(super) fn stops(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }
}

/// What the health check needs from a role, without its type.
trait Checked: std::fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn parts(&self) -> BoxFuture<'_, Vec<Part>>;
    fn measure(&self);
}

impl<R: Role> Checked for Runner<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn parts(&self) -> BoxFuture<'_, Vec<Part>> {
        Box::pin(self.role.parts())
    }

    fn measure(&self) {
        self.role.measure();
    }
}
