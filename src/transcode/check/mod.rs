//! Checks of outputs: the proof that every job makes, and the measurements of the `bench` command.

pub(super) mod measure;
pub(super) mod prove;
