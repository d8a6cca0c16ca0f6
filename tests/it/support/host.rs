//! A runtime of its own for a server that a test starts: it serves plain and async tests alike, and ends when dropped.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// One thread that servers run on.
pub struct Host(Option<Runtime>);

impl Host {
    /// Starts the thread.
    pub fn new() -> Self {
        Self(Some(Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")))
    }

    /// A listener on a free port of this machine, and its address.
    pub fn listen(&self) -> (TcpListener, SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let _context = self.runtime().enter();
        (TcpListener::from_std(listener).expect("a listener"), address)
    }

    /// Runs something until it ends or the host is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(task);
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("only drop takes it")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // An async test may not wait for it, and nobody needs to.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
