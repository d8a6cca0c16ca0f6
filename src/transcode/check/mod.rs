//! Whether an output is what it should be: proofs for every job, measurements for the `bench` command.

pub(super) mod measure;
pub(super) mod prove;
