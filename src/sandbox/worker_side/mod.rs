//! The worker's side of the sandbox: starts fork servers, sends jobs, reads how each child ended.

mod conclude;
mod error;
mod exit_reason;
mod fork_server_handle;
mod options;
mod run_job;
mod servers;
mod supervisor;

pub use error::SandboxError;
pub use exit_reason::Ending;
pub use options::SandboxOptions;
pub use supervisor::{Sandbox, Totals};
