//! Names of the headers that roles write on messages that they move to another queue.

/// Our own headers. All start with [`OURS`], and replaying a message removes them.
pub(super) const OURS: &str = "x-mediamill-";
pub(super) const ATTEMPTS: &str = "x-mediamill-attempts";
pub(super) const SUSPICIONS: &str = "x-mediamill-suspicions";
pub(super) const CODE: &str = "x-mediamill-code";
/// How often the broker delivered a message before it was moved. The broker counts from 0 again in the next queue.
pub(super) const DELIVERIES: &str = "x-mediamill-deliveries";
pub(super) const STAGE: &str = "x-mediamill-stage";
pub(super) const REASON: &str = "x-mediamill-reason";
pub(super) const LANE: &str = "x-mediamill-lane";
