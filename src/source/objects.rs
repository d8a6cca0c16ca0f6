//! Fetches objects of the tenant's own buckets, in any kind of store.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::sink::{Sink, Wanted};
use super::{Fetched, SourceError};
use crate::config::{self, Config, Location};
use crate::store::{Store, StoreError};

/// The buckets of the configuration, by name.
#[derive(Debug)]
pub(super) struct Objects {
    accounts: BTreeMap<String, Account>,
    /// Where media are stored. What is there belongs to tenants.
    own: Location,
    read_timeout: Duration,
}

#[derive(Debug)]
struct Account {
    tenant: String,
    location: Location,
    config: config::Store,
    store: OnceCell<Store>,
}

impl Objects {
    pub(super) fn new(config: &Config, store: &Store) -> Result<Self, SourceError> {
        let account = |(name, bucket): (&String, &config::Bucket)| {
            let location = Location::parse(&bucket.url)
                .map_err(|problem| SourceError::Config(format!("buckets.{name}.url: {problem}")))?;
            let (tenant, config) = (bucket.tenant.clone(), config.store.of_bucket(bucket));
            Ok((name.clone(), Account { tenant, location, config, store: OnceCell::new() }))
        };
        Ok(Self {
            accounts: config.buckets.iter().map(account).collect::<Result<_, SourceError>>()?,
            own: store.location().clone(),
            read_timeout: Duration::from_secs(config.source.read_timeout_s),
        })
    }

    pub(super) async fn fetch(
        &self,
        tenant: &str,
        account: &str,
        url: &str,
        wanted: Wanted,
        dest: &std::path::Path,
    ) -> Result<Fetched, SourceError> {
        let (account, key) = self.vet(tenant, account, url)?;
        let store = account.store.get_or_try_init(|| Store::connect(&account.config)).await.map_err(meaning)?;
        let opened = self.in_time(store.open(&key, None)).await?;
        let mut reader = opened.ok_or_else(|| SourceError::NotFound { origin: "the bucket".to_owned() })?;
        wanted.announced(reader.size_bytes().unwrap_or(0))?;
        let mut sink = Sink::create(dest, wanted).await?;
        while let Some(bytes) = self.in_time(reader.next()).await? {
            sink.write(&bytes).await?;
        }
        sink.finish().await
    }

    /// The account of the tenant, and the key of an object below its address.
    fn vet(&self, tenant: &str, name: &str, url: &str) -> Result<(&Account, String), SourceError> {
        let denied = |problem: &str| SourceError::Denied(problem.to_owned());
        let account = self.accounts.get(name).filter(|account| account.tenant == tenant);
        // Whether another tenant has an account of that name is not told.
        let account = account.ok_or_else(|| denied("the tenant has no such account below [buckets]"))?;
        let asked =
            Location::parse(url).map_err(|problem| SourceError::Invalid(format!("the object's URL {problem}")))?;
        if !asked.is_same_bucket(&account.location) {
            return Err(denied("the object is in another bucket than the account"));
        }
        let key = asked.prefix();
        let rest = match account.location.prefix() {
            "" => Some(key),
            prefix => key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')),
        };
        if rest.is_none_or(str::is_empty) {
            return Err(denied("the object is not below the account's address"));
        }
        // Some servers treat several slashes as one.
        let mut parts = key.split('/').filter(|part| !part.is_empty());
        let mut own = self.own.prefix().split('/').filter(|part| !part.is_empty());
        if asked.is_same_bucket(&self.own) && own.all(|part| parts.next() == Some(part)) {
            return Err(denied(
                "the object is in the store: nothing below store.url may be used as an origin of kind object",
            ));
        }
        Ok((account, key.to_owned()))
    }

    async fn in_time<T>(&self, step: impl Future<Output = Result<T, StoreError>>) -> Result<T, SourceError> {
        let late = |_elapsed| {
            let seconds = self.read_timeout.as_secs();
            SourceError::Timeout(format!("the bucket sent nothing for {seconds} s"))
        };
        timeout(self.read_timeout, step).await.map_err(late)?.map_err(meaning)
    }
}

/// What an error of a store means where it is an origin.
fn meaning(err: StoreError) -> SourceError {
    let origin = "the bucket".to_owned();
    match err {
        StoreError::NotFound { .. } => SourceError::NotFound { origin },
        StoreError::Forbidden { detail, .. } => SourceError::Credentials { origin, detail },
        StoreError::Missing { .. } => SourceError::NoBucket { chosen_by_event: false },
        // The bytes were damaged on their way; the next attempt may receive them intact.
        StoreError::Checksum { .. } | StoreError::Unavailable { .. } => {
            SourceError::Unavailable { detail: err.to_string(), retry_after: None }
        }
        StoreError::Config(_)
        | StoreError::Invalid { .. }
        | StoreError::Range
        | StoreError::Exists { .. }
        | StoreError::Archived { .. }
        | StoreError::TooLarge { .. }
        | StoreError::Scratch(_) => SourceError::Store(err),
    }
}
