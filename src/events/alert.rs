//! `mediamill.alert.v1`: an operator is needed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data of an *alert* event. It is about a part of the system, and about no media and no tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// The role that needs an operator, such as `deliver`.
    pub role: String,
    /// The destination that was stopped, by the name of its table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The stable code of the reason.
    pub code: String,
    /// What the code means.
    pub meaning: String,
    /// What happened, for people: it may change.
    pub explanation: String,
    /// What to do about it.
    pub action: String,
    /// The command after which it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}
