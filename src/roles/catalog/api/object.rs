//! One file of a media: by a redirect to the store, as JSON, or as bytes.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{
    ACCEPT, ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use futures_util::stream;
use jiff::Timestamp;

use super::model::ObjectLink;
use super::names::{disposition, may_be_shown};
use super::problem::{Refusal, expect};
use super::range::{Part, part};
use super::route::Door;
use super::{Api, json};
use crate::error::Code;
use crate::links::{object_name, role_of_object};
use crate::roles::catalog::access::Action;
use crate::roles::catalog::index::Row;
use crate::roles::catalog::{Object, objects};
use crate::store::{Link, LinkOptions, MAX_LINK_LIFE, ObjectReader, SignedUrl};
use crate::vocabulary::Role;

/// How a file is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    is_saved: bool,
    is_streamed: bool,
    is_json: bool,
}

impl Way {
    fn of(request: &Parts) -> Self {
        let query = request.uri.query().unwrap_or_default();
        let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
        let accept = request.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            is_saved: has("download=1"),
            is_streamed: has("mode=proxy"),
            is_json: accept.split(',').any(|part| part.trim().starts_with("application/json")),
        }
    }
}

impl Api {
    pub(super) async fn object(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        media_id: &str,
        name: &str,
    ) -> Result<Response<Body>, Refusal> {
        let (caller, row) = self.row(request, door, tenant, media_id).await?;
        let not_found = Refusal::of(Code::CatalogNotFound);
        let role = role_of_object(name).ok_or_else(|| not_found.clone())?;
        expect(caller.may_with(Action::View, &row, Some(role)))?;
        let object = objects(&row.data).into_iter().find(|object| object.role == role);
        if let Some(peaks) = row.data.get("peaks").filter(|_| role == Role::Peaks && object.is_none()) {
            let mut response = json(StatusCode::OK, peaks)?;
            put(response.headers_mut(), CACHE_CONTROL, "private, no-cache");
            allow_origins(response.headers_mut());
            return Ok(response);
        }
        let object = object.ok_or(not_found)?;
        let way = Way::of(request);
        let header = header_of(&row, &object, way);
        if !way.is_streamed && self.0.store_origin.is_some() {
            let options = LinkOptions {
                expires_in: self.life(&object),
                content_type: Some(&object.mime_type),
                content_disposition: Some(&header),
            };
            if let Link::Signed(signed) = self.0.store.signed_url(&object.key, &options).await? {
                return if way.is_json { as_json(&signed) } else { redirect(&signed) };
            }
        }
        if way.is_json && object.mime_type != "application/json" {
            let url = format!("{}{}", self.0.public_url, request.uri.path());
            return json(StatusCode::OK, &ObjectLink { url, expires_at: None });
        }
        self.stream(request, &object, &header).await
    }

    /// Players ask for parts for as long as they play.
    fn life(&self, object: &Object) -> Duration {
        let twice = Duration::from_millis(object.duration_ms.unwrap_or(0).saturating_mul(2));
        let life = Duration::from_secs(self.0.config.link_s).max(twice).min(MAX_LINK_LIFE);
        Duration::from_secs(life.as_secs())
    }

    async fn stream(&self, request: &Parts, object: &Object, disposition: &str) -> Result<Response<Body>, Refusal> {
        let size = object.size_bytes;
        let tag = format!("\"{}\"", object.sha256);
        let text = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        put(headers, ETAG, &tag);
        put(headers, CACHE_CONTROL, "private, no-cache");
        allow_origins(headers);
        if text(IF_NONE_MATCH)
            .is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag || known.trim() == "*"))
        {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        put(headers, ACCEPT_RANGES, "bytes");
        put(headers, CONTENT_TYPE, &object.mime_type);
        put(headers, CONTENT_DISPOSITION, disposition);
        put(headers, CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
        // A part of other bytes than those that the reader has is of no use to it.
        let range = text(RANGE).filter(|_| text(IF_RANGE).is_none_or(|known| known == tag));
        let (from, to) = match part(range, size) {
            Part::Whole => (0, size),
            Part::Beyond => {
                let mut refused = Refusal::of(Code::CatalogRange).answer();
                put(refused.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
                return Ok(refused);
            }
            Part::Bytes(from, to) => {
                put(headers, CONTENT_RANGE, &format!("bytes {from}-{}/{size}", to.saturating_sub(1)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                (from, to)
            }
        };
        put(response.headers_mut(), CONTENT_LENGTH, &(to - from).to_string());
        if request.method != Method::HEAD && to > from {
            let asked = (from > 0 || to < size).then_some(from..to);
            let reader = self.0.store.open(&object.key, asked).await?.ok_or(Refusal::of(Code::CatalogNotFound))?;
            *response.body_mut() = body(reader);
        }
        Ok(response)
    }
}

/// Pieces as they come from the store. Where the store breaks off, so does the answer.
fn body(reader: Box<dyn ObjectReader>) -> Body {
    Body::from_stream(stream::try_unfold(reader, async |mut reader| {
        Ok::<_, crate::store::StoreError>(reader.next().await?.map(|piece| (piece, reader)))
    }))
}

fn header_of(row: &Row, object: &Object, way: Way) -> String {
    let own = object_name(object.role, &object.key);
    let name = match &row.file_name {
        Some(name) if object.role == Role::Original => name.clone(),
        // Under the customer's name, with the extension that it has now.
        Some(name) => {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let extension = own.rsplit_once('.').map_or("bin", |(_, extension)| extension);
            format!("{stem}.{extension}")
        }
        None => own,
    };
    disposition(way.is_saved || !may_be_shown(&object.mime_type), &name)
}

fn redirect(signed: &SignedUrl) -> Result<Response<Body>, Refusal> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::from_str(signed.expose()).map_err(|_| Refusal::of(Code::CatalogBroken))?;
    response.headers_mut().insert(LOCATION, location);
    allow_origins(response.headers_mut());
    Ok(response)
}

fn as_json(signed: &SignedUrl) -> Result<Response<Body>, Refusal> {
    let seconds = signed.expires_at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |life| life.as_secs());
    let expires_at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let expires_at = expires_at.map(|at| at.to_string());
    json(StatusCode::OK, &ObjectLink { url: signed.expose().to_owned(), expires_at })
}

/// Players on other origins read peaks and parts. No credential of a browser comes along: links and tokens are not cookies.
fn allow_origins(headers: &mut HeaderMap) {
    put(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    put(headers, ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Range, Accept-Ranges, Content-Length, ETag");
}

/// The answer to a browser that asks whether it may ask.
pub(super) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    allow_origins(headers);
    put(headers, ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
    put(headers, ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Range, If-Range");
    response
}

/// A value that cannot stand in a header is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
