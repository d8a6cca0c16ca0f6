//! Connections of people and programs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Api;
use crate::config;
use crate::server::{self, Limits, Listener};

/// Accepts connections until `shutdown`, then lets the requests that are being answered end, and writes what the audit log has not
/// yet.
pub async fn serve(listener: impl Into<Listener>, api: Api, shutdown: CancellationToken) {
    let limits = Limits::from(api.config());
    server::serve(listener.into(), api.router(), limits, shutdown).await;
    api.flush().await;
}

impl From<&config::Catalog> for Limits {
    fn from(config: &config::Catalog) -> Self {
        Self {
            connections: config.http_connections,
            head_bytes: config.head_bytes,
            head_timeout: Duration::from_secs(config.head_timeout_s),
            drain_timeout: Duration::from_secs(config.drain_timeout_s),
        }
    }
}
