//! The catalogue of a build that has none.

use tokio_util::sync::CancellationToken;

use super::CliError;
use crate::config::Config;
use crate::runtime::Health;
use crate::store::Store;

/// A catalogue that no build of this kind has.
pub(super) enum CatalogDoor {}

impl CatalogDoor {
    /// Says so.
    #[expect(clippy::unused_async, reason = "as the catalogue's own")]
    pub(super) async fn open(_config: &Config, _store: &Store) -> Result<Self, CliError> {
        Err(CliError::Usage("catalog.listen is set, and this build has no catalogue".to_owned()))
    }

    pub(super) fn health(&self) -> Health {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the catalogue's own")]
    pub(super) async fn run(self, _shutdown: CancellationToken) -> Result<(), CliError> {
        match self {}
    }
}
