//! An HTTP server that says what a script tells it, down to the byte: libraries would not let it lie.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::host::Host;

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes.
    Send(Vec<u8>),
    /// These bytes one by one, so long apart.
    Drip(Vec<u8>, Duration),
    /// These bytes again and again, for as long as somebody listens.
    Forever(Vec<u8>),
    /// Nothing before there is a permit.
    Wait(Arc<Semaphore>),
    /// Nothing any more, with the connection open.
    Stall,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In upper case.
    pub method: String,
    /// With the query.
    pub path: String,
    /// All lines after the first, in lower case.
    pub headers: Vec<String>,
    /// As long as `content-length` says.
    pub body: Vec<u8>,
}

/// The server. One request a connection.
pub struct Http {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _host: Host,
}

type Script = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

impl Http {
    /// Starts to listen on a free port; answers what the script says.
    pub fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let host = Host::new();
        let (listener, address) = host.listen();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let script: Arc<Script> = Arc::new(script);
        host.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                // Clients that hang up are the point of many a test.
                tokio::spawn(async move { converse(stream, &*script, &log).await.ok() });
            }
        });
        Self { address, asked, _host: host }
    }

    /// A URL of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `address:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// An answer with a status line, header lines and a body, and no header besides.
pub fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<Step> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.as_ref());
    vec![Step::Send(bytes)]
}

/// The answer that everybody hopes for.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<Step> {
    answer("200 OK", &[&format!("content-length: {}", body.as_ref().len())], body)
}

/// An answer that leads elsewhere.
pub fn redirect(status: u16, location: &str) -> Vec<Step> {
    answer(&format!("{status} Elsewhere"), &[&format!("location: {location}"), "content-length: 0"], "")
}

async fn converse(mut stream: TcpStream, script: &Script, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    let mut headers = Vec::new();
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        headers.push(line.to_lowercase());
    }
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    lines.into_inner().read_exact(&mut body).await?;
    let word = |n| first.split(' ').nth(n).unwrap_or_default().to_owned();
    let asked = Asked { method: word(0), path: word(1), headers, body };
    let steps = script(&asked);
    log.lock().expect("no panic").push(asked);
    for step in steps {
        match step {
            Step::Send(bytes) => writer.write_all(&bytes).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    writer.write_all(&[byte]).await?;
                    sleep(pause).await;
                }
            }
            Step::Forever(bytes) => loop {
                writer.write_all(&bytes).await?;
            },
            Step::Wait(open) => open.acquire().await.expect("open").forget(),
            Step::Stall => std::future::pending().await,
        }
    }
    writer.shutdown().await
}
