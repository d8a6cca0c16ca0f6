//! Connects to a node by its name. A name may have several addresses, and any of them may be silent or may speak
//! something else than AMQP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::uri::{AMQPScheme, AMQPUri};
use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long one address may be silent before the next one is tried in parallel (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The shortest time for connection and handshake that each address gets, however many addresses share the total time.
const MIN_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a port may take to answer the greeting that finds out which protocol it speaks.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The first bytes of an AMQP 0-9-1 client (section 4.2.2). The two line ends make an HTTP server refuse them at once.
const AMQP_GREETING: &[u8] = b"AMQP\0\0\x09\x01\r\n\r\n";
/// A TLS record with the beginning of an empty ClientHello (RFC 8446 sections 4 and 5.1): enough for a TLS server to
/// answer with an alert.
const TLS_GREETING: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3];

/// The addresses of a node, rotated by a random number, because a resolver returns the same one first every time.
pub(super) async fn resolve(uri: &AMQPUri) -> io::Result<Vec<SocketAddr>> {
    let place = (uri.authority.host.as_str(), uri.authority.port);
    let mut addresses: Vec<_> = tokio::net::lookup_host(place).await?.collect();
    if !addresses.is_empty() {
        let first = rand::rng().random_range(0..addresses.len());
        addresses.rotate_left(first);
    }
    Ok(addresses)
}

/// The time for connection and handshake of one address, when `addresses` of them share the time `all`.
pub(super) fn share(all: Duration, addresses: usize) -> Duration {
    let equal = all / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    equal.max(MIN_HANDSHAKE.min(all))
}

/// Connects to the address that answers first. The next address is tried as soon as the one before it has failed, or
/// has been silent for [`ATTEMPT_DELAY`], so that a dead address costs that delay and not the whole time.
pub(super) async fn first_connected<T, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(SocketAddr, T)>
where
    F: Future<Output = io::Result<T>>,
{
    let connect = &connect;
    let mut attempts = FuturesUnordered::new();
    let mut waiting = addresses.iter().copied();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(address) => attempts.push(async move { connect(address).await.map(|stream| (address, stream)) }),
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            },
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

/// The protocol that a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortProtocol {
    Amqp,
    Tls,
    Http,
}

/// A hint for the operator when the port speaks another protocol than the URL's scheme says, which is why the
/// connection failed. Asks the port over a connection of its own.
pub(super) async fn hint(scheme: AMQPScheme, address: SocketAddr) -> Option<&'static str> {
    let spoken = port_protocol(address).await.ok()??;
    match (scheme, spoken) {
        (AMQPScheme::AMQPS, PortProtocol::Amqp) => Some(
            "this port has no TLS: broker.url needs the port of RabbitMQ's TLS listener (5671 by default), or amqp://",
        ),
        (AMQPScheme::AMQP, PortProtocol::Tls) => Some(
            "this port speaks TLS: broker.url needs amqps://, or the port of RabbitMQ's plain listener (5672 by default)",
        ),
        (_, PortProtocol::Http) => Some(
            "this port speaks HTTP: broker.url needs RabbitMQ's AMQP port (5672, or 5671 with TLS), not that of its \
             management",
        ),
        (AMQPScheme::AMQP, PortProtocol::Amqp) | (AMQPScheme::AMQPS, PortProtocol::Tls) => None,
    }
}

/// Sends the greeting of an AMQP client and, if the port does not answer it, that of a TLS client. The first bytes of
/// the answer tell the protocol.
async fn port_protocol(address: SocketAddr) -> io::Result<Option<PortProtocol>> {
    match answer_to(address, AMQP_GREETING).await {
        Ok(first) => Ok(recognise(first)),
        // The node accepts connections but hangs: a second greeting would not be answered either.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        // Many TLS servers close the connection without an answer when the first bytes are not TLS.
        Err(_closed) => answer_to(address, TLS_GREETING).await.map(recognise),
    }
}

async fn answer_to(address: SocketAddr, greeting: &[u8]) -> io::Result<[u8; 5]> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(greeting).await?;
    let mut first = [0; 5];
    timeout(PROBE_TIMEOUT, stream.read_exact(&mut first)).await??;
    Ok(first)
}

fn recognise(first: [u8; 5]) -> Option<PortProtocol> {
    match first {
        // AMQP: a method frame on channel 0 (Connection.Start).
        [1, 0, 0, ..] => Some(PortProtocol::Amqp),
        // TLS: record type alert (21) or handshake (22), then the major version, which is 3 in every TLS version.
        [21 | 22, 3, ..] => Some(PortProtocol::Tls),
        [b'H', b'T', b'T', b'P', b'/'] => Some(PortProtocol::Http),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    /// Ports 1 and 2 are silent for ever, 3 refuses, 4 connects.
    async fn connect(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 | 2 => pending().await,
            3 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        }
    }

    #[tokio::test]
    async fn addresses_that_are_silent_or_refuse_cost_a_moment() {
        let start = Instant::now();
        let (address, port) = first_connected(&addresses(4), connect).await.expect("the fourth answers");
        assert_eq!((address.port(), port), (4, 4));
        let took = start.elapsed();
        assert!(took >= 2 * ATTEMPT_DELAY && took < 4 * ATTEMPT_DELAY + MIN_HANDSHAKE, "{took:?}");
    }

    #[tokio::test]
    async fn the_last_failure_is_returned_when_no_address_connects() {
        let refused = first_connected(&addresses(4)[2..3], connect).await.expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let none = first_connected(&[], connect).await.expect_err("no address");
        assert_eq!(none.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn each_address_has_its_share_and_enough_for_a_handshake() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(10), 1), seconds(10));
        assert_eq!(share(seconds(12), 2), seconds(6));
        assert_eq!(share(seconds(10), 8), MIN_HANDSHAKE);
        assert_eq!(share(seconds(2), 8), seconds(2));
    }

    #[tokio::test]
    async fn a_port_that_speaks_something_else_is_recognised() {
        const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 10];
        const START: &[u8] = &[1, 0, 0, 0, 0, 0, 0];
        for (answer, with_tls, without) in [
            (ALERT, None, Some("speaks TLS")),
            (START, Some("no TLS"), None),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", Some("speaks HTTP"), Some("speaks HTTP")),
            (b"220 mail.example ESMTP\r\n", None, None),
            (b"", None, None),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let server = tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    let mut greeting = [0; 64];
                    assert!(stream.read(&mut greeting).await.expect("a greeting") >= 8);
                    let expects_tls = answer == ALERT;
                    if !expects_tls || greeting[0] == TLS_GREETING[0] {
                        stream.write_all(answer).await.expect("written");
                    }
                }
            });
            for (scheme, expected) in [(AMQPScheme::AMQPS, with_tls), (AMQPScheme::AMQP, without)] {
                let told = hint(scheme, address).await;
                assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
                assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{told:?}");
            }
            server.abort();
        }
    }
}
