//! `mediamill health`: asks the worker on this machine whether it can work, for container engines without HTTP probes.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CliError, EXIT_FAILED, Global};

/// Longer than a worker waits for the broker and the store before it answers that they do not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of `health`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only whether the consume loop runs, whatever broker and store do: for a supervisor that restarts the process
    #[arg(long)]
    live: bool,
}

/// Prints what the worker at `http.listen` answers. Exit codes: 0 all is well, 1 it is not, or nobody answers.
pub(super) fn run(args: &Args, global: &Global) -> Result<ExitCode, CliError> {
    let listen = global.listen()?;
    let address: SocketAddr = listen
        .parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() != 0)
        .ok_or_else(|| CliError::Usage("http.listen: names no port that could be asked".to_owned()))?;
    let path = if args.live { "/livez" } else { "/readyz" };
    // One request needs one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { timeout(PATIENCE, ask(address, path)).await });
    let (well, text) = asked.unwrap_or_else(|elapsed| Err(elapsed.into()))?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::from(if well { 0 } else { EXIT_FAILED }))
}

/// Asks the worker that listens at `address` on this machine: whether all is well, and what it says.
///
/// # Errors
/// Where nobody answers.
pub async fn ask(address: SocketAddr, path: &str) -> io::Result<(bool, String)> {
    let stream = TcpStream::connect(reachable(address)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    // What goes wrong with it is told to the request.
    drop(tokio::spawn(connection));
    let answer = sender.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
    let well = answer.status().is_success();
    let body = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    Ok((well, String::from_utf8_lossy(&body).into_owned()))
}

/// Who listens on all addresses is asked on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
