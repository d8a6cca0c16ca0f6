//! The work itself, as a table of functions: the sandbox calls them without knowing what they do.

use super::{JobSpec, Libav, Report};
use crate::error::Fault;

/// What a child does. The program gives it to the fork server at its start; the sandbox knows nothing else of it.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Loads, in the fork server, what every job needs, so that children share it. Must not start a thread.
    pub warm: fn(),
    /// Full paths of the libraries that children need; the fork server unmaps the others.
    pub libraries: fn() -> Vec<String>,
    /// What the children can decode and encode, for the worker and for `doctor`.
    pub inventory: fn() -> Libav,
    /// Runs once at the start in a confined child, without a file. The error names what is missing.
    pub rehearse: fn() -> Result<(), String>,
    /// Does one job in the current directory; reports progress from 0 to 1.
    pub run: Run,
}

/// Does one job; the second argument is told the progress, 0 to 1.
pub type Run = fn(&JobSpec, &mut dyn FnMut(f32)) -> Result<Report, Fault>;
