//! Connections: as many as are allowed, and none that takes longer over a handshake or a request's head than it may.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Tls;

/// Most header fields of a request; one with more is answered with 431.
const MAX_HEADERS: usize = 100;
/// A pause after an error of `accept`, such as too many open files: it would come again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from: an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Limits of a server's connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most connections at the same time, those in their TLS handshake included. More wait to be accepted.
    pub connections: usize,
    /// Most bytes of a request's head. No fewer than 8192.
    pub head_bytes: usize,
    /// How long a TLS handshake may take, and then how long each request's head may take.
    pub head_timeout: Duration,
    /// How long requests have to end once the server stops.
    pub drain_timeout: Duration,
}

/// An open port, and the certificate that is shown there.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
}

impl Listener {
    /// Opens a port: for TLS where there is a certificate, else for plain HTTP.
    ///
    /// # Errors
    /// If the port cannot be opened.
    pub async fn bind(address: &str, tls: Option<Tls>) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(address).await?, tls })
    }

    /// Calls `tell` with the time at which the certificate expires: now, and after its files were read again. Without a
    /// certificate it is never called.
    #[must_use]
    pub fn telling(self, tell: impl Fn(Timestamp) + Send + Sync + 'static) -> Self {
        Self { tls: self.tls.map(|tls| tls.telling(Arc::new(tell))), ..self }
    }

    /// The address, with the port that was given where 0 was asked for.
    ///
    /// # Errors
    /// If the system does not tell it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl From<TcpListener> for Listener {
    /// Plain HTTP.
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    limits: Arc<Limits>,
    shutdown: CancellationToken,
}

/// Accepts connections until `shutdown`, then lets the requests that are being answered end. Where there is a certificate, its
/// files are read again when they change and at SIGHUP.
pub async fn serve(listener: Listener, router: Router, limits: Limits, shutdown: CancellationToken) {
    let Listener { tcp, tls } = listener;
    let places = Arc::new(Semaphore::new(limits.connections));
    let server = Server { router, limits: Arc::new(limits), shutdown };
    let tasks = TaskTracker::new();
    if let Some(tls) = &tls {
        tasks.spawn(tls.clone().keep_current(server.shutdown.clone()));
    }
    loop {
        let accepted = tokio::select! {
            () = server.shutdown.cancelled() => break,
            accepted = accept(&tcp, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        tasks.spawn(server.clone().converse(stream, peer, tls.clone(), place));
    }
    drop(tcp);
    tasks.close();
    if timeout(server.limits.drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off: whoever sent them has to repeat them");
    }
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

impl Server {
    // What goes wrong with a connection is the other side's to know: it broke off, was too slow, trusts other certificates, or speaks
    // neither TLS nor HTTP.
    async fn converse(self, stream: TcpStream, peer: Peer, tls: Option<Tls>, _place: OwnedSemaphorePermit) {
        drop(stream.set_nodelay(true));
        let Some(tls) = tls else { return self.requests(stream, peer).await };
        let handshake = timeout(self.limits.head_timeout, tls.accept(stream));
        let stream = tokio::select! {
            () = self.shutdown.cancelled() => return,
            stream = handshake => stream,
        };
        if let Ok(Ok(stream)) = stream {
            self.requests(stream, peer).await;
        }
    }

    async fn requests(self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
        let router = self.router.layer(Extension(peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_headers(MAX_HEADERS)
            .max_buf_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => drop(ended),
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
    }
}
