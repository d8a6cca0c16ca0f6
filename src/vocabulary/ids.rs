//! Limits of ids.

/// Longest tenant and media id in bytes: enough for the ids of all channels.
pub const MAX_ID_BYTES: usize = 1024;
