//! The certificate that is shown, and its files, which are read again when they change.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::pair::{Facts, Pair, TlsError, provider};

/// How often the files are looked at: a look is two `stat` calls.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long before its end a certificate is warned of, and how often.
pub(super) const WARN_BEFORE_S: i64 = 14 * 24 * 3600;
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The files of a certificate with its chain, and of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// Nothing where no certificate is configured.
    #[must_use]
    pub fn configured(certificate: &Path, key: &Path) -> Option<Self> {
        let is_set = !certificate.as_os_str().is_empty() && !key.as_os_str().is_empty();
        is_set.then(|| Self { certificate: certificate.to_owned(), key: key.to_owned() })
    }

    pub(super) fn read(&self) -> Result<Pair, TlsError> {
        Pair::read(&self.certificate, &self.key)
    }

    /// What differs once one of them was written or replaced: a renewed certificate is often behind a symbolic link. Nothing for a file
    /// that is not there.
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let found = std::fs::metadata(path).ok()?;
            Some(Stamp { inode: found.ino(), bytes: found.len(), changed: (found.ctime(), found.ctime_nsec()) })
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// TLS 1.2 and 1.3 with the certificate of files. Cheap to clone: clones show the same certificate.
#[derive(Clone)]
pub struct Tls {
    files: Files,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
    /// Of the files that were read last.
    stamps: [Option<Stamp>; 2],
    tell: Option<Tell>,
}

/// Is told when the certificate that is shown expires.
pub(super) type Tell = Arc<dyn Fn(Timestamp) + Send + Sync>;

/// The certificate that new connections are shown.
#[derive(Debug)]
struct Shown(RwLock<Pair>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] where they cannot be used.
    pub fn open(files: Files) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let pair = files.read()?;
        pair.facts.log();
        let shown = Arc::new(Shown(RwLock::new(pair)));
        let wrong = |error| TlsError::Key(files.key.clone(), error);
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(wrong)?.with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by tickets, whose keys change by themselves: nothing is kept for a client.
        config.ticketer = Ticketer::new().map_err(wrong)?;
        Ok(Self { files, shown, acceptor: TlsAcceptor::from(Arc::new(config)), stamps, tell: None })
    }

    pub(super) fn telling(self, tell: Tell) -> Self {
        tell(self.facts().not_after);
        Self { tell: Some(tell), ..self }
    }

    fn facts(&self) -> Facts {
        self.shown.0.read().unwrap_or_else(PoisonError::into_inner).facts.clone()
    }

    /// The handshake of a connection.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Reads the files again when they change and at SIGHUP, and warns of the certificate's end, until `shutdown`.
    pub(super) async fn keep_current(mut self, shutdown: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!(%error, "SIGHUP is not heard: certificates are not read again"),
        };
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                asked = hangup.recv() => match asked {
                    Some(()) => self.read_again(),
                    None => return,
                },
                _ = look.tick() => if self.files.stamps() != self.stamps { self.read_again() },
            }
            if warned.elapsed() > WARN_EVERY {
                warned = Instant::now();
                self.facts().warn();
            }
        }
    }

    /// Takes over what the files have now. One that was replaced before the other does not belong to it; then the certificate stays as it
    /// is until the other one changes too.
    fn read_again(&mut self) {
        self.stamps = self.files.stamps();
        match self.files.read() {
            Ok(pair) => {
                pair.facts.log();
                if let Some(tell) = &self.tell {
                    tell(pair.facts.not_after);
                }
                *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
            }
            Err(error) => {
                tracing::error!(%error, "a certificate was not read again: connections are shown the one from before");
            }
        }
    }
}

impl Facts {
    fn log(&self) {
        tracing::info!(not_after = %self.not_after, names = self.names.join(","), "TLS certificate");
        self.warn();
    }

    /// Says where the certificate has ended or ends soon.
    fn warn(&self) {
        let left_s = self.not_after.as_second() - Timestamp::now().as_second();
        if left_s < 0 {
            tracing::error!(not_after = %self.not_after, "the TLS certificate has expired: clients refuse it");
        } else if left_s < WARN_BEFORE_S {
            tracing::warn!(not_after = %self.not_after, "the TLS certificate expires soon: renew it");
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
