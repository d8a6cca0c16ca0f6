//! The gateway over real connections, with an outlet in place of the broker.

mod accounts;
mod answers;
mod broker;
mod connections;
mod fairness;
mod faults;
mod forward;
mod import;
mod tls;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hmac::{Hmac, Mac};
use mediamill::channels::{Account, Outgoing};
use mediamill::roles::gateway::{Batch, Entry, Gateway, NotPublished, Options, Outlet, serve};
use mediamill::server::Listener;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Keeps what is published, once it may be.
pub(crate) struct Shelf {
    pub(crate) events: Mutex<Vec<Outgoing>>,
    /// A permit for each batch that is confirmed.
    pub(crate) confirms: Semaphore,
    pub(crate) refuses: Mutex<bool>,
}

impl Shelf {
    pub(crate) fn open() -> Arc<Self> {
        Self::with(Semaphore::MAX_PERMITS)
    }

    /// Confirms so many batches.
    pub(crate) fn with(confirms: usize) -> Arc<Self> {
        let confirms = Semaphore::new(confirms);
        Arc::new(Self { events: Mutex::default(), confirms, refuses: Mutex::new(false) })
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.events.lock().expect("no panic").iter().map(|outgoing| outgoing.event.id.clone()).collect()
    }
}

impl Outlet for Shelf {
    fn publish(&self, batch: Batch) -> BoxFuture<'_, Result<usize, NotPublished>> {
        Box::pin(async move {
            self.confirms.acquire().await.expect("open").forget();
            if *self.refuses.lock().expect("no panic") {
                return Err(NotPublished("no queue takes it".to_owned()));
            }
            self.events.lock().expect("no panic").extend(batch.events);
            Ok(0)
        })
    }
}

/// A gateway that listens.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: tokio::task::JoinHandle<()>,
}

impl Rig {
    pub(crate) async fn start(options: Options, accounts: Vec<Account>, shelf: Arc<Shelf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener.into(), options, accounts, shelf)
    }

    pub(crate) fn on(listener: Listener, options: Options, accounts: Vec<Account>, shelf: Arc<Shelf>) -> Self {
        let entries = accounts.into_iter().map(|account| Entry::new(account).expect("an account")).collect();
        let address = listener.address().expect("an address");
        let gateway = Gateway::new(options, entries, shelf);
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(serve(listener, gateway.clone(), shutdown.clone()));
        Self { gateway, address, shutdown, ended }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// The whole answer to a request that is sent as it is.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // It may answer and close before everything is written.
        drop(stream.write_all(request).await);
        answer(&mut stream).await
    }

    /// The answer to a POST.
    pub(crate) async fn post(&self, account: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        self.raw(&post(account, headers, body)).await
    }
}

/// What comes until the connection ends.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    drop(read.expect("an answer in time"));
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn post(account: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST /v1/channels/{account} HTTP/1.1\r\nhost: gw\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// The status of an answer; 0 where there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Meta's signature.
pub(crate) fn signed(key: &str, body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    hmac.update(body);
    format!("sha256={}", hex::encode(hmac.finalize().into_bytes()))
}

pub(crate) fn options() -> Options {
    Options { public_url: "https://gw.example.test".to_owned(), ..Options::default() }
}
