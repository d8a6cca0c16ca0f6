//! Connections of providers.

use tokio_util::sync::CancellationToken;

use super::{Gateway, Options};
use crate::server::{self, Limits, Listener};

/// Accepts connections until `shutdown`, then lets the requests that are being answered end: what is broken off its provider
/// repeats.
pub async fn serve(listener: impl Into<Listener>, gateway: Gateway, shutdown: CancellationToken) {
    let limits = Limits::from(gateway.options());
    server::serve(listener.into(), gateway.router(), limits, shutdown).await;
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Self {
        Self {
            connections: options.connections,
            head_bytes: options.head_bytes,
            head_timeout: options.head_timeout,
            drain_timeout: options.drain_timeout,
        }
    }
}
