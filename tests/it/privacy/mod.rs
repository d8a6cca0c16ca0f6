//! What may be stored, what is deleted for certain, and that it stays deleted.

pub(crate) mod audit;
mod consent;
mod office;
mod proof;
mod purge;
mod resurrection;
pub(crate) mod steps;
pub(crate) mod world;
