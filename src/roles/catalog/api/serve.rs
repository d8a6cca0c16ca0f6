//! Connections: as many as are allowed, and none that takes longer over a request's head than it may.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Api;
use crate::config;

/// Most header fields of a request; one with more is answered with 431.
const MAX_HEADERS: usize = 100;
/// A pause after an error of `accept`, such as too many open files: it would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Accepts connections until `shutdown`, then lets the requests that are being answered end.
pub async fn serve(listener: TcpListener, api: Api, shutdown: CancellationToken) {
    let (router, ending) = (api.router(), api.clone());
    let config = Arc::new(api.config().clone());
    let places = Arc::new(Semaphore::new(config.http_connections));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let router = router.clone().layer(Extension(peer));
        tasks.spawn(converse(stream, router, Arc::clone(&config), shutdown.clone(), place));
    }
    drop(listener);
    tasks.close();
    if timeout(Duration::from_secs(config.drain_timeout_s), tasks.wait()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off");
    }
    ending.flush().await;
}

/// A connection, once there is a place for it: until then it waits in the kernel's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, Peer(peer), place)),
        Err(error) => {
            tracing::warn!(%error, "no connection can be accepted");
            sleep(PAUSE).await;
            None
        }
    }
}

async fn converse(
    stream: TcpStream,
    router: Router,
    config: Arc<config::Catalog>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    drop(stream.set_nodelay(true));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(config.head_timeout_s))
        .max_headers(MAX_HEADERS)
        .max_buf_size(config.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // What goes wrong with a connection is the other side's to know: it broke off, was too slow, or speaks no HTTP.
    tokio::select! {
        ended = connection.as_mut() => drop(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
