//! The options that a sandbox is started with.

use std::path::PathBuf;

use crate::sandbox::wire::arguments::Launcher;
use crate::task::{Limits, SandboxMode};

/// How many jobs a fork server runs. A start costs some tenths of a second of CPU time, less than a hundredth of what a
/// thousand voice notes cost.
const RENEW_AFTER_JOBS: u64 = 1000;

/// The options that a [`Sandbox`] is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Which parts of the jail must be in force.
    pub mode: SandboxMode,
    /// The limits of each job. If this process is not permitted to set them, the sandbox does not start.
    pub limits: Limits,
    /// The program that is re-executed. Only tests use another one than this.
    pub program: PathBuf,
    /// How child processes are created.
    pub launcher: Launcher,
    /// Whether children perform [`crate::task::Task::Escape`]: for tests of the jail and for `doctor --attack`.
    pub escape_probes: bool,
    /// After this many jobs a fork server is replaced.
    pub renew_after_jobs: u64,
}

impl SandboxOptions {
    /// The options for this program in this mode, for jobs with these limits.
    #[must_use]
    pub fn new(mode: SandboxMode, limits: Limits) -> Self {
        Self {
            mode,
            limits,
            program: PathBuf::from("/proc/self/exe"),
            launcher: Launcher::Fork,
            escape_probes: false,
            renew_after_jobs: RENEW_AFTER_JOBS,
        }
    }
}
