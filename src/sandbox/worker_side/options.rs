//! What a sandbox is started with.

use std::path::PathBuf;

use crate::sandbox::wire::arguments::Launcher;
use crate::task::{Limits, SandboxMode};

/// Jobs of one fork server. A start costs some tenths of a second of CPU: less than a hundredth of a thousand voice notes.
const RENEW_AFTER_JOBS: u64 = 1000;

/// What a [`Sandbox`] is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// How much of the jail is insisted on.
    pub mode: SandboxMode,
    /// What jobs may use at most: where this process may not set such limits, the sandbox does not start.
    pub limits: Limits,
    /// The program that is re-executed: this one, unless a test says otherwise.
    pub program: PathBuf,
    /// How a child comes to be.
    pub launcher: Launcher,
    /// Whether children do [`crate::task::Task::Escape`]. For the jail's own tests only.
    pub escape_probes: bool,
    /// After so many jobs a fork server makes way for another one.
    pub renew_after_jobs: u64,
}

impl SandboxOptions {
    /// This program as fork server, in this mode, for jobs with these limits.
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
