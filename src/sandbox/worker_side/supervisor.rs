//! Runs jobs, each through the fork server that takes jobs now.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::fork_server_handle::ForkServerHandle;
use super::options::SandboxOptions;
use super::run_job::{self, Running};
use super::servers::{Event, Keeper, State};
use crate::sandbox::SandboxError;
use crate::sandbox::wire::messages::Usage;
use crate::task::{JobSpec, Libav, Report};
use crate::vocabulary::SandboxStatus;

/// How long a job waits for a fork server before it returns to the queue.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs each job in a jailed child process. Cheap to clone; the fork server ends with the last clone.
#[derive(Clone)]
pub struct Sandbox {
    supervisor: Arc<Supervisor>,
}

impl Sandbox {
    /// Starts the fork server. Waits until it is ready and has tested what can confine a child on this machine.
    ///
    /// # Errors
    /// [`SandboxError::Unsupported`] if this machine lacks something that `mode` demands, [`SandboxError::Server`] and
    /// [`SandboxError::Lost`] if the fork server does not start.
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let (state, _) = watch::channel(State::Down);
        let state = Arc::new(state);
        let (ready, started) = mpsc::sync_channel(1);
        let (sender, events) = mpsc::channel();
        let renew_after_jobs = options.renew_after_jobs;
        let keeper = Keeper { options, state: Arc::clone(&state), events, sender: sender.clone() };
        let thread = std::thread::Builder::new().name("fork-servers".to_owned());
        let thread = thread.spawn(move || keeper.run(ready)).map_err(SandboxError::Server)?;
        let (status, libav) = started.recv().map_err(|_| SandboxError::Lost)??;
        let (thread, totals) = (Some(thread), Mutex::default());
        let supervisor = Supervisor { state, events: sender, thread, status, libav, totals, renew_after_jobs };
        Ok(Self { supervisor: Arc::new(supervisor) })
    }

    /// Runs one job. `scratch` is its only directory and contains the file [`crate::task::INPUT`]. Dropping the future
    /// kills the child.
    ///
    /// # Errors
    /// What the child answered, how it ended without an answer, or why it could not be started: see [`SandboxError`].
    pub async fn run(
        &self,
        spec: &JobSpec,
        scratch: &Path,
        on_progress: impl FnMut(f32) + Send,
    ) -> Result<Report, SandboxError> {
        let (link, child) = loop {
            let link = self.link().await?;
            match Running::launch(&link, spec, scratch) {
                // The next fork server has taken over; ask that one.
                Err(SandboxError::Retired) => {}
                launched => break (link, launched?),
            }
        };
        let result = run_job::run(child, spec, on_progress, |used| self.supervisor.count(used)).await;
        self.supervisor.renew_where_due(link, &result);
        match result {
            Err(SandboxError::Lost) if self.is_closed() => Err(SandboxError::Closed),
            result => result,
        }
    }

    /// What confined the fork server's test child, and so confines every job.
    #[must_use]
    pub fn status(&self) -> SandboxStatus {
        self.supervisor.status.clone()
    }

    /// What the children's libav can do, as the first fork server reported. The worker process itself does not call
    /// libav.
    #[must_use]
    pub fn libav(&self) -> &Libav {
        &self.supervisor.libav
    }

    /// The resources used by all children so far, failed ones included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.supervisor.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process id of the fork server, if one is running.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        match &*self.supervisor.state.borrow() {
            State::Up(link) => Some(link.pid),
            State::Down | State::Closed => None,
        }
    }

    /// Ends the fork server and all children. Running jobs end with [`SandboxError::Closed`].
    pub fn close(&self) {
        self.supervisor.close();
    }

    fn is_closed(&self) -> bool {
        matches!(*self.supervisor.state.borrow(), State::Closed)
    }

    async fn link(&self) -> Result<Arc<ForkServerHandle>, SandboxError> {
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

/// The resources used by children, as counted by the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// How many children have ended.
    pub children: u64,
    /// Their CPU time in seconds.
    pub cpu_s: f64,
    /// Peak resident memory of the largest child in bytes.
    pub peak_memory_bytes: u64,
}

struct Supervisor {
    state: Arc<watch::Sender<State>>,
    events: mpsc::Sender<Event>,
    thread: Option<JoinHandle<()>>,
    status: SandboxStatus,
    libav: Libav,
    totals: Mutex<Totals>,
    renew_after_jobs: u64,
}

impl Supervisor {
    fn count(&self, used: Usage) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.children += 1;
        totals.cpu_s += used.cpu_s();
        totals.peak_memory_bytes = totals.peak_memory_bytes.max(used.peak_memory_bytes);
    }

    /// Asks for another fork server if a child's end may have revealed something about this one, or if it has run
    /// enough jobs.
    fn renew_where_due(&self, link: Arc<ForkServerHandle>, result: &Result<Report, SandboxError>) {
        let why = match result {
            Err(SandboxError::Ended(ending)) if ending.is_suspicious() => "a child ended in a suspicious way",
            Err(SandboxError::Protocol(_)) => "a child violated the protocol",
            _ if link.jobs_begun() >= self.renew_after_jobs => "it has run as many jobs as it may",
            _ => return,
        };
        // If the keeper has ended, there is no fork server to replace.
        self.events.send(Event::Renew { link, why }).ok();
    }

    fn close(&self) {
        let state = self.state.send_replace(State::Closed);
        // Before the fork server ends: otherwise the keeper would see its end first and start another one.
        self.events.send(Event::Close).ok();
        if let State::Up(link) = state {
            link.abandon();
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.close();
        drop(self.thread.take().map(JoinHandle::join));
    }
}
