//! Something that must not be touched, and knows whether it was: an HTTP server and a file.

use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// What stands in the file, and what the server would say.
pub const SECRET: &[u8] = b"canary-5e5e1c0de-canary";

/// Both of them, counting.
pub struct Canary {
    folder: tempfile::TempDir,
    watch: OwnedFd,
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Canary {
    /// A file full of the secret, and a server on a port of its own.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("secret.ts");
        std::fs::write(&file, SECRET.repeat(1000)).expect("a file");
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        inotify::add_watch(&watch, &file, WatchFlags::OPEN).expect("watched");

        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (calls, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let server = std::thread::spawn({
            let (calls, over) = (Arc::clone(&calls), Arc::clone(&over));
            move || {
                // Accepting is what counts; whoever calls is hung up on.
                for _caller in listener.incoming() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { folder, watch, address, calls, over, server: Some(server) }
    }

    /// Path of the file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("secret.ts")
    }

    /// Address of something on the server.
    pub fn url(&self) -> String {
        format!("http://{}/secret.ts", self.address)
    }

    /// How often the server was called and the file opened, since the last time of asking.
    pub fn hits(&self) -> usize {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.watch, &mut space);
        let mut opened = 0;
        while events.next().is_ok() {
            opened += 1;
        }
        opened + self.calls.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the server, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
        drop(self.server.take().map(JoinHandle::join));
    }
}
