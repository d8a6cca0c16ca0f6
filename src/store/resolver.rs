//! From an address to the backend that serves it. What the address means is decided by [`Location::parse`].

use std::sync::Arc;

use super::StoreError;
use super::backend::{Account, Backend};
use super::local::Local;
use super::s3::{Remote, S3};
use crate::config::{self, Location};

/// The backend for a store. Talks to no server yet.
pub(super) async fn backend(location: &Location, config: &config::Store) -> Result<Arc<dyn Backend>, StoreError> {
    Ok(match location {
        Location::Local { root } => Arc::new(Local::new(root.clone())),
        Location::S3 { bucket, .. } => Arc::new(S3::connect(config, bucket).await?),
        #[cfg(feature = "gcp")]
        Location::Gcs { bucket, .. } => Arc::new(super::gcs::Gcs::connect(config, bucket)?),
        #[cfg(not(feature = "gcp"))]
        Location::Gcs { .. } => return Err(not_built("gs://", "gcp")),
        #[cfg(feature = "azure")]
        Location::Azure { container, .. } => Arc::new(super::azure::Azure::connect(config, container)?),
        #[cfg(not(feature = "azure"))]
        Location::Azure { .. } => return Err(not_built("az://", "azure")),
    })
}

/// The configuration is refused before: [`Location::parse`] knows no such address.
#[cfg(not(all(feature = "gcp", feature = "azure")))]
fn not_built(scheme: &str, feature: &str) -> StoreError {
    StoreError::Config(format!("store.url: this program is built without {scheme} (cargo feature {feature})"))
}

/// The S3 server of the configuration, for origins where the store itself is a directory. Talks to no server yet.
///
/// # Errors
/// [`StoreError::Config`] where the configuration cannot be understood.
pub(crate) async fn s3_account(config: &config::Store) -> Result<Arc<dyn Account>, StoreError> {
    Ok(Arc::new(Remote::connect(config).await?))
}
