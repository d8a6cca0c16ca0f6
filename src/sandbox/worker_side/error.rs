//! The errors with which a job in the sandbox can end.

use std::io;

use crate::error::{Code, Fault};
use crate::sandbox::Ending;

/// Why a job has no report, or why a sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The child answered that it could not do the job, and why.
    #[error("{0}")]
    Answered(Fault),
    /// The child ended without an answer.
    #[error("{0}")]
    Ended(Ending),
    /// The child sent something that is not a valid answer. The file may have taken control of it.
    #[error("the child violated the protocol between worker and child: {0}")]
    Protocol(String),
    /// The scratch directory could not be opened.
    #[error("cannot open the scratch directory: {0}")]
    Scratch(io::Error),
    /// No child could be started.
    #[error("cannot start a child: {0}")]
    Launch(io::Error),
    /// The fork server ended while it ran the job, or none started in time.
    #[error("no fork server completed the job: it ended, or none started in time")]
    Lost,
    /// This fork server is being replaced. The job was not begun, and the next fork server must be asked.
    #[error("the fork server is being replaced and takes no more jobs")]
    Retired,
    /// The kernel cannot confine a child as `sandbox.mode` demands.
    #[error("this machine cannot confine a child as sandbox.mode demands: {missing}")]
    Unsupported {
        /// The missing feature or limit.
        missing: String,
    },
    /// The fork server could not be started.
    #[error("cannot start the fork server: {0}")]
    Server(io::Error),
    /// The worker is stopping.
    #[error("the worker is stopping: no more jobs are started")]
    Closed,
}

impl From<SandboxError> for Fault {
    fn from(error: SandboxError) -> Self {
        let message = error.to_string();
        match error {
            SandboxError::Answered(fault) => fault,
            SandboxError::Ended(ending) => ending.fault(),
            SandboxError::Protocol(_) => Self::suspect(Code::WorkerSandbox, message),
            SandboxError::Scratch(_) => Self::transient(Code::WorkerScratch, message),
            SandboxError::Launch(_) | SandboxError::Lost | SandboxError::Retired => {
                Self::transient(Code::WorkerSandbox, message)
            }
            SandboxError::Unsupported { .. } | SandboxError::Server(_) => Self::broken(Code::WorkerSandbox, message),
            SandboxError::Closed => Self::Shutdown,
        }
    }
}
