//! The media API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::faults::Struck;
use super::files::{Files, Sample};
use super::send::{Delivered, Webhook};
use super::{Fault, Options, Provider, meta, twilio};

/// The provider that is played.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) options: Options,
    pub(super) files: Arc<Files>,
    pub(super) address: SocketAddr,
    struck: Struck,
}

/// An answer of the media API.
pub(super) enum Answer {
    /// JSON with a status.
    Json(u16, Value),
    /// The bytes of a file.
    File(String),
    /// A redirect.
    Redirect(u16, String),
}

/// A request to the media API.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
    pub(super) api_key: Option<String>,
}

impl Asked {
    fn read(request: &Request<Body>) -> Self {
        let header = |name: &str| request.headers().get(name)?.to_str().ok().map(str::to_owned);
        let query = request.uri().query().unwrap_or_default();
        Self {
            path: request.uri().path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            authorization: header(AUTHORIZATION.as_str()),
            api_key: header("d360-api-key"),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Played {
    pub(super) fn new(options: Options, files: Arc<Files>, address: SocketAddr) -> Self {
        Self { options, files, address, struck: Struck::default() }
    }

    /// The n-th message, and the webhook that tells of it.
    pub(super) fn webhook(&self, n: usize) -> (Delivered, Webhook) {
        match self.options.provider {
            Provider::WhatsappCloud | Provider::Dialog360 => meta::webhook(self, n),
            Provider::Twilio => twilio::webhook(self, n),
        }
    }

    fn answer(&self, asked: &Asked) -> Answer {
        match self.options.provider {
            Provider::WhatsappCloud | Provider::Dialog360 => meta::answer(self, asked),
            Provider::Twilio => twilio::answer(self, asked),
        }
    }

    /// The file of a message, by the number that stands in its id.
    pub(super) fn sample(&self, id: &str) -> Option<&Sample> {
        let n: usize = id.parse().ok()?;
        (n < self.options.count.max(1)).then(|| self.files.of_message(n))
    }

    /// Whether a fault is asked for, and strikes this file now.
    pub(super) fn strikes(&self, fault: Fault, id: &str, times: u32) -> bool {
        self.options.faults.has(fault) && self.struck.strikes(fault, id, times)
    }
}

/// Unix time in seconds.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Answers until `shutdown`.
pub(super) async fn serve(listener: TcpListener, played: Arc<Played>, shutdown: CancellationToken) {
    let router = Router::new().fallback(answer).with_state(played);
    let stopped = async move { shutdown.cancelled().await };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the media API can no longer be asked");
    }
}

async fn answer(State(played): State<Arc<Played>>, request: Request<Body>) -> Response {
    let asked = Asked::read(&request);
    drop(request);
    match played.answer(&asked) {
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
    if played.strikes(Fault::Html, id, 1) {
        return respond(200, "text/html", Bytes::from_static(b"<!doctype html><title>Sorry</title>"));
    }
    let Ok(mut bytes) = tokio::fs::read(&sample.path).await else { return gone() };
    if !played.strikes(Fault::Cut, id, 1) {
        return respond(200, &sample.mime_type, bytes.into());
    }
    // Fewer bytes than were announced: the connection breaks off after them.
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
