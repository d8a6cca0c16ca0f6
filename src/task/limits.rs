//! What one job may use, and what must confine it; both travel to the child as they are configured.

use serde::{Deserialize, Serialize};

/// `[limits]`; travels to the child as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key")]
pub struct Limits {
    pub input_bytes: u64,
    pub pixels: u64,
    pub duration_s: u64,
    pub streams: u32,
    pub wall_s: u64,
    pub cpu_s: u64,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub scratch_bytes: u64,
}

/// How much of the jail the worker insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// All of it, or the worker does not start.
    Required,
    /// As much as the kernel has.
    BestEffort,
    /// Nothing but the separate process and its resource limits.
    Off,
}
