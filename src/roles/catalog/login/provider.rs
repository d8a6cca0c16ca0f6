//! One provider: what it says of itself, where people are sent, and what it says of them.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AuthType, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenFields, IdTokenVerifier, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse,
};
use openidconnect::{ClaimsVerificationError, DiscoveryError};

use super::claims::OtherClaims;
use super::failure::LoginFailure;
use super::http::{Http, TIMEOUT};
use crate::config;
use crate::egress::{self, EgressError, Redirects, Rules};
use crate::roles::catalog::refreshed::Refreshed;

/// How ID tokens may be signed: with a private key, never with the client's password.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Jwe = CoreJweContentEncryptionAlgorithm;
type Jws = CoreJwsSigningAlgorithm;
type Token = IdToken<OtherClaims, CoreGenderClaim, Jwe, Jws>;
type Fields = IdTokenFields<OtherClaims, EmptyExtraTokenFields, CoreGenderClaim, Jwe, Jws>;
type ClientOf = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    Jwe,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider.
#[derive(Debug)]
pub(super) struct Provider {
    config: config::Login,
    callback: String,
    http: Http,
    /// What the provider says of itself, its keys among it.
    metadata: Refreshed<CoreProviderMetadata>,
}

/// Where somebody is sent, and what is to be remembered until they come back.
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) subject: String,
    /// As the provider names them.
    pub(super) roles: Vec<String>,
}

impl Provider {
    /// `callback` is the address that people come back to.
    pub(super) fn new(config: &config::Login, callback: String, refresh_s: u64) -> Self {
        let rules = Rules::strict()
            .with_redirects(Redirects::Return)
            .with_hosts(&config.hosts, "login.<name>.hosts")
            .with_plain(!config.hosts.is_empty() && config.issuer.starts_with("http://"));
        let options =
            egress::Options { rules, connect_timeout: TIMEOUT, read_timeout: TIMEOUT, user_agent: String::new() };
        let metadata = Refreshed::new("what a provider says of itself", Duration::from_secs(refresh_s));
        Self { config: config.clone(), callback, http: Http::new(options), metadata }
    }

    /// Where somebody is to be sent, with a state, a nonce and a PKCE challenge that nobody has had.
    pub(super) async fn ask(&self) -> Result<Asked, LoginFailure> {
        let client = self.client(&*self.metadata(false).await?)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request =
            client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random).set_pkce_challenge(challenge);
        // The library asks for this one itself.
        for scope in self.config.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let (state, nonce) = (state.into_secret(), nonce.secret().clone());
        Ok(Asked { url: url.into(), state, nonce, verifier: verifier.into_secret() })
    }

    /// Who a code is for. The ID token comes from the provider itself, and is verified all the same.
    pub(super) async fn redeem(&self, code: &str, nonce: &str, verifier: &str) -> Result<Person, LoginFailure> {
        let metadata = self.metadata(false).await?;
        let client = self.client(&metadata)?;
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|_| LoginFailure::Unavailable("it names no token endpoint".to_owned()))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        let response = request.request_async(&self.http).await.map_err(|error| of_exchange(&error))?;
        let token = response.extra_fields().id_token().ok_or(LoginFailure::NotGenuine("there is no ID token"))?;
        let nonce = Nonce::new(nonce.to_owned());
        match self.verify(&metadata, token, &nonce) {
            // Providers replace their keys.
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let metadata = self.metadata(true).await?;
                self.verify(&metadata, token, &nonce).map_err(|error| of_token(&error))
            }
            verified => verified.map_err(|error| of_token(&error)),
        }
    }

    fn client(&self, metadata: &CoreProviderMetadata) -> Result<ClientOf, LoginFailure> {
        let password = ClientSecret::new(self.config.client_secret.expose().to_string());
        let id = ClientId::new(self.config.client_id.clone());
        let callback = RedirectUrl::new(self.callback.clone()).map_err(|_| LoginFailure::Broken)?;
        // Without a list it is HTTP's own way.
        let ways = metadata.token_endpoint_auth_methods_supported();
        let by_body = ways.is_some_and(|ways| {
            ways.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !ways.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let client = ClientOf::from_provider_metadata(metadata.clone(), id, Some(password)).set_redirect_uri(callback);
        Ok(client.set_auth_type(if by_body { AuthType::RequestBody } else { AuthType::BasicAuth }))
    }

    fn verify(
        &self,
        metadata: &CoreProviderMetadata,
        token: &Token,
        nonce: &Nonce,
    ) -> Result<Person, ClaimsVerificationError> {
        let (id, issuer) = (ClientId::new(self.config.client_id.clone()), metadata.issuer().clone());
        let verifier: IdTokenVerifier<'_, CoreJsonWebKey> =
            IdTokenVerifier::new_public_client(id.clone(), issuer, metadata.jwks().clone());
        let claims = token.claims(&verifier.set_allowed_algs(ALGORITHMS), nonce)?;
        // The library leaves this to its users: a token that was made for another client is none.
        if claims.authorized_party().is_some_and(|party| *party != id) {
            return Err(ClaimsVerificationError::InvalidAudience("of another party".to_owned()));
        }
        let roles = claims.additional_claims().texts(&self.config.roles_claim);
        Ok(Person { subject: claims.subject().to_string(), roles })
    }

    /// What the provider says of itself: as it was read a while ago, unless a key is missing in it.
    async fn metadata(&self, is_missing: bool) -> Result<Arc<CoreProviderMetadata>, LoginFailure> {
        self.metadata.get(|_| is_missing, self.discover()).await.map_err(|reason| {
            LoginFailure::Unavailable(reason.unwrap_or_else(|| "it did not answer a moment ago".to_owned()))
        })
    }

    /// Reads it, or says why that cannot be, without what the provider has sent.
    async fn discover(&self) -> Result<CoreProviderMetadata, String> {
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|_| "the issuer is no URL".to_owned())?;
        CoreProviderMetadata::discover_async(issuer, &self.http).await.map_err(|error| match error {
            DiscoveryError::Request(error) => error.to_string(),
            DiscoveryError::Response(status, ..) => {
                format!("it answers with status {}, or another type", status.as_u16())
            }
            DiscoveryError::Validation(_) => "its discovery document names another issuer".to_owned(),
            _ => "its discovery document or key set cannot be read".to_owned(),
        })
    }
}

/// Why there is no token for a code.
fn of_exchange(error: &RequestTokenError<EgressError, StandardErrorResponse<CoreErrorResponseType>>) -> LoginFailure {
    match error {
        RequestTokenError::ServerResponse(response) => LoginFailure::NotGenuine(match response.error() {
            CoreErrorResponseType::InvalidGrant => "the provider does not know the code any more",
            CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                "the provider does not accept client_id and client_secret"
            }
            _ => "the provider gives no token for the code",
        }),
        RequestTokenError::Request(error) => LoginFailure::Unavailable(error.to_string()),
        // What cannot be read may hold a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            LoginFailure::Unavailable("its answer to the code cannot be read".to_owned())
        }
    }
}

/// What is wrong with an ID token, without anything that it says.
fn of_token(error: &ClaimsVerificationError) -> LoginFailure {
    LoginFailure::NotGenuine(match error {
        ClaimsVerificationError::Expired(_) => "the ID token has expired",
        ClaimsVerificationError::InvalidAudience(_) => "the ID token is for another client",
        ClaimsVerificationError::InvalidIssuer(_) => "the ID token is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "the ID token is for another login",
        ClaimsVerificationError::SignatureVerification(_) => "the ID token is not signed by a key of the provider",
        _ => "the ID token is not valid",
    })
}
