//! How access tokens of Salesforce are asked for: JWT bearer or client credentials.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::super::api::{Api, json as body_of, judged, word};
use super::super::call::{Body, Call};
use super::super::destination::{Class, Failed};
use super::super::ledger::Token;
use super::super::tokens::Grant;
use crate::egress::{Hosts, Method};
use crate::error::Code;
use crate::secrets::{RsaKey, Secret};

/// How long an assertion holds. Salesforce takes those of at most 5 minutes.
const ASSERTION_S: i64 = 180;
/// The grant of RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The app and the user of an org.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) api: Api,
    /// Base of the token endpoint: My Domain, or the login host.
    pub(super) base: String,
    pub(super) hosts: Hosts,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) user: String,
    pub(super) private_key: Secret,
}

impl Grant for Login {
    /// There are no refresh tokens: each token comes from a new assertion or from the secret. How long it lasts is not said: until
    /// it is refused.
    fn ask<'a>(&'a self, _refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>> {
        Box::pin(async move {
            let pair = |name: &str, value: String| (name.to_owned(), value);
            let form = if self.private_key.is_empty() {
                vec![
                    pair("grant_type", "client_credentials".to_owned()),
                    pair("client_id", self.client_id.clone()),
                    pair("client_secret", self.client_secret.expose().to_string()),
                ]
            } else {
                let now_s = Timestamp::now().as_second();
                vec![pair("grant_type", JWT_BEARER.to_owned()), pair("assertion", self.assertion(now_s)?)]
            };
            let url = format!("{}/services/oauth2/token", self.base);
            let call = Call { body: Body::Form(form), ..Call::new(Method::Post, url) };
            let answer = self.api.send(&call, None).await.map_err(|failed| Failed { is_unknown: false, ..failed })?;
            let body = body_of(&answer);
            if !answer.is_success() {
                let detail = word(body.get("error").unwrap_or(&Value::Null));
                let mut failed = judged(&answer, &detail, false);
                if matches!(answer.status, 400..=403) {
                    (failed.class, failed.code) = (Class::Stop, Code::DeliverForbidden);
                }
                return Err(failed);
            }
            self.token(&body)
        })
    }
}

impl Login {
    /// The token of an answer. It goes to the hosts of the account only, whatever the answer says.
    fn token(&self, body: &Value) -> Result<Token, Failed> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (access, base_url) = (text("access_token"), text("instance_url").trim_end_matches('/').to_owned());
        if access.is_empty() {
            return Err(Failed::transient(Code::DeliverUnavailable, "Salesforce answers without an access token"));
        }
        if !Url::parse(&base_url).is_ok_and(|url| self.hosts.admit(&url)) {
            let text = "Salesforce names a host that is none of the hosts of this destination";
            return Err(Failed::new(Class::Stop, Code::DeliverDenied, text));
        }
        Ok(Token { access: access.into(), refresh: Secret::from(String::new()), base_url, expires_s: 0 })
    }

    /// Who the token is for: sandboxes have an audience of their own.
    fn audience(&self) -> &'static str {
        let host = Url::parse(&self.base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        if host == "test.salesforce.com" || host.ends_with(".sandbox.my.salesforce.com") {
            "https://test.salesforce.com"
        } else {
            "https://login.salesforce.com"
        }
    }

    /// A signed assertion (RFC 7523), with its end in seconds.
    fn assertion(&self, now_s: i64) -> Result<String, Failed> {
        let unusable = || {
            let text = "private_key: it is no RSA key in PEM (PKCS #8 or PKCS #1)";
            Failed::new(Class::Stop, Code::DeliverForbidden, text)
        };
        let key = RsaKey::from_pem(&self.private_key.expose()).ok_or_else(unusable)?;
        let claims = json!({
            "iss": self.client_id,
            "sub": self.user,
            "aud": self.audience(),
            "exp": now_s.saturating_add(ASSERTION_S),
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims));
        let signature = key.sign(signed.as_bytes()).ok_or_else(unusable)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
