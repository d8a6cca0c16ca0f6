//! Starts a confined child process for each job, sends it the job, receives its answer, and learns from the kernel how
//! it ended.
//!
//! ```text
//! worker (tokio) ── control socket: Launch + descriptors, Kill ──> fork server (one thread, libav loaded)
//!   │   ^ ▲                        <── Ready, Ended ───────────        │ fork()
//!   │   │ └───── progress, one answer ──────────────────┐              ▼
//!   └───┴─────── job socket: one JobSpec ───────────────┴──────────> child: jail, then the work, then _exit
//! ```
//!
//! - [`Sandbox`] is the worker's side: `run` runs one job and returns its report or a [`SandboxError`].
//! - The fork server and the child are the same program, re-executed before it has any thread: see
//!   [`maybe_fork_server`], which must be the first thing in `main`.
//! - There is one folder for each process: `worker_side` (the worker), `fork_server`, `child`. `wire` has the messages
//!   between them.
//! - The steps that confine a child are numbered in `child/jail.rs`; `child/syscalls.rs` lists the system calls that it
//!   may make; the fork server watches what no resource limit of a process bounds (`fork_server/watch.rs`).
//! - `worker_side/conclude.rs` decides which parts of a child's answer are used.
//! - All children of a fork server have the same memory addresses and stack canary, so fork servers are replaced from
//!   time to time: see `worker_side/servers.rs`.
//! - The work in a child is a table of functions, [`crate::task::Work`]: the sandbox does not use libav itself.

mod child;
mod fork_server;
mod wire;
mod worker_side;

pub use fork_server::maybe_fork_server;
pub(crate) use fork_server::watch::{BLOCK_BYTES, MAX_FILES};
pub use wire::arguments::Launcher;
pub use worker_side::{Ending, Sandbox, SandboxError, SandboxOptions, Totals};
