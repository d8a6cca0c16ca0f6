//! The work itself: one job from message to outcome, and the loop that takes messages and decides what is tried again.

mod ability;
mod age;
mod assets;
mod at_once;
mod desk;
mod endpoints;
mod health;
mod inflight;
mod job;
mod lanes;
mod metrics;
mod outcome;
mod receipt;
mod record;
mod retry;
mod settle;
mod shares;
mod sift;
mod slots;
mod spans;
mod take;
mod workspace;

pub use health::{Health, Part, Readiness};
pub use job::{Job, Parts, Pipeline};
pub use lanes::Worker;
pub use metrics::{Described, METRICS, Metrics};
pub use outcome::{Ended, Failure, Outcome, Subject, event_id};
pub use receipt::Receipt;
pub use slots::Slots;
pub use workspace::{Scratch, Workspace, WorkspaceError};
