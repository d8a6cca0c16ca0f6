//! The fork server: this program, re-executed, with one thread and with libav loaded and initialised. It forks once for
//! each job.
//!
//! Forking is safe here because no other thread exists that could hold a lock (malloc's, libav's) at that moment.
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

/// Parameters of glibc's malloc, which every child inherits.
#[cfg(target_env = "gnu")]
const MALLOC: [(libc::c_int, libc::c_int); 4] = [
    // Each arena that a codec's threads open reserves 64 MiB of the address space that RLIMIT_AS counts.
    (libc::M_ARENA_MAX, 2),
    // A child lives for one job: memory that it gave back and took again would cost it a page fault for every 4 KiB.
    (libc::M_MMAP_THRESHOLD, 16 << 20),
    (libc::M_TRIM_THRESHOLD, 256 << 20),
    (libc::M_TOP_PAD, 1 << 20),
];

/// Becomes the fork server, or one of its children, where the command line says so. Must be called first thing in
/// `main`, before anything starts a thread. `None`: this is an ordinary start of the program.
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
        Role::JobChild => child::live(&setup(start.parent)),
        Role::ForkServer => Some(match serve(setup(std::process::id()), start) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }),
    }
}

/// Serves until the worker is gone.
fn serve(setup: Setup, start: Start) -> io::Result<()> {
    outlive_nobody(start.parent)?;
    // SAFETY: descriptor 0 is the control socket by the worker's arrangement; nothing else here uses standard input.
    let control = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(libc::STDIN_FILENO) };
    (setup.work.warm)();
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        let missing = format!("the fork server has {threads} threads where it must have one");
        return control_socket::send(&control, &Notice::Refused { missing }, &[], true);
    }
    unmap_libraries::leave_behind(&(setup.work.libraries)())?;
    let (mut trial, mut heavy) = (self_test::run(&setup)?, None);
    if let Err(missing) = trial {
        // A library that nobody knew to be needed may be what it lacked: rather slow than never.
        unmap_libraries::take_along()?;
        (trial, heavy) = (self_test::run(&setup)?, Some(missing));
    }
    match trial {
        Ok(sandbox) => {
            let ready = Notice::Ready { sandbox, libav: (setup.work.inventory)(), heavy };
            control_socket::send(&control, &ready, &[], true)?;
        }
        Err(missing) => return control_socket::send(&control, &Notice::Refused { missing }, &[], true),
    }
    ForkServer { control, setup, start, children: Vec::new(), looked_at: Instant::now() }.run()
}

/// Ends with the worker, and with nothing else: a Ctrl-C or a service manager's SIGTERM to the whole group is the
/// worker's to handle, which then lets running jobs finish.
fn outlive_nobody(worker: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(worker) {
        return Err(io::Error::other("the worker is gone"));
    }
    // A session of its own also keeps children together in one scheduling group, so that nice values compare.
    rustix::process::setsid()?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: closes what the worker's libraries may have leaked; nothing here has opened anything yet.
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
    /// When the children were last looked at.
    looked_at: Instant,
}

struct Child {
    job: u64,
    pid: Pid,
    /// Readable once the child has ended; also a handle to kill it that no other process can come to stand behind.
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
                // Once more, since a child can be over between two looks.
                watched.exceeds();
                let end = watched.excess.map_or(end, |excess| end.exceeded(excess));
                // Whoever hears of the end finds nothing left of the child here.
                drop((pidfd, watched));
                self.tell(job, end)?;
            }
            if orders && !self.obey()? {
                break;
            }
            self.look_at_children();
        }
        for child in &self.children {
            pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
        }
        Ok(())
    }

    /// Kills every child that takes too much.
    fn look_at_children(&mut self) {
        if self.looked_at.elapsed() < watch::EVERY {
            return;
        }
        for child in &mut self.children {
            if child.watched.exceeds() {
                pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
            }
        }
        self.looked_at = Instant::now();
    }

    /// Whether an order has come, and the indices of the children that have ended, ascending.
    fn wait(&self) -> io::Result<(bool, Vec<usize>)> {
        let mut watched = vec![PollFd::new(&self.control, PollFlags::IN)];
        watched.extend(self.children.iter().map(|child| PollFd::new(&child.pidfd, PollFlags::IN)));
        // Without children nothing needs to be looked at.
        let pause = if self.children.is_empty() {
            None
        } else {
            Some(Timespec::try_from(watch::EVERY).map_err(io::Error::other)?)
        };
        rustix::io::retry_on_intr(|| poll(&mut watched, pause.as_ref()))?;
        let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ended = ready[1..].iter().enumerate().filter_map(|(index, ready)| ready.then_some(index)).collect();
        Ok((ready[0], ended))
    }

    /// `false`: the worker is gone.
    fn obey(&mut self) -> io::Result<bool> {
        let Some((order, descriptors)) = control_socket::receive::<Order>(&self.control)? else {
            return Ok(false);
        };
        match order {
            Order::Launch { job, scratch_bytes } => match self.launch(job, scratch_bytes, descriptors) {
                Ok(child) => self.children.push(child),
                Err(error) => self.tell(job, ChildEnd::NotForked { errno: error.raw_os_error().unwrap_or(0) })?,
            },
            Order::Kill { job } => {
                for child in self.children.iter().filter(|child| child.job == job) {
                    pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
                }
            }
        }
        Ok(true)
    }

    fn tell(&self, job: u64, end: ChildEnd) -> io::Result<()> {
        control_socket::send(&self.control, &Notice::Ended { job, end }, &[], true)
    }

    fn launch(&self, job: u64, scratch_bytes: u64, descriptors: Vec<OwnedFd>) -> io::Result<Child> {
        let [job_socket, scratch, stderr]: [OwnedFd; control_socket::DESCRIPTORS] =
            descriptors.try_into().map_err(|_| io::Error::from_raw_os_error(libc::EBADMSG))?;
        // SAFETY: this process has one thread (checked at the start), so the copy is whole and holds no foreign lock.
        match unsafe { unmap_libraries::fork() } {
            0 => self.become_child(Descriptors { job: job_socket, scratch, stderr }),
            ..0 => Err(io::Error::last_os_error()),
            pid => {
                let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                // A child that cannot be watched cannot be kept.
                let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| wait_child::kill(pid))?;
                let watched = Watched::new(pid, scratch, scratch_bytes).inspect_err(|_| wait_child::kill(pid))?;
                Ok(Child { job, pid, pidfd, watched })
            }
        }
    }

    fn become_child(&self, descriptors: Descriptors) -> ! {
        // Before anything else: a child that is stopped from here on does not outlive its fork server. The jail does it again
        // and looks for the parent.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
        if child::arrange(descriptors).is_ok() {
            match self.start.launcher {
                Launcher::Fork => child::live(&self.setup),
                Launcher::ReExec => {
                    let start = Start { role: Role::JobChild, parent: self.setup.parent, ..self.start };
                    // Returns only where it failed.
                    drop(Command::new("/proc/self/exe").args(start.words()).env_remove(BIND_NOW.0).exec());
                }
            }
        }
        // SAFETY: leaves at once, without the exit handlers of the fork server.
        unsafe { libc::_exit(libc::EXIT_FAILURE) }
    }
}
