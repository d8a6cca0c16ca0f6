//! Whether a worker lives and whether it can work: asked for from outside, answered without touching a job.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, interval, timeout};

use super::metrics::Metrics;
use super::pipeline::Pipeline;
use crate::broker::{Lookout, Publisher};
use crate::error::Fault;

/// How often the loop says that it turns.
const BEAT: Duration = Duration::from_secs(1);
/// Without a beat for so long, it hangs.
const STILL: Duration = Duration::from_secs(15);
/// What was found is told again for so long: probes and scrapes cost the broker and the store next to nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long the broker and the store may take to answer. Below the time-outs of kubelet's and Prometheus' own.
const ANSWER: Duration = Duration::from_secs(3);

/// What can be asked of a worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    pipeline: Pipeline,
    publisher: Publisher,
    started: Instant,
    last_beat_ms: AtomicU64,
    stopping: AtomicBool,
    lookout: SyncMutex<Option<Lookout>>,
    /// What the worker waits for before it takes messages.
    waits_for: SyncMutex<Option<String>>,
    last: Mutex<Option<(Instant, Readiness)>>,
}

/// A part of readiness, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `lanes`, `broker`, `store`, `sandbox` or `scratch`.
    pub name: &'static str,
    /// A sentence for people; nothing where all is well.
    pub trouble: Option<String>,
}

/// Whether a worker takes jobs and could do them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Always all of them.
    pub parts: Vec<Part>,
    depths: Vec<(&'static str, u32)>,
}

impl Readiness {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.iter().all(|part| part.trouble.is_none())
    }
}

impl Health {
    pub(super) fn new(pipeline: Pipeline, publisher: Publisher) -> Self {
        Self(Arc::new(State {
            pipeline,
            publisher,
            started: Instant::now(),
            last_beat_ms: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            lookout: SyncMutex::default(),
            waits_for: SyncMutex::default(),
            last: Mutex::default(),
        }))
    }

    /// How long the loop has been still, where that is too long.
    #[must_use]
    pub fn hangs_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.0.last_beat_ms.load(Ordering::Relaxed));
        let still = self.0.started.elapsed().saturating_sub(last);
        (still > STILL).then_some(still)
    }

    /// Looks at every part, unless somebody has just done so.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.0.last.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < FRESH
        {
            return readiness.clone();
        }
        // Its futures are the store's: too large for everybody who asks.
        let readiness = Box::pin(self.look()).await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    /// Every metric, as it is now.
    pub async fn metrics(&self) -> String {
        let readiness = self.readiness().await;
        let metrics: &Metrics = self.0.pipeline.metrics();
        metrics.waiting(&readiness.depths);
        for part in &readiness.parts {
            metrics.ready(part.name, part.trouble.is_none());
        }
        metrics.used(self.0.pipeline.sandbox().totals(), self.0.pipeline.workspace().free_bytes().ok());
        metrics.encode()
    }

    async fn look(&self) -> Readiness {
        let pipeline = &self.0.pipeline;
        let lookout = self.lookout().clone();
        let depths = async {
            let lookout = lookout.as_ref().ok_or_else(|| "there is no connection".to_owned())?;
            let depths =
                timeout(ANSWER, lookout.depths()).await.map_err(|_| "it does not answer in time".to_owned())?;
            if self.0.publisher.is_blocked() {
                return Err("it takes no messages: it is short of memory or disk".to_owned());
            }
            depths.map_err(|error| error.to_string())
        };
        let store = async {
            let checked = timeout(ANSWER, pipeline.store().check()).await;
            checked.map_or(Some("it does not answer in time".to_owned()), |result| said(result.map_err(Fault::from)))
        };
        let (depths, store) = tokio::join!(depths, store);
        let lanes = match &lookout {
            _ if self.0.stopping.load(Ordering::Relaxed) => Some("the worker is stopping".to_owned()),
            None => Some(match &*self.waits_for_lock() {
                Some(reason) => format!("not consuming: {reason}"),
                None => "not consuming".to_owned(),
            }),
            Some(lookout) => {
                let closed: Vec<_> = lookout.closed_lanes().into_iter().map(|lane| lane.as_str()).collect();
                (!closed.is_empty()).then(|| format!("not consuming: {}", closed.join(", ")))
            }
        };
        let sandbox = pipeline.sandbox().server_pid().is_none().then(|| "there is no fork server".to_owned());
        let parts = vec![
            Part { name: "lanes", trouble: lanes },
            Part { name: "broker", trouble: depths.as_ref().err().cloned() },
            Part { name: "store", trouble: store },
            Part { name: "sandbox", trouble: sandbox },
            Part { name: "scratch", trouble: said(pipeline.workspace().check().map_err(Fault::from)) },
        ];
        Readiness { parts, depths: depths.unwrap_or_default() }
    }

    fn lookout(&self) -> MutexGuard<'_, Option<Lookout>> {
        self.0.lookout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_for_lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says again and again that the task that polls this is polled.
    pub(super) async fn beat(&self) {
        let mut beats = interval(BEAT);
        loop {
            beats.tick().await;
            let at = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.0.last_beat_ms.store(at, Ordering::Relaxed);
        }
    }

    /// Consuming from now on, or no longer.
    pub(super) fn consumes(&self, lookout: Option<Lookout>) {
        *self.lookout() = lookout;
    }

    /// Why no messages are taken for now, if there is a reason.
    pub(super) fn waits_for(&self, reason: Option<&str>) {
        *self.waits_for_lock() = reason.map(str::to_owned);
    }

    /// No more messages are taken, for good.
    pub(super) fn stops(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }
}

fn said(result: Result<(), Fault>) -> Option<String> {
    result.err().map(|fault| fault.message().to_owned())
}
