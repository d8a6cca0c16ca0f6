//! A proxy that understands AMQP frames: it can stop a conversation at one of them, and say what a broker could say.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longest frame header and the byte that ends a frame.
const HEAD_BYTES: usize = 7;
const END: u8 = 0xCE;
/// Class `basic`.
const BASIC: u16 = 60;

/// A method frame, and who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A message goes to the broker.
    Publish,
    /// The broker confirms a message.
    Confirm,
    /// A delivery is acknowledged.
    Ack,
}

impl Point {
    const fn parts(self) -> (Way, u16, u16) {
        match self {
            Self::Publish => (Way::Up, BASIC, 40),
            Self::Confirm => (Way::Down, BASIC, 80),
            Self::Ack => (Way::Up, BASIC, 80),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// The proxy. Its connections end when it is dropped.
pub struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What to stop at, after so many of its kind.
    armed: Option<(Point, usize)>,
    /// Frames that were stopped at so far.
    held: usize,
    /// Grows with each cut; connections of before end.
    cuts: usize,
    connections: Vec<Arc<Connection>>,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// Taken for as long as one whole frame takes.
    to_client: Mutex<TcpStream>,
    /// Channel and tag of each consumer.
    consumers: Mutex<Vec<(u16, Vec<u8>)>>,
}

impl Tap {
    /// Listens on a free port.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream));
        let shared = Arc::new(Shared { upstream, state: Mutex::default(), changed: Condvar::new() });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || listener.incoming().flatten().for_each(|client| shared.carry(client))
        });
        Self { address, shared }
    }

    /// As a broker's URL.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.address)
    }

    /// The next such frame stays here, and everything behind it.
    pub fn hold_at(&self, point: Point) {
        self.hold_after(point, 0);
    }

    /// As [`Tap::hold_at`], after so many of its kind have passed.
    pub fn hold_after(&self, point: Point, passed: usize) {
        self.shared.state().armed = Some((point, passed));
    }

    /// Waits until a frame is held.
    #[track_caller]
    pub fn wait_until_held(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut state = self.shared.state();
        while state.armed.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no such frame: {:?}", state.armed);
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        assert!(state.held > 0);
    }

    /// Ends every connection, and forgets what was held.
    pub fn cut_all(&self) {
        let mut state = self.shared.state();
        state.cuts += 1;
        state.armed = None;
        for connection in state.connections.drain(..) {
            // It may have ended by itself.
            connection.client.shutdown(Shutdown::Both).ok();
            connection.server.shutdown(Shutdown::Both).ok();
        }
        self.shared.changed.notify_all();
    }

    /// Tells every consumer that the broker has cancelled it. Gives back how many there were.
    pub fn cancel_consumers(&self) -> usize {
        let state = self.shared.state();
        let mut told = 0;
        for connection in &state.connections {
            for (channel, tag) in connection.consumers.lock().expect("no panic").drain(..) {
                let mut payload = BASIC.to_be_bytes().to_vec();
                payload.extend(30_u16.to_be_bytes());
                payload.push(u8::try_from(tag.len()).expect("a short string"));
                payload.extend(tag);
                // No answer is wanted.
                payload.push(1);
                let mut frame = vec![1];
                frame.extend(channel.to_be_bytes());
                frame.extend(u32::try_from(payload.len()).expect("a short frame").to_be_bytes());
                frame.extend(payload);
                frame.push(END);
                told += usize::from(connection.to_client.lock().expect("no panic").write_all(&frame).is_ok());
            }
        }
        told
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.cut_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        let to_client = Mutex::new(client.try_clone().expect("a descriptor"));
        let connection = Arc::new(Connection { client, server, to_client, consumers: Mutex::default() });
        self.state().connections.push(Arc::clone(&connection));
        for way in [Way::Up, Way::Down] {
            let (shared, connection) = (Arc::clone(self), Arc::clone(&connection));
            thread::spawn(move || {
                // However one way ends, the other ends with it.
                shared.pump(way, &connection).ok();
                connection.client.shutdown(Shutdown::Both).ok();
                connection.server.shutdown(Shutdown::Both).ok();
            });
        }
    }

    fn pump(&self, way: Way, connection: &Connection) -> io::Result<()> {
        let (mut from, mut to) = match way {
            Way::Up => (&connection.client, &connection.server),
            Way::Down => (&connection.server, &connection.client),
        };
        if way == Way::Up {
            let mut greeting = [0; 8];
            from.read_exact(&mut greeting)?;
            to.write_all(&greeting)?;
        }
        loop {
            let frame = read_frame(&mut from)?;
            let method = (frame[0] == 1 && frame.len() > HEAD_BYTES + 4)
                .then(|| (u16::from_be_bytes([frame[7], frame[8]]), u16::from_be_bytes([frame[9], frame[10]])));
            if let Some((class, id)) = method {
                self.hold(way, class, id)?;
                if (way, class, id) == (Way::Down, BASIC, 21) {
                    let tag = frame[12..12 + usize::from(frame[11])].to_vec();
                    let channel = u16::from_be_bytes([frame[1], frame[2]]);
                    connection.consumers.lock().expect("no panic").push((channel, tag));
                }
                if (way, class, id) == (Way::Up, BASIC, 30) {
                    let tag = &frame[12..12 + usize::from(frame[11])];
                    connection.consumers.lock().expect("no panic").retain(|(_, known)| known != tag);
                }
            }
            match way {
                Way::Up => to.write_all(&frame)?,
                Way::Down => connection.to_client.lock().expect("no panic").write_all(&frame)?,
            }
        }
    }

    /// Stays here with the frame that is waited for, until everything is cut.
    fn hold(&self, way: Way, class: u16, id: u16) -> io::Result<()> {
        let mut state = self.state();
        let Some((point, passed)) = state.armed.filter(|(point, _)| point.parts() == (way, class, id)) else {
            return Ok(());
        };
        if let Some(passed) = passed.checked_sub(1) {
            state.armed = Some((point, passed));
            return Ok(());
        }
        state.armed = None;
        state.held += 1;
        self.changed.notify_all();
        let cuts = state.cuts;
        while state.cuts == cuts {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; HEAD_BYTES];
    from.read_exact(&mut frame)?;
    let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
    frame.resize(HEAD_BYTES + size + 1, 0);
    from.read_exact(&mut frame[HEAD_BYTES..])?;
    assert_eq!(frame.last(), Some(&END), "out of step with the frames");
    Ok(frame)
}
