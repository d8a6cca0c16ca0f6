//! From a node's name to a socket: a name may have several addresses, and any of them may not answer or may not be
//! RabbitMQ.

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

/// How long an address is waited for before the next one is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// An address that has accepted a connection has at least so long for the handshake, however many others there are.
const MIN_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a port has to answer the question what it speaks.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// What a client of AMQP 0-9-1 begins with (section 4.2.2), and what has a server of HTTP refuse it at once.
const AMQP_GREETING: &[u8] = b"AMQP\0\0\x09\x01\r\n\r\n";
/// A record of TLS with the beginning of a ClientHello that has no contents (RFC 8446 sections 4 and 5.1): enough for an
/// alert.
const TLS_GREETING: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3];

/// The addresses of a node, beginning with any of them: a resolver gives the same one first every time.
pub(super) async fn resolve(uri: &AMQPUri) -> io::Result<Vec<SocketAddr>> {
    let place = (uri.authority.host.as_str(), uri.authority.port);
    let mut addresses: Vec<_> = tokio::net::lookup_host(place).await?.collect();
    if !addresses.is_empty() {
        let first = rand::rng().random_range(0..addresses.len());
        addresses.rotate_left(first);
    }
    Ok(addresses)
}

/// The time that one of so many addresses has for a connection and its handshake, of the time for all.
pub(super) fn share(all: Duration, addresses: usize) -> Duration {
    let equal = all / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    equal.max(MIN_HANDSHAKE.min(all))
}

/// Connects to the address that answers first. Each is tried as soon as the one before it has failed or has been silent
/// for a moment, so that an address behind which nothing is costs a moment and not the whole time.
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

/// What a port was found to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Amqp,
    Tls,
    Http,
}

/// Why a connection to a port that accepts one may fail all the same, where the port can be seen to speak something else
/// than the URL's scheme says. Asks it over a connection of its own.
pub(super) async fn hint(scheme: AMQPScheme, address: SocketAddr) -> Option<&'static str> {
    let spoken = spoken(address).await.ok()??;
    match (scheme, spoken) {
        (AMQPScheme::AMQPS, Spoken::Amqp) => Some(
            "this port has no TLS: broker.url needs the port of RabbitMQ's TLS listener (5671 by default), or amqp://",
        ),
        (AMQPScheme::AMQP, Spoken::Tls) => Some(
            "this port speaks TLS: broker.url needs amqps://, or the port of RabbitMQ's plain listener (5672 by default)",
        ),
        (_, Spoken::Http) => Some(
            "this port speaks HTTP: broker.url needs RabbitMQ's AMQP port (5672, or 5671 with TLS), not that of its \
             management",
        ),
        (AMQPScheme::AMQP, Spoken::Amqp) | (AMQPScheme::AMQPS, Spoken::Tls) => None,
    }
}

/// Greets as a client of AMQP does and, where that is not answered, as one of TLS, and looks at how the answer begins.
async fn spoken(address: SocketAddr) -> io::Result<Option<Spoken>> {
    match answer_to(address, AMQP_GREETING).await {
        Ok(first) => Ok(recognise(first)),
        // A node that is frozen.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        // Many servers of TLS close without a word what does not look like TLS.
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

fn recognise(first: [u8; 5]) -> Option<Spoken> {
    match first {
        // A method frame on channel 0: Connection.Start.
        [1, 0, 0, ..] => Some(Spoken::Amqp),
        // An alert (21) or a handshake (22), and the major version of every TLS.
        [21 | 22, 3, ..] => Some(Spoken::Tls),
        [b'H', b'T', b'T', b'P', b'/'] => Some(Spoken::Http),
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
    async fn the_last_failure_is_told_where_none_connects() {
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
