//! The worker: one job from message to outcome.
//!
//! `role` says what becomes of a message, `pipeline` does its job: fetch, transcode in the sandbox, store, the manifest
//! last. `mediamill normalize` runs the same pipeline without a broker (`offline`).

mod ability;
mod allowed;
mod answer;
mod capacity;
mod clock;
mod describe;
mod disposition;
mod fetch;
mod forecast;
mod intake;
mod job;
mod lifetime;
mod manifests;
mod metrics;
mod offline;
mod one_job_per_media;
mod outcome;
mod pipeline;
mod publish_outcome;
mod put_off;
mod rejected;
mod role;
mod scratch;
mod unfetched;
mod upload;
mod vet;

pub use crate::roles::lanes::Lane;
pub use crate::runtime::{Described, Failure};
pub use capacity::slots;
pub use forecast::forecast;
pub use intake::{Reading, Request};
pub use job::Job;
pub use metrics::{METRICS, Metrics};
pub use outcome::{About, Outcome, Subject};
pub use pipeline::{Parts, Pipeline};
pub use role::{Worker, service, topology};
pub use scratch::{Room, Scratch, Workspace, WorkspaceError};
