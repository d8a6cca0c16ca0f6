//! The catalogue over HTTP: searches, stable links, pages.
//!
//! ```text
//! connection ──> route ──> who is it? ──> the row ──> may they? ──> 302, JSON, bytes or a page
//!                 404 ^         401 ^        404 ^    404, 403 ^
//! ```
//!
//! What is not somebody's looks to them as what does not exist. Answers that depend on who asks are not cached by anybody.

mod archive;
mod body;
mod cursor;
mod identity;
mod login;
mod model;
mod names;
mod object;
mod office;
mod openapi;
mod operations;
mod page;
mod problem;
mod range;
mod record;
mod route;
mod search;
mod serve;

pub use model::{
    ErasureAsked, ErasureProgress, ErasureState, HoldAccepted, HoldAsked, Media, MediaObject, MediaPage, ObjectLink,
    Person, Problem, Revocation, SubjectAsked,
};
pub use openapi::openapi;
pub use serve::serve;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use super::SetupError;
use super::access::{Proxies, Tokens};
use super::index::{Index, Row};
use super::login::Logins;
use super::office::Office;
use super::overrides::Overrides;
use super::waiting::Mailroom;
use crate::broker::Topology;
use crate::config::{self, Config};
use crate::error::Code;
use crate::links::Links;
use crate::privacy::audit::AuditLog;
use crate::store::{Link, LinkOptions, Store};
use cursor::Cursors;
use problem::Refusal;
use record::{Recorder, Trail};
use route::Route;

/// Answers requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: Arc<dyn Index>,
    store: Store,
    overrides: Overrides,
    office: Office,
    mailroom: Mailroom,
    links: Option<Links>,
    logins: Logins,
    tokens: Tokens,
    proxies: Proxies,
    access: BTreeMap<String, config::Access>,
    config: config::Catalog,
    public_url: String,
    cursors: Cursors,
    /// Nothing where there is no audit log.
    recorder: Option<Recorder>,
    /// Whether new objects may be in an archive from their first day on.
    is_archive: bool,
    /// The origin of the store's signed links, where it has such and they are used.
    store_origin: Option<String>,
}

impl Api {
    /// An API over this index and this store. `queues` are those of all roles, whose dead letters operators see.
    ///
    /// # Errors
    /// [`SetupError::Config`] where the store does not sign links although it should, or the key of the audit log is none.
    pub async fn new(
        config: &Config,
        index: Arc<dyn Index>,
        store: Store,
        queues: Topology,
    ) -> Result<Self, SetupError> {
        let store_origin = if config.catalog.redirect { origin_of(&store).await? } else { None };
        let log = AuditLog::new(&config.privacy, &store).map_err(|error| SetupError::Config(error.to_string()))?;
        if log.is_none() {
            tracing::warn!("privacy.audit_key is empty: no audit log says who opened what");
        }
        let secrets = [&config.catalog.url, &config.catalog.jwt_key, &config.links.key].map(|secret| secret.expose());
        Ok(Self(Arc::new(Inner {
            index,
            overrides: Overrides::new(store.clone()),
            office: Office::new(config, &store)?,
            mailroom: Mailroom::new(&config.broker, queues),
            store,
            links: Links::new(&config.links),
            logins: Logins::new(config),
            tokens: Tokens::new(&config.catalog),
            proxies: Proxies::new(&config.catalog),
            access: config.access.clone(),
            config: config.catalog.clone(),
            public_url: config.links.public_url.clone(),
            cursors: Cursors::new(&secrets.each_ref().map(|secret| &**secret)),
            recorder: log.map(|log| Recorder::new(log, config.catalog.audit_repeat_s)),
            is_archive: !config.store.storage_class.is_empty(),
            store_origin,
        })))
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    pub(super) fn config(&self) -> &config::Catalog {
        &self.0.config
    }

    async fn respond(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (request, body) = request.into_parts();
        let route = Route::parse(request.uri.path()).ok_or(Refusal::of(Code::CatalogNotFound))?;
        if matches!(route, Route::Object { .. }) && request.method == Method::OPTIONS {
            return Ok(object::preflight());
        }
        if !route.methods().split(", ").any(|method| request.method.as_str() == method) {
            return Ok(only(route.methods()));
        }
        if request.method == Method::POST {
            body::expect_own_page(&request, &self.0.public_url)?;
        }
        match route {
            Route::Favicon => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok(response)
            }
            Route::Openapi => json(StatusCode::OK, &openapi()),
            Route::Search => self.search(&request).await,
            Route::Media { tenant, media_id } => self.media(&request, &tenant, &media_id).await,
            Route::Object { door, tenant, media_id, name } => {
                self.object(&request, &door, &tenant, &media_id, &name).await
            }
            Route::Player { door, tenant, media_id } => {
                let page = self.player(&request, &door, &tenant, &media_id).await;
                page.or_else(|refusal| self.led_to_login(&request, &door, &tenant, refusal))
            }
            Route::Archive { door, tenant, contact } => self.archive(&request, &door, &tenant, &contact).await,
            Route::Timeline { door, tenant, contact } => {
                let page = self.timeline(&request, &door, &tenant, &contact).await;
                page.or_else(|refusal| self.led_to_login(&request, &door, &tenant, refusal))
            }
            Route::Login { name } => self.begin_login(&request, &name).await,
            Route::LoginCallback { name } => self.end_login(&request, &name).await,
            Route::Logout => self.logout(&request),
            Route::Revocations => self.revoke(&request, body).await,
            Route::Erasures => self.erase(&request, body).await,
            Route::Erasure { tenant, number } => self.erasure(&request, &tenant, &number).await,
            Route::Holds => self.hold(&request, body).await,
            Route::Subjects => self.subject(&request, body).await,
            Route::Operations => self.operations(&request).await,
            Route::Replays => self.replay(&request, body).await,
        }
    }
}

/// The origin of the store's signed links; nothing where it signs none.
async fn origin_of(store: &Store) -> Result<Option<String>, SetupError> {
    let options = LinkOptions { expires_in: Duration::from_secs(60), content_type: None, content_disposition: None };
    let link = store.signed_url("origin", &options).await;
    match link.map_err(|error| SetupError::Config(format!("catalog.redirect: the store signs no link: {error}")))? {
        Link::Stream => Ok(None),
        Link::Signed(signed) => {
            let origin = Url::parse(signed.expose()).ok().map(|url| url.origin().ascii_serialization());
            Ok(origin.filter(|origin| origin != "null"))
        }
    }
}

async fn answer(State(api): State<Api>, mut request: Request<Body>) -> Response<Body> {
    let trail = Trail::default();
    request.extensions_mut().insert(trail.clone());
    let limit = Duration::from_secs(api.config().request_timeout_s);
    let answered = tokio::time::timeout(limit, Box::pin(api.respond(request))).await;
    let answered = answered.unwrap_or_else(|_elapsed| Err(Refusal::of(Code::CatalogTimeout)));
    let mut response = answered.unwrap_or_else(|refusal| {
        api.note_refusal(&trail, &refusal);
        refusal.answer()
    });
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("authorization, accept, cookie"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response<Body>, Refusal> {
    let bytes = serde_json::to_vec(value).map_err(|_| Refusal::of(Code::CatalogBroken))?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// 405, with the methods that there are.
fn only(methods: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(axum::http::header::ALLOW, HeaderValue::from_static(methods));
    response
}

/// Goes on where a media is there: whoever may see it is told where it has gone.
fn expect_there(row: &Row) -> Result<(), Refusal> {
    use super::index::MediaState;
    match row.state {
        MediaState::Erased => Err(Refusal::erased(row.certificate.clone())),
        MediaState::Waiting => Err(Refusal::of(Code::CatalogNotFound)),
        _ if row.is_past_due(Timestamp::now()) => Err(Refusal::of(Code::CatalogExpired)),
        _ => Ok(()),
    }
}

/// What the index knows of a media, as JSON: as the API answers it.
#[must_use]
pub fn described(row: &Row) -> serde_json::Value {
    serde_json::to_value(search::media(row, true)).unwrap_or_default()
}
