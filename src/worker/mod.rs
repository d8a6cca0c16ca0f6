//! The work itself: one job from message to outcome, and the loop that takes messages and decides what is tried again.

mod ability;
mod answer;
mod assets;
mod at_once;
mod clock;
mod desk;
mod disposition;
mod endpoints;
mod fetch;
mod health;
mod inflight;
mod job;
mod lanes;
mod manifests;
mod metrics;
mod outcome;
mod pipeline;
mod record;
mod rejected;
mod retry;
mod settle;
mod shares;
mod sift;
mod slots;
mod spans;
mod take;
mod vet;
mod workspace;

pub use health::{Health, Part, Readiness};
pub use job::{Job, Parts, Pipeline, Receipt};
pub use lanes::Worker;
pub use metrics::{Described, METRICS, Metrics};
pub use outcome::{About, Failure, Outcome, Subject};
pub use pipeline::{Parts, Pipeline};
pub use slots::Slots;
pub use workspace::{Room, Scratch, Workspace, WorkspaceError};
