//! What may be stored, what is deleted for certain, and that it stays deleted.

mod audit;
mod consent;
mod office;
mod proof;
mod purge;
mod resurrection;
mod steps;
mod world;
