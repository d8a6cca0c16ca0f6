//! A step that failed and what that means for its message; also panics, which are failures too.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::error::Fault;
use crate::events::Stage;

/// The failure of a step, which ended the work on a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", stage.as_str())]
pub struct Failure {
    /// The step that failed.
    pub stage: Stage,
    /// What happened, and what it means for the message.
    pub fault: Fault,
}

/// Adds to an error the step at which it occurred.
pub trait At<T> {
    /// Turns the error into the [`Failure`] of `stage`.
    ///
    /// # Errors
    /// The error with its stage.
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Into<Fault>> At<T> for Result<T, E> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|err| Failure { stage, fault: err.into() })
    }
}

/// The output of a future; `None` if it panics. The panic hook has then logged where.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}
