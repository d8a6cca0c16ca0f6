//! How access tokens of Zendesk are asked for.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::super::api::{Api, json as body_of, word};
use super::super::call::Call;
use super::super::destination::Failed;
use super::super::ledger::Token;
use super::super::tokens::{Grant, granted, refused};
use crate::egress::Method;
use crate::secrets::Secret;

/// How long a token lasts where the answer does not say it.
const LASTS_S: i64 = 1800;

/// An OAuth client.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) api: Api,
    pub(super) base: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

impl Grant for Login {
    /// With a refresh token where there is one: its answer has the next one, and both old tokens have ended then. Else with the
    /// client's own credentials.
    fn ask<'a>(&'a self, refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>> {
        Box::pin(async move {
            let refresh = refresh.or(Some(&self.refresh_token)).filter(|refresh| !refresh.is_empty());
            let mut form = json!({
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": &*self.client_secret.expose(),
                "scope": "read write",
            });
            if let Some(refresh) = refresh {
                form["grant_type"] = "refresh_token".into();
                form["refresh_token"] = Value::from(&*refresh.expose());
            }
            let call = Call::json(Method::Post, format!("{}/oauth/tokens", self.base), form);
            let answer = self.api.send(&call, None).await.map_err(|failed| Failed { is_unknown: false, ..failed })?;
            let body = body_of(&answer);
            if !answer.is_success() {
                return Err(refused(&answer, &word(body.get("error").unwrap_or(&Value::Null))));
            }
            granted("Zendesk", &body, LASTS_S)
        })
    }
}
