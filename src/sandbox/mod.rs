//! Starts a confined child process for each job, sends it the job, and learns how it ended.
//!
//! ```text
//! worker (tokio) ── control socket: Launch + descriptors, Kill ──> fork server (one thread, libav loaded)
//!   │   ^ ▲                        <── Ready, Ended ───────────        │ fork()
//!   │   │ └───── progress, one answer ──────────────────┐              ▼
//!   └───┴─────── job socket: one JobSpec ───────────────┴──────────> child: jail, then the work, then _exit
//! ```
//!
//! - [`Sandbox`] is the worker's side: `run` one job, get its report or a [`SandboxError`].
//! - The fork server and the child are the same program, re-executed before it has any thread: see
//!   [`maybe_fork_server`], which must be the first thing in `main`.
//! - One folder for each process: `worker_side` (the worker), `fork_server`, `child`; `wire` is what they send each
//!   other.
//! - The steps that confine a child are numbered in `child/jail.rs`; the system calls that it may make are data in
//!   `child/syscalls.rs`; the fork server observes what no limit of a single process bounds (`fork_server/watch.rs`).
//! - `worker_side/conclude.rs` decides which parts of a child's answer are used.
//! - Every child of a fork server has the same addresses and the same stack canary, so fork servers are replaced: see
//!   `worker_side/servers.rs`.
//! - What a child does is a table of functions, [`crate::task::Work`]: nothing here knows libav.

mod child;
mod fork_server;
mod wire;
mod worker_side;

pub use fork_server::maybe_fork_server;
pub(crate) use fork_server::watch::{BLOCK_BYTES, MAX_FILES};
pub use wire::arguments::Launcher;
pub use worker_side::{Ending, Sandbox, SandboxError, SandboxOptions, Totals};
