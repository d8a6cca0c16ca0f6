//! A TCP proxy that hurts connections, for any protocol. Put it between a worker and RabbitMQ or an S3 server:
//!
//! ```ignore
//! let proxy = Proxy::start(rabbit.address());          // passes everything through
//! worker.env("MEDIAMILL_BROKER_URL", format!("amqp://guest:guest@{}/%2f", proxy.address()));
//! proxy.inflict(Fault::Freeze { way: Way::Both, after_bytes: 0 }); // open and new connections
//! proxy.inflict(Fault::Cut { way: Way::Down, after_bytes: 100_000 }); // takes the place of the one before
//! proxy.heal();                                         // what was frozen goes on where it stopped
//! proxy.cut_all();                                      // resets what is open now, once
//! proxy.open();                                         // connections at the moment
//! proxy.accepted();                                     // connections so far
//! ```
//!
//! `after_bytes` counts what passes one way of one connection, from its start or from `inflict`, whichever was later.
//! For faults of single HTTP requests there is [`super::gate`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::host::Host;

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Either.
    Both,
}

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// New connections are reset at once; open ones go on.
    Refuse,
    /// Both ends are reset (RST) when so many bytes have passed.
    Cut { way: Way, after_bytes: u64 },
    /// The receiver sees the end (FIN) when so many bytes have passed; the other way goes on.
    HalfClose { way: Way, after_bytes: u64 },
    /// When so many bytes have passed nothing does any more, and nobody hears why.
    Freeze { way: Way, after_bytes: u64 },
    /// Each piece comes later by so much.
    Delay { way: Way, by: Duration },
    /// No more bytes a second than this.
    Throttle { way: Way, bytes_per_s: u64 },
    /// One bit of the byte at this offset is flipped.
    Corrupt { way: Way, at_byte: u64 },
}

/// A proxy in front of one server. Its connections end when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _host: Host,
}

struct Shared {
    upstream: SocketAddr,
    orders: watch::Sender<Orders>,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

/// What holds at the moment. Numbers grow, so that each connection sees what is new.
#[derive(Debug, Clone, Copy)]
struct Orders {
    fault: Fault,
    inflicted: u64,
    cuts: u64,
}

/// Why a connection is reset.
struct Reset;

impl Proxy {
    /// Starts to listen on a free port.
    pub fn start(upstream: SocketAddr) -> Self {
        let host = Host::new();
        let (listener, address) = host.listen();
        let (orders, _) = watch::channel(Orders { fault: Fault::None, inflicted: 0, cuts: 0 });
        let (open, accepted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { upstream, orders, open, accepted });
        host.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _host: host }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens.
    pub fn inflict(&self, fault: Fault) {
        self.shared.orders.send_modify(|orders| {
            orders.fault = fault;
            orders.inflicted += 1;
        });
    }

    /// From now on all is well.
    pub fn heal(&self) {
        self.inflict(Fault::None);
    }

    /// Resets every open connection.
    pub fn cut_all(&self) {
        self.shared.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Connections at the moment.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections so far, refused ones too.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if shared.orders.borrow().fault == Fault::Refuse {
            reset(client);
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            carry(client, &shared).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries bytes both ways until both have ended or one end is gone.
async fn carry(mut client: TcpStream, shared: &Shared) {
    let Ok(mut server) = TcpStream::connect(shared.upstream).await else { return reset(client) };
    let orders = shared.orders.subscribe();
    let cuts = orders.borrow().cuts;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = Pump { way: Way::Up, cuts, orders: orders.clone(), passed: 0 };
    let down = Pump { way: Way::Down, cuts, orders, passed: 0 };
    let ended = tokio::try_join!(up.run(from_client, to_server), down.run(from_server, to_client));
    if ended.is_err() {
        reset(client);
        reset(server);
    }
}

fn reset(stream: TcpStream) {
    // A connection that is gone already cannot be reset.
    stream.set_zero_linger().ok();
}

/// One way of one connection.
struct Pump {
    way: Way,
    cuts: u64,
    orders: watch::Receiver<Orders>,
    passed: u64,
}

/// What to do with the next piece.
enum Next {
    /// Pass this many bytes of it.
    Pass(usize),
    Freeze,
    HalfClose,
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Reset> {
        let mut piece = vec![0; 64 << 10];
        let mut inflicted = self.orders.borrow().inflicted;
        loop {
            let now = *self.orders.borrow_and_update();
            if now.cuts != self.cuts {
                return Err(Reset);
            }
            if now.inflicted != inflicted {
                (inflicted, self.passed) = (now.inflicted, 0);
            }
            let most = match self.next(now.fault)? {
                Next::Pass(most) => most.min(piece.len()),
                Next::HalfClose => return to.shutdown().await.map_err(|_| Reset),
                // Bytes are left where they are: the sender finds its window closing, as with a dead peer.
                Next::Freeze => {
                    self.orders.changed().await.map_err(|_| Reset)?;
                    continue;
                }
            };
            let n = tokio::select! {
                read = from.read(&mut piece[..most]) => read.map_err(|_| Reset)?,
                changed = self.orders.changed() => {
                    changed.map_err(|_| Reset)?;
                    continue;
                }
            };
            if n == 0 {
                return to.shutdown().await.map_err(|_| Reset);
            }
            self.hurt(now.fault, &mut piece[..n]).await;
            to.write_all(&piece[..n]).await.map_err(|_| Reset)?;
            self.passed += n as u64;
        }
    }

    fn concerns(&self, way: Way) -> bool {
        way == self.way || way == Way::Both
    }

    fn next(&self, fault: Fault) -> Result<Next, Reset> {
        let left = |after: u64| usize::try_from(after.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        match fault {
            Fault::Cut { way, after_bytes } if self.concerns(way) => match left(after_bytes) {
                0 => Err(Reset),
                left => Ok(Next::Pass(left)),
            },
            Fault::HalfClose { way, after_bytes } if self.concerns(way) => match left(after_bytes) {
                0 => Ok(Next::HalfClose),
                left => Ok(Next::Pass(left)),
            },
            Fault::Freeze { way, after_bytes } if self.concerns(way) => match left(after_bytes) {
                0 => Ok(Next::Freeze),
                left => Ok(Next::Pass(left)),
            },
            // A tenth of a second's worth at a time.
            Fault::Throttle { way, bytes_per_s } if self.concerns(way) => {
                Ok(Next::Pass(usize::try_from(bytes_per_s / 10).unwrap_or(usize::MAX).max(1)))
            }
            _ => Ok(Next::Pass(usize::MAX)),
        }
    }

    async fn hurt(&self, fault: Fault, piece: &mut [u8]) {
        match fault {
            Fault::Delay { way, by } if self.concerns(way) => sleep(by).await,
            Fault::Throttle { way, bytes_per_s } if self.concerns(way) => {
                sleep(Duration::from_nanos(piece.len() as u64 * 1_000_000_000 / bytes_per_s.max(1))).await;
            }
            Fault::Corrupt { way, at_byte } if self.concerns(way) => {
                let at = at_byte.checked_sub(self.passed).and_then(|at| usize::try_from(at).ok());
                if let Some(byte) = at.and_then(|at| piece.get_mut(at)) {
                    *byte ^= 1;
                }
            }
            _ => {}
        }
    }
}
