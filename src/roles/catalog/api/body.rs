//! Bodies of requests, and whether a browser sends them for a page of somebody else's.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use url::Url;

use super::problem::Refusal;

/// Largest body of a request.
const MAX_BODY_BYTES: usize = 16 << 10;

/// The whole body.
pub(super) async fn read(body: Body) -> Result<Bytes, Refusal> {
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let too_large = |_| Refusal::invalid(format!("the body cannot be read, or has more than {MAX_BODY_BYTES} bytes"));
    Ok(body.map_err(too_large)?.to_bytes())
}

/// A body of JSON. The text of a refusal has the place of the mistake and nothing of the body, which names a person.
pub(super) async fn parse<T: DeserializeOwned>(request: &Parts, body: Body) -> Result<T, Refusal> {
    let kind = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::invalid("Content-Type must be application/json"));
    }
    serde_json::from_slice(&read(body).await?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refusal::invalid(format!("the body is not what /openapi.json says: line {line}, column {column}"))
    })
}

/// Goes on where no browser says that a page of another site asks: behind a proxy with a login, its cookie would be sent along.
/// Programs say nothing of where they come from.
pub(super) fn expect_own_page(request: &Parts, public_url: &str) -> Result<(), Refusal> {
    if text(request, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Refusal::foreign_page());
    }
    let Some(origin) = text(request, ORIGIN.as_str()) else { return Ok(()) };
    if is_own(request, origin, public_url) { Ok(()) } else { Err(Refusal::foreign_page()) }
}

/// Whether a browser says that a page of this server asks, which has to be so where it sends the cookie of a session. Sessions are
/// begun at the public URL, so that another name of this server, or this one without TLS, is none of its pages.
pub(super) fn says_own_page(request: &Parts, public_url: &str) -> bool {
    let is_same = text(request, "sec-fetch-site") == Some("same-origin");
    let is_public =
        text(request, ORIGIN.as_str()).is_some_and(|origin| public_origin(public_url).as_deref() == Some(origin));
    expect_own_page(request, public_url).is_ok() && (is_same || is_public)
}

fn public_origin(public_url: &str) -> Option<String> {
    Url::parse(public_url).ok().map(|url| url.origin().ascii_serialization())
}

fn text<'r>(request: &'r Parts, name: &str) -> Option<&'r str> {
    request.headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether an origin is that of the public URL, or that of the `Host` header.
fn is_own(request: &Parts, origin: &str, public_url: &str) -> bool {
    let host = text(request, HOST.as_str()).filter(|host| !host.is_empty());
    let is_host = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    is_host || public_origin(public_url).as_deref() == Some(origin)
}
