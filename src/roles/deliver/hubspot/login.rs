//! How access tokens of a HubSpot app are asked for.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::super::api::{Api, json as body_of, word};
use super::super::destination::Failed;
use super::super::ledger::Token;
use super::super::tokens::{Grant, granted, refreshing, refused};
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
            let refresh = refresh.unwrap_or(&self.refresh_token);
            let call = refreshing(&self.url, &self.client_id, &self.client_secret, refresh);
            let answer = self.api.send(&call, None).await.map_err(|failed| Failed { is_unknown: false, ..failed })?;
            let body = body_of(&answer);
            if !answer.is_success() {
                // BAD_REFRESH_TOKEN, BAD_HUB, BAD_CLIENT_ID: nothing that another attempt mends.
                return Err(refused(&answer, &word(body.get("status").unwrap_or(&Value::Null))));
            }
            granted("HubSpot", &body, LASTS_S)
        })
    }
}
