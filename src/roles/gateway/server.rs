//! Connections: as many as are allowed, and none that takes longer over a request's head than it may.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Gateway, Options};

/// Most header fields of a request; one with more is answered with 431.
const MAX_HEADERS: usize = 100;
/// A pause after an error of `accept`, such as too many open files: it would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown`, then lets the requests that are being answered end.
pub async fn serve(listener: TcpListener, gateway: Gateway, shutdown: CancellationToken) {
    let router = gateway.router();
    let options = gateway.options().clone();
    let places = Arc::new(Semaphore::new(options.connections));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        tasks.spawn(converse(stream, router.clone(), options.clone(), shutdown.clone(), place));
    }
    drop(listener);
    tasks.close();
    if timeout(options.drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off: their providers repeat them");
    }
}

/// A connection, once there is a place for it: until then it waits in the kernel's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _peer)) => Some((stream, place)),
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
    options: Options,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    drop(stream.set_nodelay(true));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(options.head_bytes)
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
