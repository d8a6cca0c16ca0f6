//! The worker's hold on one living fork server.

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::oneshot;

use super::arguments::{Role, Start};
use super::protocol::{ChildEnd, Libav, Notice, Order};
use super::{SandboxError, SandboxOptions, control, lean};
use crate::events::SandboxStatus;

/// Loading and warming libav takes a fraction of a second; on a starved machine a few.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// One fork server and the jobs in its hands.
pub(super) struct Link {
    control: OwnedFd,
    server: OwnedFd,
    waiting: Mutex<Waiting>,
    next_job: AtomicU64,
    /// The fork server's process id.
    pub(super) pid: u32,
    /// What held its trial child.
    pub(super) status: SandboxStatus,
    /// What its children have of libav.
    pub(super) libav: Libav,
}

/// Who waits for which child's end. Taken away when the fork server is gone, which wakes them all.
type Waiting = Option<HashMap<u64, oneshot::Sender<ChildEnd>>>;

impl Link {
    /// Starts a fork server and waits until it is ready. Must be called on the thread that will [`Link::listen`]: the
    /// kernel kills the fork server when the thread that started it ends.
    pub(super) fn start(options: &SandboxOptions) -> Result<(Arc<Self>, Child), SandboxError> {
        let (control, theirs) = control::pair().map_err(SandboxError::Server)?;
        let start = Start {
            role: Role::ForkServer,
            mode: options.mode,
            launcher: options.launcher,
            escape_probes: options.escape_probes,
            parent: std::process::id(),
        };
        let mut child = Command::new(&options.program)
            .args(start.words())
            .env_clear()
            // Where the libraries are is the operator's to say; everything else is none of a decoder's business.
            .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            .envs([lean::BIND_NOW])
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(SandboxError::Server)?;
        let greeted = greet(&control, &child);
        match greeted {
            Ok((server, status, libav)) => {
                let (waiting, next_job, pid) = (Mutex::new(Some(HashMap::new())), AtomicU64::new(1), child.id());
                Ok((Arc::new(Self { control, server, waiting, next_job, pid, status, libav }), child))
            }
            Err(error) => {
                drop((child.kill(), child.wait()));
                Err(error)
            }
        }
    }

    /// Hands ended children to who waits for them, until the fork server is gone.
    pub(super) fn listen(&self) {
        while let Ok(Some((Notice::Ended { job, end }, _))) = control::receive(&self.control) {
            let waiter = self.with_waiting(|waiting| waiting.as_mut().and_then(|jobs| jobs.remove(&job)));
            // Nobody waits where the job's future was dropped.
            if let Some(waiter) = waiter {
                waiter.send(end).ok();
            }
        }
    }

    /// Tells everybody who still waits that their children are lost, and takes no more jobs.
    pub(super) fn forget(&self) {
        self.with_waiting(Option::take);
    }

    /// Orders a child for the job with these descriptors: socket, scratch directory, standard error.
    pub(super) fn launch(
        &self,
        descriptors: [BorrowedFd<'_>; control::DESCRIPTORS],
    ) -> Result<(u64, oneshot::Receiver<ChildEnd>), SandboxError> {
        let job = self.next_job.fetch_add(1, Ordering::Relaxed);
        let (waiter, end) = oneshot::channel();
        self.with_waiting(|waiting| waiting.as_mut().map(|jobs| jobs.insert(job, waiter))).ok_or(SandboxError::Lost)?;
        control::send(&self.control, &Order::Launch { job }, &descriptors, false).map_err(|error| {
            self.with_waiting(|waiting| waiting.as_mut().map(|jobs| jobs.remove(&job)));
            SandboxError::Launch(error)
        })?;
        Ok((job, end))
    }

    /// Orders a child's end. Does not wait for it.
    pub(super) fn kill(&self, job: u64) {
        if control::send(&self.control, &Order::Kill { job }, &[], false).is_err() {
            // Gone already, or stuck: either way nothing of it may live on.
            self.abandon();
        }
    }

    /// Ends the fork server, and with it all its children. The supervisor starts another.
    pub(super) fn abandon(&self) {
        pidfd_send_signal(&self.server, Signal::KILL).ok();
    }

    fn with_waiting<T>(&self, f: impl FnOnce(&mut Waiting) -> T) -> T {
        f(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn greet(control: &OwnedFd, child: &Child) -> Result<(OwnedFd, SandboxStatus, Libav), SandboxError> {
    let server = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(SandboxError::Lost)?;
    let server = pidfd_open(server, PidfdFlags::empty()).map_err(|error| SandboxError::Server(error.into()))?;
    let patience = |time| set_socket_timeout(control, Timeout::Recv, time).map_err(|e| SandboxError::Server(e.into()));
    patience(Some(START_TIMEOUT))?;
    let notice = control::receive(control).map_err(SandboxError::Server)?;
    patience(None)?;
    match notice {
        Some((Notice::Ready { sandbox, libav, heavy }, _)) => {
            if let Some(why) = heavy {
                tracing::warn!(%why, "children take every library with them, and cost more");
            }
            Ok((server, sandbox, libav))
        }
        Some((Notice::Refused { missing }, _)) => Err(SandboxError::Unsupported { missing }),
        Some((Notice::Ended { .. }, _)) | None => Err(SandboxError::Lost),
    }
}
