//! The child process: arranges its descriptors, reads the job, confines itself, does the work, answers, and exits.
#![expect(unsafe_code, reason = "descriptors are put in their places by number")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

mod escape;
pub(super) mod jail;
pub(super) mod seccomp;
mod syscalls;
pub(super) mod unmap_libraries;

use self::jail::{JailError, JailTerms};
use self::seccomp::Filters;
use super::wire::frames;
use super::wire::messages::{Answer, Verdict};
use crate::error::{Code, Fault};
use crate::task::{INPUT, JobSpec, Report, Task};
use crate::task::{Limits, SandboxMode, Work};
use crate::vocabulary::SandboxStatus;

/// The numbers of a child's descriptors: 0 and 1 are `/dev/null`, 2 is a pipe to the worker.
const STDERR: RawFd = 2;
const JOB: RawFd = 3;
const SCRATCH: RawFd = 4;
const FIRST_CLOSED: libc::c_uint = 5;
/// Larger than every number that a descriptor is moved to.
const FIRST_UNUSED: RawFd = 16;
/// Shortest time between two progress messages.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Exit code of a child that could not even send an answer.
const EXIT_NO_ANSWER: i32 = 70;

/// The descriptors of a `Launch` order, in the order of [`crate::sandbox::wire::control_socket::DESCRIPTORS`].
pub(super) struct Descriptors {
    pub(super) job: OwnedFd,
    pub(super) scratch: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// What all children of a fork server have in common.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// The work that a child does.
    pub(super) work: Work,
    pub(super) mode: SandboxMode,
    pub(super) filters: Filters,
    /// Whether [`Task::Escape`] is performed instead of refused. Only the fork server's command line can say so, no
    /// message.
    pub(super) escape_probes: bool,
    /// The configured limits, for the test child. A job brings its own.
    pub(super) limits: Limits,
    /// Process id of the fork server.
    pub(super) parent: u32,
}

/// Moves the descriptors to their numbers and closes all others.
pub(super) fn arrange(descriptors: Descriptors) -> io::Result<()> {
    let Descriptors { job, scratch, stderr } = descriptors;
    let sources = [(stderr, STDERR), (job, JOB), (scratch, SCRATCH)];
    let mut moved = Vec::with_capacity(sources.len());
    for (from, place) in sources {
        moved.push((rustix::io::fcntl_dupfd_cloexec(&from, FIRST_UNUSED)?, place));
    }
    // Standard input was the control socket; standard output has been /dev/null since the start.
    replace(libc::STDOUT_FILENO, libc::STDIN_FILENO)?;
    for (from, place) in &moved {
        replace(from.as_raw_fd(), *place)?;
    }
    // This also closes descriptors that values in this copied process own. None of those values is dropped, because the
    // process ends by `_exit` or `exec`.
    std::mem::forget(moved);
    // SAFETY: closes descriptors that nothing in this process uses from here on.
    check(unsafe { libc::close_range(FIRST_CLOSED, libc::c_uint::MAX, 0) })
}

/// Everything after the descriptors are arranged, up to the end of the process.
pub(super) fn run_to_end(setup: &Setup) -> ! {
    unmap_libraries::exit_at_once();
    std::panic::set_hook(Box::new(|panic| {
        // Only the source location: the panic message may quote the file's content.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        drop(writeln!(io::stderr(), "panicked at {place}"));
        std::process::abort();
    }));
    // SAFETY: `arrange` put these descriptors here, and nothing else owns them.
    let (mut job, scratch) = unsafe { (File::from_raw_fd(JOB), OwnedFd::from_raw_fd(SCRATCH)) };
    let said = frames::read::<JobSpec>(&mut job).and_then(|spec| {
        let answer = match confine(setup, &scratch, &spec) {
            Ok(status) => perform(setup, &spec, status, &mut job),
            // The job is not the cause: the fork server's end also ends this child.
            Err(error @ JailError::Orphan) => {
                Answer::failed(Verdict::Transient, Code::WorkerSandbox, error.to_string())
            }
            Err(error) => Answer::failed(Verdict::Broken, Code::WorkerSandbox, error.to_string()),
        };
        frames::write(&mut job, &answer)
    });
    let code = if said.is_ok() { 0 } else { EXIT_NO_ANSWER };
    // SAFETY: ends the process at once. The exit handlers of this copied process belong to the fork server and must not
    // run.
    unsafe { libc::_exit(code) }
}

fn confine(setup: &Setup, scratch: &OwnedFd, spec: &JobSpec) -> Result<SandboxStatus, JailError> {
    let terms = JailTerms { limits: spec.limits, nice: spec.nice, parent: setup.parent, input: Some(INPUT) };
    jail::confine_resources(scratch.as_fd(), &terms)?;
    jail::seal(setup.mode, scratch.as_fd(), &setup.filters)
}

fn perform(setup: &Setup, spec: &JobSpec, sandbox: SandboxStatus, job: &mut File) -> Answer {
    let result = match spec.task {
        Task::Normalize | Task::Probe | Task::Measure | Task::Empty => (setup.work.run)(spec, &mut throttled(job)),
        Task::Escape if setup.escape_probes => return escape::attempt(job),
        Task::Escape => Err(Fault::broken(Code::WorkerBroken, "escape probes are not enabled in this worker")),
    };
    match result {
        Ok(report) => Answer::Done { report: Box::new(Report { sandbox, ..report }) },
        Err(Fault::Rejected { code, message }) => Answer::failed(Verdict::Rejected, code, message),
        Err(Fault::Suspect { code, message }) => Answer::failed(Verdict::Suspect, code, message),
        Err(Fault::Transient { code, message, .. }) => Answer::failed(Verdict::Transient, code, message),
        Err(Fault::Broken { code, message }) => Answer::failed(Verdict::Broken, code, message),
        Err(Fault::NoRoom { message }) => Answer::failed(Verdict::Transient, Code::WorkerScratch, message),
        Err(Fault::Paused { code, message, .. }) => Answer::failed(Verdict::Transient, code, message),
        Err(Fault::Shutdown) => Answer::failed(
            Verdict::Broken,
            Code::WorkerBroken,
            "a child was asked to requeue its job, which it cannot do".to_owned(),
        ),
    }
}

fn throttled(job: &mut File) -> impl FnMut(f32) {
    let mut told: Option<Instant> = None;
    move |fraction: f32| {
        if fraction.is_finite() && told.is_none_or(|then| then.elapsed() >= PROGRESS_EVERY) {
            told = Some(Instant::now());
            // If the worker has ended, the kernel ends this child as well.
            drop(frames::write(job, &Answer::Progress { fraction }));
        }
    }
}

fn replace(from: RawFd, place: RawFd) -> io::Result<()> {
    // SAFETY: `place` is a number that no value in this process uses after the fork.
    check(unsafe { libc::dup2(from, place) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
