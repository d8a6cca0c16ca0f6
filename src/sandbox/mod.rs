//! The jailed child: what it is told, how it is held, how its end is read.
//!
//! ```text
//! worker (tokio) ── control socket: Launch + descriptors, Kill ──> fork server (one thread, libav warm)
//!   │   ^ ▲                        <── Ready, Ended ───────────        │ fork()
//!   │   │ └───── progress, one answer ──────────────────┐              ▼
//!   └───┴─────── job socket: one JobSpec ───────────────┴──────────> child: jail, then transcode, then _exit
//! ```
//!
//! - [`Sandbox`] is the worker's side: `run` one job, get its report or a [`SandboxError`].
//! - The fork server and the child are the same program, re-executed before it has any thread: see
//!   [`maybe_fork_server`], which must be the first thing in `main`.
//! - What holds a child is one numbered recipe in `jail`; which system calls it may make is data in `syscalls`.

mod arguments;
mod child;
mod control;
mod error;
mod escape;
mod fork_server;
mod jail;
mod job;
mod lean;
mod link;
mod outcome;
pub mod protocol;
mod reap;
mod seccomp;
mod supervisor;
mod syscalls;
mod trial;
mod wire;

pub use error::SandboxError;
pub use fork_server::maybe_fork_server;
pub use outcome::Ending;
pub use supervisor::{Launcher, Sandbox, SandboxOptions, Totals};
