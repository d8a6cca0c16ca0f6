//! Credentials and the authorization of requests, by `object_store`: the account's key (Shared Key), a shared access
//! signature, an application with its secret, the workload identity of Kubernetes, or the machine's managed identity.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::azure::{AzureAuthorizer, AzureConfigKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{ClientOptions, RetryConfig};
use url::Url;

use super::{StoreError, rest};
use crate::secrets::Secret;

/// Who asks. What is configured is read again where it has changed.
pub(super) struct Login {
    account: String,
    container: String,
    pub(super) key: Secret,
    sas: Secret,
    tenant_id: String,
    client_id: String,
    client_secret: Secret,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    max_attempts: u32,
    current: Mutex<Option<Current>>,
}

/// The secrets that a client was made with, and the client.
type Current = ([Arc<str>; 3], Arc<MicrosoftAzure>);

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What a link can be signed with.
pub(super) enum Signing {
    /// The account's key, in base64.
    Key(Arc<str>),
    /// A key that the service gives to whoever has a token.
    Delegated,
    /// Nothing: whoever has a signature only cannot make others.
    Nothing,
}

impl Login {
    pub(super) fn new(config: &crate::config::Store, container: &str) -> Self {
        Self {
            account: config.azure_account.clone(),
            container: container.to_owned(),
            key: config.azure_key.clone(),
            sas: config.azure_sas.clone(),
            tenant_id: config.azure_tenant_id.clone(),
            client_id: config.azure_client_id.clone(),
            client_secret: config.azure_client_secret.clone(),
            connect_timeout: Duration::from_secs(config.connect_timeout_s),
            attempt_timeout: Duration::from_secs(config.attempt_timeout_s),
            max_attempts: config.max_attempts,
            current: Mutex::new(None),
        }
    }

    pub(super) fn signing(&self) -> Signing {
        if !self.key.is_empty() {
            return Signing::Key(self.key.expose());
        }
        if self.sas.is_empty() { Signing::Delegated } else { Signing::Nothing }
    }

    /// Adds date, version and signature or token.
    pub(super) async fn authorize(&self, action: &'static str, request: &mut rest::Request) -> Result<(), StoreError> {
        let store = self.store()?;
        let credential = store.credentials().get_credential().await.map_err(|err| refused(action, &err))?;
        let mut copy = HttpRequest::new(HttpRequestBody::empty());
        copy.method_mut().clone_from(request.method());
        copy.headers_mut().clone_from(request.headers());
        let unusable = || StoreError::Config("the store's address cannot be signed".to_owned());
        *copy.uri_mut() = request.url().as_str().parse().map_err(|_| unusable())?;
        AzureAuthorizer::new(&credential, &self.account)
            .try_authorize(&mut copy)
            .map_err(|err| refused(action, &err))?;
        if matches!(*credential, AzureCredential::SASToken(_)) {
            *request.url_mut() = Url::parse(&copy.uri().to_string()).map_err(|_| unusable())?;
        }
        *request.headers_mut() = std::mem::take(copy.headers_mut());
        if let Some(value) = request.headers_mut().get_mut("authorization") {
            value.set_sensitive(true);
        }
        Ok(())
    }

    /// The account of the configuration as it is now.
    fn store(&self) -> Result<Arc<MicrosoftAzure>, StoreError> {
        let texts = Secret::expose_together([&self.key, &self.sas, &self.client_secret]);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, store)) = current.as_ref().filter(|(known, _)| *known == texts) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(self.build(&texts)?);
        *current = Some((texts, Arc::clone(&store)));
        Ok(store)
    }

    fn build(&self, [key, sas, client_secret]: &[Arc<str>; 3]) -> Result<MicrosoftAzure, StoreError> {
        let retry = RetryConfig {
            max_retries: usize::try_from(self.max_attempts.saturating_sub(1)).unwrap_or(0),
            retry_timeout: self.attempt_timeout,
            ..RetryConfig::default()
        };
        let client = ClientOptions::new().with_timeout(self.attempt_timeout).with_connect_timeout(self.connect_timeout);
        // What the environment of a pod or a machine says counts where nothing is configured.
        let is_configured = !key.is_empty() || !sas.is_empty() || !client_secret.is_empty();
        let builder = if is_configured { MicrosoftAzureBuilder::new() } else { MicrosoftAzureBuilder::from_env() };
        let builder = builder
            .with_account(&self.account)
            .with_container_name(&self.container)
            .with_retry(retry)
            .with_client_options(client);
        let builder = if !key.is_empty() {
            builder.with_access_key(&**key)
        } else if !sas.is_empty() {
            builder.with_config(AzureConfigKey::SasKey, sas.trim_start_matches('?'))
        } else if !client_secret.is_empty() {
            builder.with_client_secret_authorization(&self.client_id, &**client_secret, &self.tenant_id)
        } else {
            builder
        };
        // The cause may repeat what is configured.
        builder.build().map_err(|_| {
            let keys = "store.azure_key (base64), store.azure_sas or store.azure_client_secret";
            StoreError::Config(format!("the credentials of the az:// store cannot be used: see {keys}"))
        })
    }
}

/// What it means that there are no credentials.
fn refused(action: &'static str, err: &object_store::Error) -> StoreError {
    match err {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            StoreError::Forbidden { action, detail: "Microsoft refuses the account".to_owned(), source: None }
        }
        _ => StoreError::unavailable(action, "the credentials cannot be had at the moment"),
    }
}
