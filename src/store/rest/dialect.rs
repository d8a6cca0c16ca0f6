//! What only one store's REST knows.

use std::fmt::Debug;

use async_trait::async_trait;
use reqwest::Request;
use reqwest::header::HeaderMap;

use super::{Answer, Ask};
use crate::store::StoreError;

/// What only one store's REST knows: who asks, how an object is asked for, and what answers mean.
#[async_trait]
pub(in crate::store) trait Dialect: Debug + Send + Sync {
    /// Adds what shows who asks. It is called for each attempt.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] where there are no credentials, [`StoreError::Unavailable`] where they cannot be had now.
    async fn authorize(&self, action: &'static str, request: &mut Request) -> Result<(), StoreError>;

    /// What an answer means that is no success.
    fn meaning(&self, action: &'static str, answer: &Answer) -> StoreError;

    /// The request for an object, or for this version of it and no other.
    ///
    /// # Errors
    /// [`StoreError`] where there can be no such request.
    fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Ask<'static>, StoreError>;

    /// The store's name for the version that an answer has.
    fn version(&self, headers: &HeaderMap) -> Option<String>;

    /// MD5 of the whole object, where an answer tells it.
    fn md5(&self, headers: &HeaderMap) -> Option<[u8; 16]>;
}
