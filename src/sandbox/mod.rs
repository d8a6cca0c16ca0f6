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
//! - What holds a child is one numbered recipe in `jail`; which system calls it may make is data in `syscalls`; what no
//!   limit of a single process bounds is watched by the fork server, in `watch`.
//! - What is believed of a child's answer is decided in `conclude`.
//! - Every child of a fork server has the same addresses and the same stack canary, so fork servers are renewed: see
//!   `servers`.

mod arguments;
mod child;
mod conclude;
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
mod servers;
mod supervisor;
mod syscalls;
mod trial;
mod watch;
mod wire;

pub use error::SandboxError;
pub use fork_server::maybe_fork_server;
pub use outcome::Ending;
pub use supervisor::{Launcher, Sandbox, SandboxOptions, Totals};
pub(crate) use watch::{BLOCK_BYTES, MAX_FILES};
