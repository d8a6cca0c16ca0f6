//! What a worker says of itself over HTTP: `/livez`, `/readyz`, `/metrics`. Nothing can be changed through it, nothing in
//! it is secret, and nobody is asked who they are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::config;
use crate::worker::Health;

/// What `/metrics` is written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Opens the configured port; nothing where none is configured.
///
/// # Errors
/// Where the port cannot be had.
pub async fn listen(config: &config::Http) -> io::Result<Option<TcpListener>> {
    if config.listen.is_empty() {
        return Ok(None);
    }
    let error = |error: &dyn std::fmt::Display| io::Error::other(format!("http.listen {}: {error}", config.listen));
    let listener = TcpListener::bind(&config.listen).await.map_err(|err| error(&err))?;
    let address = listener.local_addr().map_err(|err| error(&err))?;
    tracing::info!(address = %address, "health and metrics over HTTP");
    Ok(Some(listener))
}

/// Answers for as long as it is polled.
pub async fn serve(listener: TcpListener, health: Health) {
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "health and metrics can no longer be asked for");
    }
}

async fn live(State(health): State<Health>) -> (StatusCode, String) {
    match health.hangs_for() {
        None => (StatusCode::OK, "the loop turns\n".to_owned()),
        Some(still) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the loop has not turned for {} s\n", still.as_secs()))
        }
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let readiness = health.readiness().await;
    let ready = readiness.is_ready();
    let parts = readiness.parts.into_iter().map(|part| {
        let word = part.trouble.unwrap_or_else(|| "ok".to_owned());
        (part.name.to_owned(), Value::from(word))
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "parts": parts.collect::<Map<_, _>>() });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n"))
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], health.metrics().await)
}

/// Asks the worker that listens at `address` on this machine: whether all is well, and what it says.
///
/// # Errors
/// Where nobody answers.
pub async fn ask(address: SocketAddr, path: &str) -> io::Result<(bool, String)> {
    let stream = TcpStream::connect(reachable(address)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    // What goes wrong with it is told to the request.
    drop(tokio::spawn(connection));
    let answer = sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
    let well = answer.status().is_success();
    let body = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    Ok((well, String::from_utf8_lossy(&body).into_owned()))
}

/// Who listens on all addresses is asked on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
