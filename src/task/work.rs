//! The work of a child as a table of functions, which the sandbox calls without knowing what they do.

use super::{JobSpec, Libav, Report};
use crate::error::Fault;

/// The work of a child. The program passes it to the fork server at its start; the sandbox knows nothing else about it.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Loads everything that all jobs need in the fork server, so that children share it. Must not start a thread.
    pub warm: fn(),
    /// Full paths of the libraries that children need. The others are not mapped in children.
    pub libraries: fn() -> Vec<String>,
    /// What children can decode and encode, for the worker and for `doctor`.
    pub inventory: fn() -> Libav,
    /// Runs once at the start, in a confined child without a file. The error names what is missing.
    pub rehearse: fn() -> Result<(), String>,
    /// Does one job in the current directory. The second argument is called with the progress, from 0 to 1.
    pub run: Run,
}

/// Does one job. The second argument is called with the progress, from 0 to 1.
pub type Run = fn(&JobSpec, &mut dyn FnMut(f32)) -> Result<Report, Fault>;
