//! `manifest.json`: written last next to the assets. Where it exists the job is done.

use serde::{Deserialize, Serialize};

use super::Normalized;

/// Everything that is needed to say the same outcome again, word by word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `id` of the outcome event. Every repetition carries the same one, so that consumers can drop it.
    pub event_id: String,
    /// `time` of the outcome event (RFC 3339).
    pub time: String,
    /// `data` of the outcome event.
    pub data: Normalized,
}
