//! Confines one test child as the child of every job is confined, with the configured limits, and has it rehearse a
//! job. So a worker learns at its start what this machine can enforce, whether it may set its limits, and whether
//! children have what they need.
#![expect(unsafe_code, reason = "fork and _exit have no safe wrapper")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use super::wait_child;
use crate::sandbox::child::Setup;
use crate::sandbox::child::jail::{self, JailTerms};
use crate::sandbox::child::unmap_libraries;
use crate::sandbox::wire::messages::ChildEnd;
use crate::vocabulary::SandboxStatus;

/// Returns what confined the test child, or what is missing.
pub(in crate::sandbox) fn run(setup: &Setup) -> io::Result<Result<SandboxStatus, String>> {
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (heard, said) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: the fork server has one thread.
    let forked = unsafe { unmap_libraries::fork() };
    if forked == 0 {
        let verdict = confined(setup, root.as_fd());
        let told = serde_json::to_vec(&verdict).map(|json| File::from(said).write_all(&json));
        // SAFETY: ends the process at once, without the exit handlers of the fork server.
        unsafe { libc::_exit(i32::from(!matches!(told, Ok(Ok(()))))) };
    }
    if forked < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = Pid::from_raw(forked).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    drop(said);
    let mut json = Vec::new();
    File::from(heard).read_to_end(&mut json)?;
    match wait_child::wait(pid)? {
        ChildEnd::Exited { code: 0, .. } => Ok(serde_json::from_slice(&json)?),
        end => Ok(Err(format!("a test child did not survive its confinement: {end:?}"))),
    }
}

/// All steps of the jail, with the root directory as its scratch directory and without a file.
fn confined(setup: &Setup, root: BorrowedFd<'_>) -> Result<SandboxStatus, String> {
    let terms = JailTerms { limits: setup.limits, nice: 0, parent: setup.parent, input: None };
    let settled = jail::confine_resources(root, &terms);
    let status = settled.and_then(|()| jail::seal(setup.mode, root, &setup.filters));
    let status = status.map_err(|error| error.to_string())?;
    (setup.work.rehearse)().map(|()| status)
}
