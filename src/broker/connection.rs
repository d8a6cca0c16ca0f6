//! One connection to the broker with time limits for opening and closing, and the pauses between attempts.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, ConnectionProperties};
use rand::Rng;
use rustix::net::Shutdown;
use tokio::time::timeout;

use super::{BrokerError, addresses};
use crate::config::Broker;

/// An open connection. Dropping it closes the socket below lapin, so that lapin's thread does not wait for a peer that
/// is gone.
pub(super) struct Connection {
    connection: lapin::Connection,
    socket: Socket,
    timeout: Duration,
}

/// A second descriptor of the connection's socket and the peer's address; nothing until the socket is connected.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<(Option<OwnedFd>, Option<SocketAddr>)>>);

impl Connection {
    /// Connects to one of the broker's nodes. `purpose` is part of the connection's name in RabbitMQ's management.
    pub(super) async fn open(config: &Broker, purpose: &str) -> Result<Self, BrokerError> {
        let mut uris = uris(config)?;
        // Begin with a random node, so that workers spread over the nodes and one hanging node does not delay every
        // connection.
        let first = rand::rng().random_range(0..uris.len());
        uris.rotate_left(first);
        let mut opened = Err(BrokerError::unavailable("connecting", "the configuration names no node"));
        for uri in uris {
            opened = Self::open_node(config, uri, purpose).await;
            // A refusal (credentials, permissions) is the same on every node, so the others are not tried.
            if !opened.as_ref().is_err_and(BrokerError::is_passing) {
                break;
            }
        }
        opened
    }

    /// Connects to one of the addresses of a node's name. An address that accepts the connection but fails in the
    /// handshake is removed, and the remaining ones are tried again.
    async fn open_node(config: &Broker, uri: AMQPUri, purpose: &str) -> Result<Self, BrokerError> {
        const ACTION: &str = "connecting";
        let wait = Duration::from_secs(config.connect_timeout_s);
        let resolved = timeout(wait, addresses::resolve(&uri)).await;
        let resolved =
            resolved.map_err(|_elapsed| BrokerError::unavailable(ACTION, "the host name was not resolved in time"))?;
        let mut left = resolved.map_err(|err| BrokerError::unavailable(ACTION, &err.to_string()))?;
        let share = addresses::share(wait, left.len());
        loop {
            let socket = Socket::default();
            let connecting = Self::connect(uri.clone(), left.clone(), socket.clone(), purpose);
            let error = match timeout(share, connecting).await {
                Ok(Ok(connection)) => return Ok(Self { connection, socket, timeout: wait }),
                Ok(Err(error)) => error,
                Err(_elapsed) => BrokerError::Timeout { action: ACTION },
            };
            socket.shut();
            let Some(address) = socket.address().filter(|_| error.is_passing()) else { return Err(error) };
            left.retain(|one| *one != address);
            if left.is_empty() {
                return Err(error.with_hint(addresses::hint(uri.scheme.clone(), address).await));
            }
        }
    }

    async fn connect(
        uri: AMQPUri,
        addresses: Vec<SocketAddr>,
        socket: Socket,
        purpose: &str,
    ) -> Result<lapin::Connection, BrokerError> {
        let name = format!("mediamill {} {purpose}", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = lapin::runtime::default_runtime().map_err(BrokerError::lapin("connecting"))?;
        let connecting = lapin::Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let connect = |address| AsyncTcpStream::connect(&runtime, address);
                let (address, stream) = addresses::first_connected(&addresses, connect).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    socket.keep(plain.get_ref().as_fd().try_clone_to_owned()?, address);
                }
                Ok(match uri.scheme {
                    AMQPScheme::AMQP => stream,
                    AMQPScheme::AMQPS => {
                        stream.into_tls(&uri.authority.host, OwnedTLSConfig::default().as_ref()).await?
                    }
                })
            },
            properties,
        );
        connecting.await.map_err(BrokerError::lapin("connecting"))
    }

    /// A new channel.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        self.answer("opening a channel", self.connection.create_channel()).await
    }

    /// Waits for the broker's answer, for at most the configured time.
    pub(super) async fn answer<T>(
        &self,
        action: &'static str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, BrokerError> {
        match timeout(self.timeout, answer).await {
            Ok(result) => result.map_err(BrokerError::lapin(action)),
            Err(_elapsed) => Err(BrokerError::Timeout { action }),
        }
    }

    /// Whether the connection is open.
    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker has stopped reading from this connection because it is short of memory or disk.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Closes the connection. The broker returns unacknowledged messages to their queues.
    pub(super) async fn close(&self) {
        let close = self.connection.close(200, "done".into());
        if let Ok(Err(err)) = timeout(Duration::from_secs(2), close).await {
            tracing::debug!(%err, "closing the connection to the broker");
        }
    }
}

/// The URL of each node of the broker.
fn uris(config: &Broker) -> Result<Vec<AMQPUri>, BrokerError> {
    let mut uri: AMQPUri = config
        .url
        .expose()
        .parse()
        .map_err(|_| BrokerError::Config("broker.url is not a valid AMQP URL".to_owned()))?;
    uri.query.heartbeat = uri.query.heartbeat.or(Some(config.heartbeat_s));
    let mut uris = vec![uri.clone()];
    for node in &config.nodes {
        let wrong = || BrokerError::Config(format!("broker.nodes: {node} is not host:port"));
        let (host, port) = node.rsplit_once(':').ok_or_else(wrong)?;
        uri.authority.host = host.trim_matches(['[', ']']).to_owned();
        uri.authority.port = port.parse().map_err(|_| wrong())?;
        uris.push(uri.clone());
    }
    Ok(uris)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.socket.shut();
    }
}

impl Socket {
    fn keep(&self, fd: OwnedFd, address: SocketAddr) {
        *self.lock() = (Some(fd), Some(address));
    }

    fn address(&self) -> Option<SocketAddr> {
        self.lock().1
    }

    /// Shuts down the socket for lapin as well: its thread reads the end of the stream and stops.
    fn shut(&self) {
        if let Some(fd) = self.lock().0.take()
            && let Err(err) = rustix::net::shutdown(&fd, Shutdown::Both)
        {
            tracing::trace!(%err, "the broker's socket was already closed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Option<OwnedFd>, Option<SocketAddr>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pauses between attempts. Each pause is twice the one before, up to a maximum, and has jitter, so that many processes
/// do not reconnect in the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts with the shortest pause.
    #[must_use]
    pub fn new(config: &Broker) -> Self {
        let least = Duration::from_millis(config.reconnect_min_ms);
        Self { least, most: Duration::from_millis(config.reconnect_max_ms).max(least), next: least }
    }

    /// Call after a successful attempt: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.next = self.least;
    }

    /// Waits for a random time between half of the next pause and all of it.
    pub async fn pause(&mut self) {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = self.next.saturating_mul(2).min(self.most);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_everything_but_host_and_port_from_the_url() {
        let flags = [("broker.url", "amqps://u:p@a:5671/crm"), ("broker.nodes", "b:5673,[::1]:5674")];
        let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = crate::config::load(None, [], &flags).expect("valid").broker;
        let uris = uris(&config).expect("three nodes");
        let places: Vec<_> = uris.iter().map(|uri| (uri.authority.host.as_str(), uri.authority.port)).collect();
        assert_eq!(places, [("a", 5671), ("b", 5673), ("::1", 5674)]);
        for uri in &uris {
            assert_eq!((&uri.scheme, uri.vhost.as_str()), (&AMQPScheme::AMQPS, "crm"));
            assert_eq!(uri.authority.userinfo, uris[0].authority.userinfo);
            assert_eq!(uri.query.heartbeat, Some(config.heartbeat_s));
        }
    }
}
