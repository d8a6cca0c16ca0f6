//! Health and metrics over HTTP: `/livez`, `/readyz`, `/metrics`. There is no authentication: nothing can be changed
//! through it, and it contains no secrets.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::Health;
use crate::config;

/// The content type of `/metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Opens the configured port; `None` if none is configured.
///
/// # Errors
/// If the port cannot be opened.
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

/// The routes, for a role that adds others to them.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

/// Answers requests for as long as the future is polled.
pub async fn serve(listener: TcpListener, health: Health) {
    serve_all(listener, health, Vec::new()).await;
}

/// As [`serve`], for several roles in one process: each of `others` is served below its own path, such as `/gateway`.
pub async fn serve_all(listener: TcpListener, health: Health, others: Vec<(&'static str, Health)>) {
    let routes = others.into_iter().fold(router(health), |routes, (path, other)| routes.nest(path, router(other)));
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the HTTP port of health and metrics has failed: probes and scrapes get no answer");
    }
}

async fn live(State(health): State<Health>) -> (StatusCode, String) {
    match health.hangs_for() {
        None => (StatusCode::OK, "the consume loop runs\n".to_owned()),
        Some(still) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the consume loop has not run for {} s\n", still.as_secs()))
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
