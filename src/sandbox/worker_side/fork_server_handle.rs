//! The worker's handle of one running fork server.

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::sync::oneshot;

use crate::sandbox::wire::arguments::{BIND_NOW, Role, Start};
use crate::sandbox::wire::control_socket;
use crate::sandbox::wire::messages::{ChildEnd, Notice, Order};
use crate::sandbox::{SandboxError, SandboxOptions};
use crate::task::Libav;
use crate::vocabulary::SandboxStatus;

/// Loading and initialising libav takes a fraction of a second, or a few seconds on an overloaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// One fork server and the jobs that it runs.
pub(in crate::sandbox) struct ForkServerHandle {
    control: OwnedFd,
    server: OwnedFd,
    waiting: Mutex<Waiting>,
    next_job: AtomicU64,
    /// The fork server's process id.
    pub(in crate::sandbox) pid: u32,
    /// What confined its test child.
    pub(in crate::sandbox) status: SandboxStatus,
    /// What its children's libav can do.
    pub(in crate::sandbox) libav: Libav,
}

/// The tasks that wait for the end of children.
#[derive(Default)]
struct Waiting {
    /// `None` once the fork server takes no more jobs and runs none, or has ended. Dropping the senders wakes all tasks
    /// that wait.
    jobs: Option<HashMap<u64, oneshot::Sender<ChildEnd>>>,
    /// Another fork server has taken over: running jobs are finished here, no new ones are begun.
    retiring: bool,
}

impl ForkServerHandle {
    /// Starts a fork server and waits until it is ready. Must be called on the thread that will call
    /// [`ForkServerHandle::listen`], because the kernel kills the fork server when the thread that started it ends.
    pub(in crate::sandbox) fn start(options: &SandboxOptions) -> Result<(Arc<Self>, Child), SandboxError> {
        let (control, theirs) = control_socket::pair().map_err(SandboxError::Server)?;
        let start = Start {
            role: Role::ForkServer,
            mode: options.mode,
            launcher: options.launcher,
            escape_probes: options.escape_probes,
            limits: options.limits,
            parent: std::process::id(),
        };
        let mut child = Command::new(&options.program)
            .args(start.words())
            .env_clear()
            // LD_LIBRARY_PATH is kept: if the worker was started with it, its libav comes from there, and the fork
            // server is the same program. Whoever can set it can replace the program as well. A decoder needs nothing
            // else of the environment.
            .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            .envs([BIND_NOW])
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(SandboxError::Server)?;
        let ready = receive_ready(&control, &child);
        match ready {
            Ok((server, status, libav)) => {
                let waiting = Mutex::new(Waiting { jobs: Some(HashMap::new()), retiring: false });
                let (next_job, pid) = (AtomicU64::new(1), child.id());
                Ok((Arc::new(Self { control, server, waiting, next_job, pid, status, libav }), child))
            }
            Err(error) => {
                drop((child.kill(), child.wait()));
                Err(error)
            }
        }
    }

    /// Reports ended children to the tasks that wait for them, until the fork server ends, or is retiring and has no
    /// more children.
    pub(in crate::sandbox) fn listen(&self) {
        while self.has_notice() {
            let Ok(Some((Notice::Ended { job, end }, _))) = control_socket::receive(&self.control) else { return };
            let waiter = self.with_waiting(|waiting| waiting.jobs.as_mut().and_then(|jobs| jobs.remove(&job)));
            // No task waits if the job's future was dropped.
            if let Some(waiter) = waiter {
                waiter.send(end).ok();
            }
            if self.with_waiting(Waiting::close_if_done) {
                return;
            }
        }
    }

    /// Waits for a notice. Returns `false` if the fork server has ended and left none. The process itself is watched,
    /// because the socket alone is not enough: a child that was stopped before it closed its copy of the socket keeps
    /// it open.
    fn has_notice(&self) -> bool {
        let mut watched = [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.server, PollFlags::IN)];
        let ready = rustix::io::retry_on_intr(|| poll(&mut watched, None));
        // Notices first: those that were sent before the end are still read.
        ready.is_ok() && !watched[0].revents().is_empty()
    }

    /// Makes the fork server take no more jobs and end after its last one. Called when another one has taken over.
    pub(in crate::sandbox) fn retire(&self) {
        let done = self.with_waiting(|waiting| {
            waiting.retiring = true;
            waiting.close_if_done()
        });
        if done {
            self.abandon();
        }
    }

    /// Tells all waiting tasks that their children are lost, and takes no more jobs.
    pub(in crate::sandbox) fn forget(&self) {
        self.with_waiting(|waiting| waiting.jobs.take());
    }

    /// How many jobs it was given.
    pub(in crate::sandbox) fn jobs_begun(&self) -> u64 {
        self.next_job.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Orders a child for the job with these descriptors: job socket, scratch directory, standard error.
    pub(in crate::sandbox) fn launch(
        &self,
        descriptors: [BorrowedFd<'_>; control_socket::DESCRIPTORS],
        scratch_bytes: u64,
    ) -> Result<(u64, oneshot::Receiver<ChildEnd>), SandboxError> {
        let job = self.next_job.fetch_add(1, Ordering::Relaxed);
        let (waiter, end) = oneshot::channel();
        self.with_waiting(|waiting| waiting.insert(job, waiter))?;
        control_socket::send(&self.control, &Order::Launch { job, scratch_bytes }, &descriptors, false).map_err(
            |error| {
                self.with_waiting(|waiting| waiting.jobs.as_mut().map(|jobs| jobs.remove(&job)));
                SandboxError::Launch(error)
            },
        )?;
        Ok((job, end))
    }

    /// Orders the end of a child. Does not wait for it.
    pub(in crate::sandbox) fn kill(&self, job: u64) {
        if control_socket::send(&self.control, &Order::Kill { job }, &[], false).is_err() {
            // The fork server has ended or hangs. In both cases none of its processes may continue.
            self.abandon();
        }
    }

    /// Kills the fork server, and with it all its children. The supervisor starts another one.
    ///
    /// [`ForkServerHandle::listen`] returns even if another process has a copy of the fork server's end of the socket
    /// and keeps it open.
    pub(in crate::sandbox) fn abandon(&self) {
        pidfd_send_signal(&self.server, Signal::KILL).ok();
        shutdown(&self.control, Shutdown::Both).ok();
    }

    fn with_waiting<T>(&self, f: impl FnOnce(&mut Waiting) -> T) -> T {
        f(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waiting {
    fn insert(&mut self, job: u64, waiter: oneshot::Sender<ChildEnd>) -> Result<(), SandboxError> {
        match &mut self.jobs {
            _ if self.retiring => Err(SandboxError::Retired),
            Some(jobs) => {
                jobs.insert(job, waiter);
                Ok(())
            }
            None => Err(SandboxError::Lost),
        }
    }

    /// Whether a retiring fork server has no more jobs.
    fn close_if_done(&mut self) -> bool {
        let done = self.retiring && self.jobs.as_ref().is_none_or(HashMap::is_empty);
        if done {
            self.jobs = None;
        }
        done
    }
}

fn receive_ready(control: &OwnedFd, child: &Child) -> Result<(OwnedFd, SandboxStatus, Libav), SandboxError> {
    let server = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(SandboxError::Lost)?;
    let server = pidfd_open(server, PidfdFlags::empty()).map_err(|error| SandboxError::Server(error.into()))?;
    let patience = |time| set_socket_timeout(control, Timeout::Recv, time).map_err(|e| SandboxError::Server(e.into()));
    patience(Some(START_TIMEOUT))?;
    let notice = control_socket::receive(control).map_err(SandboxError::Server)?;
    patience(None)?;
    match notice {
        Some((Notice::Ready { sandbox, libav, all_libraries }, _)) => {
            if let Some(why) = all_libraries {
                tracing::warn!(%why, "children keep libraries that no job needs: each child starts a few ms slower");
            }
            Ok((server, sandbox, libav))
        }
        Some((Notice::Refused { missing }, _)) => Err(SandboxError::Unsupported { missing }),
        Some((Notice::Ended { .. }, _)) | None => Err(SandboxError::Lost),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn listening_ends_although_the_other_end_of_the_socket_stays_open() {
        let (control, theirs) = control_socket::pair().expect("a pair of sockets");
        let mut process = Command::new("sleep").arg("600").spawn().expect("a process");
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        let handle = Arc::new(ForkServerHandle {
            control,
            server: pidfd_open(pid, PidfdFlags::empty()).expect("a descriptor of the process"),
            waiting: Mutex::default(),
            next_job: AtomicU64::new(1),
            pid: process.id(),
            status: SandboxStatus::default(),
            libav: Libav::default(),
        });
        let (ended, listening) = mpsc::channel();
        let listener = Arc::clone(&handle);
        std::thread::spawn(move || {
            listener.listen();
            ended.send(()).ok();
        });
        assert!(listening.recv_timeout(Duration::from_millis(50)).is_err(), "it listens until it is told to end");
        handle.abandon();
        listening.recv_timeout(Duration::from_secs(10)).expect("it no longer listens");
        assert!(!process.wait().expect("an end").success(), "the process was killed");
        drop(theirs);
    }
}
