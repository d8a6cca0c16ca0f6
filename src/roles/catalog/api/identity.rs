//! Who asks.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;

use super::Api;
use super::problem::Refusal;
use super::record::Trail;
use super::route::Door;
use crate::error::Code;
use crate::links::Subject;
use crate::roles::catalog::access::{Caller, TokenDenied};
use crate::server::Peer;

const UNAUTHORIZED: Refusal = Refusal::denied(Code::CatalogUnauthorized);

impl Api {
    /// Whoever asks by this door for something of a tenant, and for this media where it is one.
    pub(super) async fn caller(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        media_id: Option<&str>,
    ) -> Result<Caller, Refusal> {
        let (capability, subject) = match door {
            Door::Identity => return self.identity(request).await,
            Door::MediaLink(capability) => {
                (capability, Subject::Media { tenant, media_id: media_id.unwrap_or_default() })
            }
            Door::ContactLink { capability, contact } => (capability, Subject::Contact { tenant, contact }),
        };
        // A link that is not genuine looks as if there were nothing: it tells nobody what there is.
        let not_found = Refusal::denied(Code::CatalogNotFound);
        let links = self.0.links.as_ref().ok_or_else(|| not_found.clone())?;
        let capability = links.verify(capability, &subject, Timestamp::now()).map_err(|_| not_found.clone())?;
        Trail::of(request).is_by(format!("link {} of {}", capability.id, capability.destination));
        if self.0.index.is_revoked(&capability.id).await? {
            return Err(not_found);
        }
        Ok(Caller::with_link(&capability, &subject))
    }

    /// By a token, or else by what a trusted proxy says, or else by the session of a login.
    pub(super) async fn identity(&self, request: &Parts) -> Result<Caller, Refusal> {
        let headers = &request.headers;
        if headers.contains_key(AUTHORIZATION) {
            let token = single(headers, AUTHORIZATION.as_str()).and_then(bearer).ok_or(UNAUTHORIZED)?;
            let claims = self.0.tokens.verify(token).await.map_err(|denied| match denied {
                TokenDenied::Invalid => UNAUTHORIZED,
                TokenDenied::NoKeys => Refusal::of(Code::CatalogNoKeys),
            })?;
            Trail::of(request).is_by(format!("user {}", claims.subject));
            let roles = claims.roles.iter().map(String::as_str);
            return Ok(Caller::with_roles(claims.subject, roles, claims.tenants, claims.contact, &self.0.access));
        }
        if !self.is_by_proxy(request) {
            return self.session(request);
        }
        // Twice the same header: one of them may be the caller's own.
        let who = single(headers, &self.0.proxies.user_header).filter(|who| !who.is_empty()).ok_or(UNAUTHORIZED)?;
        Trail::of(request).is_by(format!("user {who}"));
        let roles = single(headers, &self.0.proxies.roles_header).unwrap_or_default();
        let roles = roles.split(',').map(str::trim);
        Ok(Caller::with_roles(who.to_owned(), roles, None, None, &self.0.access))
    }

    /// Whether a trusted proxy says who somebody is. Some leave the header empty for somebody whom they do not know.
    pub(super) fn is_by_proxy(&self, request: &Parts) -> bool {
        let peer = request.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let mut names = request.headers.get_all(&self.0.proxies.user_header).iter();
        peer.is_some_and(|peer| self.0.proxies.trust(peer)) && names.any(|name| !name.is_empty())
    }
}

/// A header that is there once, and text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
