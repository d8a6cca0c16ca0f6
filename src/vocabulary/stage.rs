//! The steps of a job.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step at which a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading the event.
    Parse,
    /// Fetching the file.
    Fetch,
    /// Processing it in the jailed child.
    Transcode,
    /// Storing the assets.
    Store,
    /// Publishing the outcome.
    Publish,
}

impl Stage {
    /// The word used in events, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Fetch => "fetch",
            Self::Transcode => "transcode",
            Self::Store => "store",
            Self::Publish => "publish",
        }
    }
}
