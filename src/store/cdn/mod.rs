//! Links that a content delivery network serves, in the place of those of the store that it reads from.

mod cloudfront;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use super::{LinkOptions, SignedUrl, StoreError};
use crate::config::Links;

/// Signs links for one network. Another network is another type; `signer` chooses by `links.signer`.
pub(super) trait Signer: Debug + Send + Sync {
    /// A URL that lets whoever has it read this object until it expires.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the key does not sign.
    fn sign(&self, key: &str, options: &LinkOptions<'_>, now: SystemTime) -> Result<SignedUrl, StoreError>;
}

/// The signer that the configuration names; nothing where the store signs its own links.
///
/// # Errors
/// [`StoreError::Config`] where its key cannot be read, or there is no such signer.
pub(super) fn signer(links: &Links) -> Result<Option<Arc<dyn Signer>>, StoreError> {
    match links.signer.as_str() {
        "" => Ok(None),
        "cloudfront" => Ok(Some(Arc::new(cloudfront::CloudFront::new(links)?))),
        _ => Err(StoreError::Config("links.signer: must be cloudfront, or empty".to_owned())),
    }
}
