//! The worker's side: keeps a fork server alive and runs jobs through it.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::SandboxError;
use super::job;
use super::link::Link;
use super::protocol::{JobSpec, Libav, Report, Usage};
use crate::config::SandboxMode;
use crate::events::SandboxStatus;

/// Pause before a dead fork server is replaced: doubles up to the maximum while it keeps dying young.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A fork server that lived so long did not die of its start.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a job waits for a fork server before it goes back to the queue.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

/// How a child comes to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Launcher {
    /// A fork of the warm fork server.
    #[default]
    Fork,
    /// A fork that executes the program anew: loads libav for each job. For comparison.
    ReExec,
}

impl Launcher {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::ReExec => "re-exec",
        }
    }
}

/// What a [`Sandbox`] is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// How much of the jail is insisted on.
    pub mode: SandboxMode,
    /// The program that is re-executed: this one, unless a test says otherwise.
    pub program: PathBuf,
    /// How a child comes to be.
    pub launcher: Launcher,
    /// Whether children do [`super::protocol::Task::Escape`]. For the jail's own tests only.
    pub escape_probes: bool,
}

impl SandboxOptions {
    /// This program as fork server, in this mode.
    #[must_use]
    pub fn new(mode: SandboxMode) -> Self {
        Self { mode, program: PathBuf::from("/proc/self/exe"), launcher: Launcher::Fork, escape_probes: false }
    }
}

/// Runs jobs, each in a jailed child of its own. Cheap to clone; the last clone to go ends the fork server.
#[derive(Clone)]
pub struct Sandbox {
    supervisor: Arc<Supervisor>,
}

impl Sandbox {
    /// Starts the fork server and waits until it is ready and has proved what can hold a child here.
    ///
    /// # Errors
    /// [`SandboxError::Unsupported`] where `mode` demands what this machine lacks, [`SandboxError::Server`] and
    /// [`SandboxError::Lost`] where the fork server does not come up.
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let (state, _) = watch::channel(State::Down);
        let state = Arc::new(state);
        let (ready, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("fork-server".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || supervise(&options, &state, &ready)
            })
            .map_err(SandboxError::Server)?;
        let (status, libav) = started.recv().map_err(|_| SandboxError::Lost)??;
        let (thread, totals) = (Some(thread), Mutex::default());
        Ok(Self { supervisor: Arc::new(Supervisor { state, thread, status, libav, totals }) })
    }

    /// Does one job with `scratch` as its only directory, where the file named [`super::protocol::INPUT`] stands.
    /// Dropping the future kills the child.
    ///
    /// # Errors
    /// What the child answered, how it ended without an answer, or why it could not be had: see [`SandboxError`].
    pub async fn run(
        &self,
        spec: &JobSpec,
        scratch: &Path,
        on_progress: impl FnMut(f32) + Send,
    ) -> Result<Report, SandboxError> {
        let link = self.link().await?;
        let result = job::run(&link, spec, scratch, on_progress, |used| self.supervisor.count(used)).await;
        match result {
            Err(SandboxError::Lost) if self.is_closed() => Err(SandboxError::Closed),
            result => result,
        }
    }

    /// What held the fork server's trial child: in force for every job.
    #[must_use]
    pub fn status(&self) -> SandboxStatus {
        self.supervisor.status.clone()
    }

    /// What children have of libav, as the first fork server said. This process itself never asks libav anything.
    #[must_use]
    pub fn libav(&self) -> &Libav {
        &self.supervisor.libav
    }

    /// What all children together have used, the failed ones too.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.supervisor.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Process id of the fork server, while there is one.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        match &*self.supervisor.state.borrow() {
            State::Up(link) => Some(link.pid),
            State::Down | State::Closed => None,
        }
    }

    /// Ends the fork server and every child; running jobs end with [`SandboxError::Closed`].
    pub fn close(&self) {
        self.supervisor.close();
    }

    fn is_closed(&self) -> bool {
        matches!(*self.supervisor.state.borrow(), State::Closed)
    }

    async fn link(&self) -> Result<Arc<Link>, SandboxError> {
        let mut state = self.supervisor.state.subscribe();
        let settled = timeout(LINK_TIMEOUT, state.wait_for(|state| !matches!(state, State::Down))).await;
        match settled.map_err(|_| SandboxError::Lost)?.map_err(|_| SandboxError::Lost)?.clone() {
            State::Up(link) => Ok(link),
            State::Down => Err(SandboxError::Lost),
            State::Closed => Err(SandboxError::Closed),
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("status", &self.supervisor.status).finish_non_exhaustive()
    }
}

/// What children have used, as the kernel counted it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// How many have ended.
    pub children: u64,
    /// Seconds of CPU of all.
    pub cpu_s: f64,
    /// Peak resident memory of the largest, in bytes.
    pub peak_memory_bytes: u64,
}

/// Whether there is a fork server.
#[derive(Clone)]
enum State {
    Up(Arc<Link>),
    Down,
    Closed,
}

struct Supervisor {
    state: Arc<watch::Sender<State>>,
    thread: Option<JoinHandle<()>>,
    status: SandboxStatus,
    libav: Libav,
    totals: Mutex<Totals>,
}

impl Supervisor {
    fn count(&self, used: Usage) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.children += 1;
        totals.cpu_s += used.cpu_s();
        totals.peak_memory_bytes = totals.peak_memory_bytes.max(used.peak_memory_bytes);
    }

    fn close(&self) {
        if let State::Up(link) = self.state.send_replace(State::Closed) {
            link.abandon();
        }
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.close();
        drop(self.thread.take().map(JoinHandle::join));
    }
}

type FirstStart = mpsc::SyncSender<Result<(SandboxStatus, Libav), SandboxError>>;

/// The life of the thread that every fork server is started on and dies with.
fn supervise(options: &SandboxOptions, state: &watch::Sender<State>, first: &FirstStart) {
    let mut backoff = BACKOFF_MIN;
    let mut announced = false;
    loop {
        let born = Instant::now();
        match Link::start(options) {
            Ok((link, server)) => {
                let known = (link.status.clone(), link.libav.clone());
                if replace_unless_closed(state, State::Up(Arc::clone(&link))) {
                    link.abandon();
                }
                if !announced {
                    announced = first.send(Ok(known)).is_ok();
                }
                serve(&link, server, state);
            }
            Err(error) if !announced => return drop(first.send(Err(error))),
            Err(error) => tracing::error!(%error, "the fork server does not come back"),
        }
        if born.elapsed() > SETTLED {
            backoff = BACKOFF_MIN;
        }
        if pause(state, backoff) {
            return;
        }
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// From a fork server's start to its end.
fn serve(link: &Link, mut server: Child, state: &watch::Sender<State>) {
    link.listen();
    // It may have hung up without ending.
    link.abandon();
    let closed = replace_unless_closed(state, State::Down);
    // Only now, so that nobody whose job was lost finds the dead one again.
    link.forget();
    let status = server.wait();
    if !closed {
        tracing::warn!(?status, "the fork server ended; starting another");
    }
}

/// Whether it was closed, and so left alone.
fn replace_unless_closed(state: &watch::Sender<State>, new: State) -> bool {
    let mut closed = false;
    state.send_if_modified(|state| {
        closed = matches!(state, State::Closed);
        if !closed {
            *state = new;
        }
        !closed
    });
    closed
}

/// Waits for `time`, or until closed. Whether it was closed.
fn pause(state: &watch::Sender<State>, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        if matches!(*state.borrow(), State::Closed) {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::park_timeout(left);
    }
}
