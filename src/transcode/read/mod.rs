//! Reads what a file contains: its format by the first bytes, its structure, its facts.

pub(super) mod cut;
mod edits;
pub(super) mod iso;
pub(super) mod probe;
pub(super) mod sniff;
