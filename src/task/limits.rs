//! The limits of a job, and how it must be confined; both are sent to the child as configured.

use serde::{Deserialize, Serialize};

/// `[limits]`, sent to the child unchanged.
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

/// Which parts of the jail must be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// All of them; otherwise the worker does not start.
    Required,
    /// As many as the kernel supports.
    BestEffort,
    /// None but the separate process and its resource limits.
    Off,
}
