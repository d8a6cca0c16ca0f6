//! How access tokens of Zoho are asked for: 10 in 10 minutes, and then none, so that all processes share one.

use futures_util::future::BoxFuture;
use serde_json::Value;
use url::Url;

use super::super::api::{Api, json as body_of, judged, word};
use super::super::destination::{Class, Failed};
use super::super::ledger::Token;
use super::super::tokens::{Grant, expires_in, refreshing};
use crate::egress::Hosts;
use crate::error::Code;
use crate::secrets::Secret;

/// How long a token lasts where the answer does not say it.
const LASTS_S: i64 = 3600;
/// Where too many tokens were asked for, Zoho gives none for the rest of ten minutes.
const BLOCKED: std::time::Duration = std::time::Duration::from_secs(600);

/// A client of the API console.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) api: Api,
    pub(super) accounts: String,
    pub(super) hosts: Hosts,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

impl Grant for Login {
    /// The refresh token stays the same.
    fn ask<'a>(&'a self, _refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>> {
        Box::pin(async move {
            let url = format!("{}/oauth/v2/token", self.accounts);
            let call = refreshing(&url, &self.client_id, &self.client_secret, &self.refresh_token);
            let answer = self.api.send(&call, None).await.map_err(|failed| Failed { is_unknown: false, ..failed })?;
            let body = body_of(&answer);
            let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            // What is refused may come with status 200: the body decides.
            match (text("error").as_str(), answer.is_success()) {
                ("", true) => {}
                ("Access Denied", _) => {
                    let text = "Zoho gives no more access tokens for ten minutes: too many were asked for";
                    return Err(Failed::new(Class::Pause(BLOCKED), Code::DeliverThrottled, text));
                }
                (_, false) if answer.status >= 500 || answer.status == 429 => return Err(judged(&answer, "", false)),
                (error, _) => {
                    let word = word(&Value::from(error));
                    let text = format!("Zoho gives no access token ({word}): is it the right data centre?");
                    return Err(Failed::new(Class::Stop, Code::DeliverForbidden, text));
                }
            }
            self.token(&text("access_token"), text("api_domain").trim_end_matches('/'), body.get("expires_in"))
        })
    }
}

impl Login {
    /// The token goes to the hosts of the data centre only, whatever the answer says.
    fn token(&self, access: &str, base_url: &str, seconds: Option<&Value>) -> Result<Token, Failed> {
        if access.is_empty() {
            return Err(Failed::transient(Code::DeliverUnavailable, "Zoho answers without an access token"));
        }
        if !Url::parse(base_url).is_ok_and(|url| self.hosts.admit(&url)) {
            let text = "Zoho names a host that is none of the hosts of this destination";
            return Err(Failed::new(Class::Stop, Code::DeliverDenied, text));
        }
        Ok(Token {
            access: access.to_owned().into(),
            refresh: Secret::from(String::new()),
            base_url: base_url.to_owned(),
            expires_s: expires_in(seconds.and_then(Value::as_i64).unwrap_or(LASTS_S)),
        })
    }
}
