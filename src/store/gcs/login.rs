//! Credentials and signatures, by `object_store`: a service account's key, what `gcloud` keeps, or the machine's own account.

use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions, Signer};
use object_store::{ClientOptions, RetryConfig};

use super::address::Address;
use super::{Link, LinkOptions, StoreError};
use crate::secrets::Secret;
use crate::store::SignedUrl;
use crate::store::rest::HeaderValue;

const SIGN: &str = "sign a link";
/// `store.gcs_credentials` for a server that asks for none: an emulator.
const ANONYMOUS: &str = "anonymous";

/// Who asks. What is configured is read again where it has changed.
pub(super) struct Login {
    credentials: Secret,
    bucket: String,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    max_attempts: u32,
    current: Mutex<Option<(Arc<str>, Arc<GoogleCloudStorage>)>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Login {
    pub(super) fn new(config: &crate::config::Store, bucket: &str) -> Self {
        Self {
            credentials: config.gcs_credentials.clone(),
            bucket: bucket.to_owned(),
            connect_timeout: Duration::from_secs(config.connect_timeout_s),
            attempt_timeout: Duration::from_secs(config.attempt_timeout_s),
            max_attempts: config.max_attempts,
            current: Mutex::new(None),
        }
    }

    /// The value of `Authorization`; nothing where nobody asks for one.
    pub(super) async fn bearer(&self, action: &'static str) -> Result<Option<HeaderValue>, StoreError> {
        let Some(account) = self.account()? else { return Ok(None) };
        let credential = account.credentials().get_credential().await.map_err(|err| refused(action, &err))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.bearer))
            .map_err(|_| StoreError::Config("the store's access token cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// A link (Google's V4 signature). By a service account's key it is computed here; other accounts ask IAM to sign, for
    /// which they need `iam.serviceAccounts.signBlob`.
    pub(super) async fn sign(
        &self,
        key: &str,
        options: &LinkOptions<'_>,
        address: &Address,
    ) -> Result<Link, StoreError> {
        let Some(account) = self.account()?.filter(|_| address.is_google()) else { return Ok(Link::Stream) };
        let path = Path::parse(key).map_err(|_| StoreError::invalid(SIGN, "no link can name this key"))?;
        let wanted = [
            ("response-content-type", options.content_type),
            ("response-content-disposition", options.content_disposition),
        ];
        let wanted = wanted.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let extra = SignedUrlOptions::new().with_query(wanted);
        // The signature has no fractions of seconds.
        let life = Duration::from_secs(options.expires_in.as_secs());
        let now = SystemTime::now();
        let url = account.signed_url_opts(Method::GET, &path, life, &extra).await.map_err(|err| refused(SIGN, &err))?;
        Ok(Link::Signed(SignedUrl::new(url.into(), now + life)))
    }

    /// The account of the configuration as it is now; nothing where the server asks for none.
    fn account(&self) -> Result<Option<Arc<GoogleCloudStorage>>, StoreError> {
        let text = self.credentials.expose();
        if &*text == ANONYMOUS {
            return Ok(None);
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, account)) = current.as_ref().filter(|(known, _)| *known == text) {
            return Ok(Some(Arc::clone(account)));
        }
        let account = Arc::new(self.build(&text)?);
        *current = Some((text, Arc::clone(&account)));
        Ok(Some(account))
    }

    fn build(&self, key: &str) -> Result<GoogleCloudStorage, StoreError> {
        let retry = RetryConfig {
            max_retries: usize::try_from(self.max_attempts.saturating_sub(1)).unwrap_or(0),
            retry_timeout: self.attempt_timeout,
            ..RetryConfig::default()
        };
        let client = ClientOptions::new().with_timeout(self.attempt_timeout).with_connect_timeout(self.connect_timeout);
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_retry(retry)
            .with_client_options(client);
        if !key.is_empty() {
            builder = builder.with_service_account_key(key);
        } else if let Ok(path) = env::var("GOOGLE_APPLICATION_CREDENTIALS") {
            builder = builder.with_application_credentials(path);
        }
        // The cause may repeat what is configured.
        builder.build().map_err(|_| {
            let known = "a service account's key (JSON), anonymous, or empty for Google's own search for credentials";
            StoreError::Config(format!("store.gcs_credentials cannot be used: it is {known}"))
        })
    }
}

/// What it means that there are no credentials.
fn refused(action: &'static str, err: &object_store::Error) -> StoreError {
    match err {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            StoreError::Forbidden { action, detail: "Google refuses the account".to_owned(), source: None }
        }
        _ => StoreError::unavailable(action, "the credentials cannot be had at the moment"),
    }
}
