//! The gateway of a build that has none.

use tokio_util::sync::CancellationToken;

use super::CliError;
use crate::config::Config;
use crate::runtime::Health;

/// A gateway that no build of this kind has.
pub(super) enum Door {}

impl Door {
    /// Says so.
    #[expect(clippy::unused_async, reason = "as the gateway's own")]
    pub(super) async fn open(_config: &Config) -> Result<Self, CliError> {
        Err(CliError::Usage("gateway.listen is set, and this build has no gateway".to_owned()))
    }

    pub(super) fn health(&self) -> Health {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the gateway's own")]
    pub(super) async fn run(self, _shutdown: CancellationToken) -> Result<(), CliError> {
        match self {}
    }
}
