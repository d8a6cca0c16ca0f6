//! What is in the file: its kind by its first bytes, its structure, its facts.

pub(super) mod cut;
pub(super) mod iso;
pub(super) mod probe;
pub(super) mod sniff;
