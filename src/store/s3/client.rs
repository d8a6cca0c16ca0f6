//! The S3 client: endpoint, region, credentials and timeouts.

use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};

use super::StoreError;
use super::terms::WHEN_REQUIRED;
use crate::secrets::Secret;

/// The region for an S3-compatible server if none is configured; most servers ignore it.
const ANY_REGION: &str = "us-east-1";

/// A client for every bucket of the configured server. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Remote {
    client: Client,
    attempt_timeout: Duration,
    max_attempts: u32,
}

impl Remote {
    /// Reads the credential chain if no credentials are configured. Sends no request to the S3 server yet.
    pub(in crate::store) async fn connect(config: &crate::config::Store) -> Result<Self, StoreError> {
        let seconds = Duration::from_secs;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region(config))
            .retry_config(RetryConfig::standard().with_max_attempts(config.max_attempts))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(seconds(config.connect_timeout_s))
                    .operation_attempt_timeout(seconds(config.attempt_timeout_s))
                    .operation_timeout(seconds(config.operation_timeout_s))
                    .build(),
            )
            // The SDK's check for stalled streams has no configuration key here; the timeouts above and the reader's
            // own apply instead.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if !config.endpoint.is_empty() {
            loader = loader.endpoint_url(&config.endpoint);
        }
        if !config.access_key_id.is_empty() {
            let credentials = Configured { id: config.access_key_id.clone(), key: config.secret_access_key.clone() };
            // The provider only copies two strings. A cache would keep old ones for 15 minutes after they changed.
            loader = loader.credentials_provider(credentials).identity_cache(IdentityCache::no_cache());
        }
        let shared = loader.load().await;
        if shared.region().is_none() {
            return Err(StoreError::Config(
                "store.region is empty, and neither the environment nor the AWS profile sets a region".to_owned(),
            ));
        }
        let mut s3 = aws_sdk_s3::config::Builder::from(&shared).force_path_style(config.path_style);
        if config.checksums == WHEN_REQUIRED {
            s3 = s3
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        let attempt_timeout = seconds(config.attempt_timeout_s);
        Ok(Self { client: Client::from_conf(s3.build()), attempt_timeout, max_attempts: config.max_attempts })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Time limit for one request, and for a pause within the body of an answer.
    pub(super) fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    pub(super) fn max_attempts(&self) -> u32 {
        self.max_attempts
    }
}

/// The configured credentials, read anew for each request, because SIGHUP may have changed them.
#[derive(Debug)]
struct Configured {
    id: Secret,
    key: Secret,
}

impl ProvideCredentials for Configured {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let [id, key] = Secret::expose_together([&self.id, &self.key]);
        future::ProvideCredentials::ready(Ok(Credentials::new(&*id, &*key, None, None, "configuration")))
    }
}

/// The configured region; otherwise, for AWS itself, the SDK's chain up to the instance metadata.
fn region(config: &crate::config::Store) -> RegionProviderChain {
    let configured = (!config.region.is_empty()).then(|| Region::new(config.region.clone()));
    let chain = RegionProviderChain::first_try(configured);
    if config.endpoint.is_empty() {
        chain.or_default_provider()
    } else {
        chain.or_else(EnvironmentVariableRegionProvider::new()).or_else(ANY_REGION)
    }
}
