//! A step that failed, and what that means for its message; and panics, which are failures too.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::error::Fault;
use crate::events::Stage;

/// A step that ended the work on a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", stage.as_str())]
pub struct Failure {
    /// The step.
    pub stage: Stage,
    /// What happened, and what it means for the message.
    pub fault: Fault,
}

/// Marks an error with the step at which it came up.
pub trait At<T> {
    /// The error as the end of the work at `stage`.
    ///
    /// # Errors
    /// The error, marked.
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Into<Fault>> At<T> for Result<T, E> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|err| Failure { stage, fault: err.into() })
    }
}

/// What a future gives, unless it panics. The panic hook has logged the place by then.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}
