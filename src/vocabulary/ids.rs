//! Ids and their limits.

/// Longest tenant and media id in bytes: room for every channel's ids, and none for abuse.
pub const MAX_ID_BYTES: usize = 1024;
