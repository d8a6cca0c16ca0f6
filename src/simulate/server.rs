//! The HTTP server of the media API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::played::{Answer, Asked, Played};
use super::{Fault, provider};

/// Answers requests until `shutdown`.
pub(super) async fn serve(listener: TcpListener, played: Arc<Played>, shutdown: CancellationToken) {
    let router = Router::new().fallback(answer).with_state(played);
    let stopped = async move { shutdown.cancelled().await };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the media API's server has failed: requests for files get no answer");
    }
}

async fn answer(State(played): State<Arc<Played>>, request: Request<Body>) -> Response {
    let asked = Asked::read(&request);
    drop(request);
    match provider::answer(&played, &asked) {
        Answer::Json(status, body) => {
            // Meta writes a slash as `\/`.
            respond(status, "application/json", body.to_string().replace('/', "\\/").into_bytes().into())
        }
        Answer::Redirect(status, to) => {
            let mut response = respond(status, "text/plain", Bytes::new());
            if let Ok(to) = HeaderValue::from_str(&to) {
                response.headers_mut().insert(LOCATION, to);
            }
            response
        }
        Answer::File(id) => file(&played, &id).await,
    }
}

async fn file(played: &Played, id: &str) -> Response {
    let gone = || respond(404, "text/plain", Bytes::new());
    let Some(sample) = played.sample(id) else { return gone() };
    if played.occurs(Fault::Html, id, 1) {
        return respond(200, "text/html", Bytes::from_static(b"<!doctype html><title>Sorry</title>"));
    }
    let Ok(mut bytes) = tokio::fs::read(&sample.path).await else { return gone() };
    if !played.occurs(Fault::Cut, id, 1) {
        return respond(200, &sample.mime_type, bytes.into());
    }
    // Sends fewer bytes than announced, so the connection ends in the middle of the file.
    let announced = bytes.len() as u64;
    bytes.truncate(bytes.len() / 2);
    let half = futures_util::stream::iter([Ok(Bytes::from(bytes)), Err(std::io::Error::other("cut off"))]);
    let mut response = respond(200, &sample.mime_type, Bytes::new());
    *response.body_mut() = Body::from_stream(half);
    response.headers_mut().insert(axum::http::header::CONTENT_LENGTH, announced.into());
    response
}

fn respond(status: u16, content_type: &str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}
