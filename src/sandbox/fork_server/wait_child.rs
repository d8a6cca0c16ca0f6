//! Learns from the kernel how a child ended.
#![expect(
    unsafe_code,
    reason = "wait4 is the only call that returns status and resource usage of one child, and has no wrapper"
)]

use std::io;

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::wire::messages::{ChildEnd, Excess, Usage};

/// Waits for the end of a child of this process and reaps it.
pub(in crate::sandbox) fn wait(pid: Pid) -> io::Result<ChildEnd> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers refer to variables of this function with the types that the call writes.
    while unsafe { libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, 0, usage.as_mut_ptr()) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: an all-zero rusage is valid, and wait4 succeeded.
    let usage = unsafe { usage.assume_init() };
    let used = Usage {
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        peak_memory_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    };
    Ok(if libc::WIFSIGNALED(status) {
        ChildEnd::Signalled { signal: libc::WTERMSIG(status), used }
    } else {
        ChildEnd::Exited { code: libc::WEXITSTATUS(status), used }
    })
}

impl ChildEnd {
    /// The same end, for a child that exceeded a bound.
    pub(in crate::sandbox) const fn exceeded(self, excess: Excess) -> Self {
        match self {
            Self::Exited { used, .. } | Self::Signalled { used, .. } | Self::Exceeded { used, .. } => {
                Self::Exceeded { excess, used }
            }
            Self::NotForked { errno } => Self::NotForked { errno },
        }
    }
}

impl Usage {
    /// The CPU time in seconds.
    pub(in crate::sandbox) fn cpu_s(self) -> f64 {
        std::time::Duration::from_micros(self.cpu_us).as_secs_f64()
    }
}

/// Kills and reaps a child that was just forked.
pub(in crate::sandbox) fn kill(pid: Pid) {
    if kill_process(pid, Signal::KILL).is_ok() {
        drop(wait(pid));
    }
}

fn micros(time: libc::timeval) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000 + part(time.tv_usec)
}
