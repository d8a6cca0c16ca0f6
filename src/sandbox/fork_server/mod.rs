//! The fork server: this program, executed again, with a single thread and with libav loaded and initialised. It forks
//! once for each job.
//!
//! Forking is safe here because no other thread exists that could hold a lock (malloc's or libav's) at that moment.
#![expect(unsafe_code, reason = "fork, wait4, mallopt and signal dispositions have no safe wrapper")]

mod self_test;
mod wait_child;
pub(super) mod watch;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use self::watch::Watched;
use super::Launcher;
use super::child::seccomp::Filters;
use super::child::unmap_libraries;
use super::child::{self, Descriptors, Setup};
use super::wire::arguments::{BIND_NOW, Role, Start};
use super::wire::control_socket;
use super::wire::messages::{ChildEnd, Notice, Order};
use crate::task::Work;

/// Parameters of glibc's malloc; children inherit them.
#[cfg(target_env = "gnu")]
const MALLOC: [(libc::c_int, libc::c_int); 4] = [
    // Each malloc arena that a codec's threads open reserves 64 MiB of address space, which RLIMIT_AS counts.
    (libc::M_ARENA_MAX, 2),
    // A child lives for one job. Memory that it returns to the kernel and takes again costs a page fault for every 4
    // KiB.
    (libc::M_MMAP_THRESHOLD, 16 << 20),
    (libc::M_TRIM_THRESHOLD, 256 << 20),
    (libc::M_TOP_PAD, 1 << 20),
];

/// Becomes the fork server, or one of its children, if the command line says so; returns `None` for an ordinary start
/// of the program. Must be called first in `main`, before any thread is started.
#[must_use]
pub fn maybe_fork_server(work: Work) -> Option<ExitCode> {
    let start = match Start::parse(std::env::args_os().skip(1))? {
        Some(start) => start,
        None => return Some(ExitCode::from(2)),
    };
    let Ok(filters) = Filters::compile() else {
        return Some(ExitCode::from(2));
    };
    let Start { mode, escape_probes, limits, .. } = start;
    let setup = |parent| Setup { work, mode, filters, escape_probes, limits, parent };
    match start.role {
        Role::JobChild => child::run_to_end(&setup(start.parent)),
        Role::ForkServer => Some(match serve(setup(std::process::id()), start) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }),
    }
}

/// Serves orders until the worker has ended.
fn serve(setup: Setup, start: Start) -> io::Result<()> {
    end_with_worker(start.parent)?;
    // SAFETY: the worker passes the control socket as descriptor 0; nothing else here uses standard input.
    let control = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(libc::STDIN_FILENO) };
    (setup.work.warm)();
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        let missing = format!("the fork server has {threads} threads instead of one");
        return control_socket::send(&control, &Notice::Refused { missing }, &[], true);
    }
    unmap_libraries::unmap_in_children(&(setup.work.libraries)())?;
    let (mut trial, mut all_libraries) = (self_test::run(&setup)?, None);
    if let Err(missing) = trial {
        // The child may have lacked a library that was not known to be needed. Children with all libraries start
        // slower, but work.
        unmap_libraries::keep_in_children()?;
        (trial, all_libraries) = (self_test::run(&setup)?, Some(missing));
    }
    match trial {
        Ok(sandbox) => {
            let ready = Notice::Ready { sandbox, libav: (setup.work.inventory)(), all_libraries };
            control_socket::send(&control, &ready, &[], true)?;
        }
        Err(missing) => return control_socket::send(&control, &Notice::Refused { missing }, &[], true),
    }
    ForkServer { control, setup, start, children: Vec::new(), checked_at: Instant::now() }.run()
}

/// Makes the fork server end with the worker and for no other reason. Ctrl-C, or a service manager's SIGTERM to the
/// whole group, is for the worker, which then lets running jobs finish.
fn end_with_worker(worker: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(worker) {
        return Err(io::Error::other("the worker has ended"));
    }
    // A session of its own also puts all children into one scheduling group, so that their nice values are compared.
    rustix::process::setsid()?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: closes descriptors that the worker's libraries may have leaked; nothing here has opened any yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    #[cfg(target_env = "gnu")]
    for (parameter, value) in MALLOC {
        // SAFETY: sets a parameter of the allocator.
        unsafe { libc::mallopt(parameter, value) };
    }
    Ok(())
}

struct ForkServer {
    control: OwnedFd,
    setup: Setup,
    start: Start,
    children: Vec<Child>,
    /// When the children were last checked.
    checked_at: Instant,
}

struct Child {
    job: u64,
    pid: Pid,
    /// Readable once the child has ended. Also a handle to kill it that can never refer to another process.
    pidfd: OwnedFd,
    watched: Watched,
}

impl ForkServer {
    fn run(mut self) -> io::Result<()> {
        loop {
            let (orders, ended) = self.wait()?;
            for index in ended.into_iter().rev() {
                let Child { job, pid, pidfd, mut watched } = self.children.swap_remove(index);
                let end = wait_child::wait(pid)?;
                // Checked once more, because a child can exceed a bound between two checks.
                watched.exceeds();
                let end = watched.excess.map_or(end, |excess| end.exceeded(excess));
                // Dropped first: when the worker learns of the end, nothing of the child is left here.
                drop((pidfd, watched));
                self.send_end(job, end)?;
            }
            if orders && !self.execute_order()? {
                break;
            }
            self.check_children();
        }
        for child in &self.children {
            pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
        }
        Ok(())
    }

    /// Kills every child that exceeds a bound.
    fn check_children(&mut self) {
        if self.checked_at.elapsed() < watch::CHECK_INTERVAL {
            return;
        }
        for child in &mut self.children {
            if child.watched.exceeds() {
                pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
            }
        }
        self.checked_at = Instant::now();
    }

    /// Waits for an order or for the end of children. Returns whether an order has come, and the ascending indices of
    /// children that have ended.
    fn wait(&self) -> io::Result<(bool, Vec<usize>)> {
        let mut watched = vec![PollFd::new(&self.control, PollFlags::IN)];
        watched.extend(self.children.iter().map(|child| PollFd::new(&child.pidfd, PollFlags::IN)));
        // Without children there is nothing to check.
        let pause = if self.children.is_empty() {
            None
        } else {
            Some(Timespec::try_from(watch::CHECK_INTERVAL).map_err(io::Error::other)?)
        };
        rustix::io::retry_on_intr(|| poll(&mut watched, pause.as_ref()))?;
        let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ended = ready[1..].iter().enumerate().filter_map(|(index, ready)| ready.then_some(index)).collect();
        Ok((ready[0], ended))
    }

    /// Executes an order; `false` if the worker has ended.
    fn execute_order(&mut self) -> io::Result<bool> {
        let Some((order, descriptors)) = control_socket::receive::<Order>(&self.control)? else {
            return Ok(false);
        };
        match order {
            Order::Launch { job, scratch_bytes } => match self.launch(job, scratch_bytes, descriptors) {
                Ok(child) => self.children.push(child),
                Err(error) => self.send_end(job, ChildEnd::NotForked { errno: error.raw_os_error().unwrap_or(0) })?,
            },
            Order::Kill { job } => {
                for child in self.children.iter().filter(|child| child.job == job) {
                    pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
                }
            }
        }
        Ok(true)
    }

    fn send_end(&self, job: u64, end: ChildEnd) -> io::Result<()> {
        control_socket::send(&self.control, &Notice::Ended { job, end }, &[], true)
    }

    fn launch(&self, job: u64, scratch_bytes: u64, descriptors: Vec<OwnedFd>) -> io::Result<Child> {
        let [job_socket, scratch, stderr]: [OwnedFd; control_socket::DESCRIPTORS] =
            descriptors.try_into().map_err(|_| io::Error::from_raw_os_error(libc::EBADMSG))?;
        // SAFETY: this process has one thread (checked at the start), so the copy is complete and no lock is held.
        match unsafe { unmap_libraries::fork() } {
            0 => self.become_child(Descriptors { job: job_socket, scratch, stderr }),
            ..0 => Err(io::Error::last_os_error()),
            pid => {
                let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                // A child that cannot be watched is not allowed to run.
                let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| wait_child::kill(pid))?;
                let watched = Watched::new(pid, scratch, scratch_bytes).inspect_err(|_| wait_child::kill(pid))?;
                Ok(Child { job, pid, pidfd, watched })
            }
        }
    }

    fn become_child(&self, descriptors: Descriptors) -> ! {
        // First of all, so that a child that is stopped from here on does not outlive its fork server. The jail does
        // this again and checks that the parent still exists.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
        if child::arrange(descriptors).is_ok() {
            match self.start.launcher {
                Launcher::Fork => child::run_to_end(&self.setup),
                Launcher::ReExec => {
                    let start = Start { role: Role::JobChild, parent: self.setup.parent, ..self.start };
                    // Returns only if it failed.
                    drop(Command::new("/proc/self/exe").args(start.words()).env_remove(BIND_NOW.0).exec());
                }
            }
        }
        // SAFETY: ends the process at once, without the exit handlers of the fork server.
        unsafe { libc::_exit(libc::EXIT_FAILURE) }
    }
}
