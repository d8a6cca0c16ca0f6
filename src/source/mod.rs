//! Fetches original files. Each fetch writes into one scratch file, and counts, limits and hashes the bytes as they
//! arrive.

mod channel;
mod error;
mod file;
mod http;
mod objects;
mod peers;
mod s3;
mod sink;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::SourceError;
pub use peers::Peers;

use channel::{Accounts, Order};
use file::Roots;
use http::Http;
use objects::Objects;
use s3::Buckets;
use sink::Wanted;

use crate::config::Config;
use crate::egress::{Anybody, Pace};
use crate::events::{Declared, Origin};
use crate::store::Store;

/// A file that was fetched completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

/// The declared SHA-256 in lower-case hex, if there is one.
///
/// # Errors
/// [`SourceError::DeclaredHash`] if the declared text is not a SHA-256.
pub(crate) fn declared_sha256(declared: &Declared) -> Result<Option<String>, SourceError> {
    Ok(declared.sha256.as_deref().map(sink::parse_sha256).transpose()?.map(hex::encode))
}

/// The clients for all kinds of origin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    roots: Roots,
    buckets: Buckets,
    objects: Objects,
    http: Http,
    accounts: Accounts,
    pace: Pace,
    total_timeout: Duration,
}

impl Sources {
    /// Creates the clients. No connection is made yet.
    ///
    /// # Errors
    /// [`SourceError::Config`] if the `[source]` configuration is invalid.
    pub fn new(config: &Config, store: &Store) -> Result<Self, SourceError> {
        Ok(Self(Arc::new(Inner {
            roots: Roots::new(&config.source.file_roots, store),
            buckets: Buckets::new(config, store),
            objects: Objects::new(config, store)?,
            http: Http::new(&config.source),
            accounts: Accounts::new(config)?,
            pace: Pace::new(config.source.min_bytes_per_s, Duration::from_secs(config.source.min_rate_window_s)),
            total_timeout: Duration::from_secs(config.source.total_timeout_s),
        })))
    }

    /// Fetches an origin of a tenant into `dest`, which is created or emptied, and compares size and hash with the
    /// declared ones.
    ///
    /// # Errors
    /// [`SourceError`]; the content of `dest` is then useless.
    pub async fn fetch(
        &self,
        tenant: &str,
        origin: &Origin,
        declared: Option<&Declared>,
        limit_bytes: u64,
        dest: &Path,
    ) -> Result<Fetched, SourceError> {
        self.fetch_by(&Anybody, tenant, origin, declared, limit_bytes, dest).await
    }

    /// As [`Sources::fetch`]; `peers` sees each address before it is connected to.
    ///
    /// # Errors
    /// As [`Sources::fetch`], and the error that `peers` returns for an address.
    pub async fn fetch_by(
        &self,
        peers: &dyn Peers,
        tenant: &str,
        origin: &Origin,
        declared: Option<&Declared>,
        limit_bytes: u64,
        dest: &Path,
    ) -> Result<Fetched, SourceError> {
        let wanted = Wanted::new(declared, limit_bytes)?.at(self.0.pace);
        let first = self.fetch_once(peers, tenant, origin, declared, wanted, dest).await;
        let Err(SourceError::HashMismatch { actual }) = &first else { return first };
        // The bytes were damaged on their way, or the file never had the declared hash. A second fetch shows which.
        match self.fetch_once(peers, tenant, origin, declared, wanted, dest).await {
            Err(SourceError::HashMismatch { actual: again }) if again != *actual => Err(SourceError::Unavailable {
                detail: "two fetches brought different bytes, and neither has the declared hash".to_owned(),
                retry_after: None,
            }),
            // The second fetch got no file or another one, as with a link that works once. The result of the first
            // fetch counts.
            Err(
                SourceError::HashMismatch { .. }
                | SourceError::NotFound { .. }
                | SourceError::Forbidden { .. }
                | SourceError::Denied(_)
                | SourceError::Invalid(_)
                | SourceError::Empty
                | SourceError::TooLarge { .. }
                | SourceError::SizeMismatch { .. }
                | SourceError::NoBucket { .. }
                | SourceError::DeclaredHash,
            ) => first,
            // The second fetch succeeded, or failed for a temporary reason: neither says that the file is bad.
            second @ (Ok(_)
            | Err(
                SourceError::Unavailable { .. }
                | SourceError::Timeout(_)
                | SourceError::Paused { .. }
                | SourceError::Scratch(_)
                | SourceError::Store(_)
                | SourceError::Credentials { .. }
                | SourceError::Config(_),
            )) => second,
        }
    }

    /// How long the provider of each channel account keeps files.
    #[must_use]
    pub fn lifetimes(&self) -> Vec<(String, Duration)> {
        self.0.accounts.lifetimes()
    }

    /// How long the provider keeps the file, counted from when the message was sent; `None` if that is not known.
    #[must_use]
    pub fn lifetime(&self, origin: &Origin) -> Option<Duration> {
        match origin {
            Origin::Channel { account, .. } => self.0.accounts.lifetime(account),
            Origin::File { .. } | Origin::S3 { .. } | Origin::Object { .. } | Origin::Http { .. } => None,
        }
    }

    async fn fetch_once(
        &self,
        peers: &dyn Peers,
        tenant: &str,
        origin: &Origin,
        declared: Option<&Declared>,
        wanted: Wanted,
        dest: &Path,
    ) -> Result<Fetched, SourceError> {
        let fetch = async {
            match origin {
                Origin::File { path } => self.0.roots.fetch(path, wanted, dest).await,
                Origin::S3 { bucket, key } => Box::pin(self.0.buckets.fetch(bucket, key, wanted, dest)).await,
                Origin::Object { account, url } => {
                    Box::pin(self.0.objects.fetch(tenant, account, url, wanted, dest)).await
                }
                Origin::Http { url } => Box::pin(self.0.http.fetch(url, wanted, dest, peers)).await,
                Origin::Channel { account, media } => {
                    Box::pin(self.0.accounts.fetch(account, Order { tenant, media, declared, wanted, dest }, peers))
                        .await
                }
            }
        };
        let total = self.0.total_timeout;
        tokio::time::timeout(total, fetch).await.unwrap_or_else(|_elapsed| {
            Err(SourceError::Timeout(format!("the file did not arrive within {} s", total.as_secs())))
        })
    }

    /// Copies a file that a person named on the command line. Any path is allowed, roots do not matter. Never used for
    /// events.
    ///
    /// # Errors
    /// As [`Sources::fetch`].
    pub async fn fetch_local(&self, path: &Path, limit_bytes: u64, dest: &Path) -> Result<Fetched, SourceError> {
        file::fetch_any(path, Wanted::new(None, limit_bytes)?, dest).await
    }
}
