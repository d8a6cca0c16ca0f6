//! How access tokens of a HubSpot app are asked for.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::super::api::{Api, json as body_of, judged, word};
use super::super::call::{Body, Call};
use super::super::destination::{Class, Failed};
use super::super::ledger::Token;
use super::super::tokens::{Grant, expires_in};
use crate::egress::Method;
use crate::error::Code;
use crate::secrets::Secret;

/// How long a token lasts where the answer does not say it.
const LASTS_S: i64 = 1800;

/// An app that was installed in the account.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) api: Api,
    /// `…/oauth/<version>/token`
    pub(super) url: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

impl Grant for Login {
    /// The answer has the refresh token for the next time: so far always the same.
    fn ask<'a>(&'a self, refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>> {
        Box::pin(async move {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let form = vec![
                pair("grant_type", "refresh_token"),
                pair("client_id", &self.client_id),
                pair("client_secret", &self.client_secret.expose()),
                pair("refresh_token", &refresh.unwrap_or(&self.refresh_token).expose()),
            ];
            let call = Call { body: Body::Form(form), ..Call::new(Method::Post, self.url.clone()) };
            let answer = self.api.send(&call, None).await.map_err(|failed| Failed { is_unknown: false, ..failed })?;
            let body = body_of(&answer);
            if !answer.is_success() {
                // BAD_REFRESH_TOKEN, BAD_HUB, BAD_CLIENT_ID: nothing that another attempt mends.
                let detail = word(body.get("status").unwrap_or(&Value::Null));
                let mut failed = judged(&answer, &detail, false);
                if matches!(answer.status, 400..=403) {
                    (failed.class, failed.code) = (Class::Stop, Code::DeliverForbidden);
                }
                return Err(failed);
            }
            let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let access = text("access_token");
            if access.is_empty() {
                return Err(Failed::transient(Code::DeliverUnavailable, "HubSpot answers without an access token"));
            }
            let seconds = body.get("expires_in").and_then(Value::as_i64).unwrap_or(LASTS_S);
            Ok(Token {
                access: access.into(),
                refresh: text("refresh_token").into(),
                base_url: String::new(),
                expires_s: expires_in(seconds),
            })
        })
    }
}
