//! An HTTP proxy that decides request by request, for faults that a server could have on its own.
//!
//! ```ignore
//! let gate = Gate::start(&s3.endpoint(), |request| match request {
//!     // The first two uploads are told to slow down, the rest passes.
//!     Seen { method: "PUT", nth: 0..2, .. } => Act::Answer(503, SLOW_DOWN),
//!     // The answer to the end of a multipart upload is never heard.
//!     seen if seen.is_complete() => Act::LoseAnswer,
//!     _ => Act::Pass,
//! });
//! let config = s3.access().via(&gate.url()).config();
//! gate.log();                                           // "PUT /media/a", in order
//! ```

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyDataStream, BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;

use super::host::Host;

/// S3's answer to too many requests.
pub const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
/// S3's answer to its own mistakes.
pub const INTERNAL_ERROR: &str = "<Error><Code>InternalError</Code><Message>We failed.</Message></Error>";
/// S3's answer to who may not.
pub const ACCESS_DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";

/// A request as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// `GET`, `PUT`, …
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    /// How many requests of this method came before.
    pub nth: usize,
}

impl Seen<'_> {
    /// Whether it begins a multipart upload.
    pub fn is_begin(&self) -> bool {
        self.method == "POST" && self.path.ends_with("?uploads")
    }

    /// Whether it ends a multipart upload.
    pub fn is_complete(&self) -> bool {
        self.method == "POST" && self.path.contains("uploadId=")
    }

    /// Whether it sends a part.
    pub fn is_part(&self) -> bool {
        self.method == "PUT" && self.path.contains("partNumber=")
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// It goes to the server.
    Pass,
    /// This status and body come instead.
    Answer(u16, &'static str),
    /// It does not go to the server, and no answer ever comes.
    Never,
    /// It goes to the server, and the answer never comes.
    LoseAnswer,
    /// The connection is closed before the request was read.
    Close,
    /// The connection breaks after so many bytes of the answer's body.
    CutAnswer(usize),
    /// One bit of the body of the request is flipped on the way.
    CorruptRequest,
    /// One bit of the body of the answer is flipped on the way.
    CorruptAnswer,
}

/// The proxy. Its connections end when it is dropped.
pub struct Gate {
    url: String,
    log: Arc<Mutex<Vec<String>>>,
    _host: Host,
}

type Decide = dyn Fn(Seen<'_>) -> Act + Send + Sync;
type Body = BoxBody<Bytes, io::Error>;

struct Porter {
    upstream: String,
    client: reqwest::Client,
    decide: Box<Decide>,
    counts: Mutex<HashMap<String, usize>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    /// Starts to listen on a free port.
    pub fn start(upstream: &str, decide: impl Fn(Seen<'_>) -> Act + Send + Sync + 'static) -> Self {
        let host = Host::new();
        let (listener, address) = host.listen();
        let log = Arc::new(Mutex::new(Vec::new()));
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let porter = Arc::new(Porter {
            upstream: upstream.to_owned(),
            client: client.build().expect("a client"),
            decide: Box::new(decide),
            counts: Mutex::default(),
            log: Arc::clone(&log),
        });
        host.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let porter = Arc::clone(&porter);
                let service = service_fn(move |request| {
                    let porter = Arc::clone(&porter);
                    async move { porter.handle(request).await }
                });
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // What goes wrong with a connection is what the tests are about.
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self { url: format!("http://{address}"), log, _host: host }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Every request so far, as `METHOD /path?query`.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }
}

impl Porter {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        match self.decide(&request) {
            Act::Pass => self.forward(request, false).await,
            Act::CorruptRequest => self.forward(request, true).await,
            Act::Answer(status, body) => {
                // A server reads what it is sent, also where it does not want it.
                request.into_body().collect().await.map_err(io::Error::other)?;
                let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(never).boxed();
                Ok(Response::builder()
                    .status(status)
                    .header("content-type", "application/xml")
                    .body(body)
                    .expect("fine"))
            }
            Act::Never => std::future::pending().await,
            Act::LoseAnswer => {
                self.forward(request, false).await?;
                std::future::pending().await
            }
            Act::Close => Err(io::ErrorKind::ConnectionReset.into()),
            Act::CutAnswer(after) => {
                let answer = self.forward(request, false).await?;
                Ok(answer.map(|body| cut(body, after)))
            }
            Act::CorruptAnswer => Ok(self.forward(request, false).await?.map(corrupt)),
        }
    }

    fn decide(&self, request: &Request<Incoming>) -> Act {
        let method = request.method().as_str();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut counts = self.counts.lock().expect("no panic");
        let count = counts.entry(method.to_owned()).or_default();
        let nth = *count;
        *count += 1;
        self.log.lock().expect("no panic").push(format!("{method} {path}"));
        (self.decide)(Seen { method, path, nth })
    }

    async fn forward(&self, request: Request<Incoming>, corrupted: bool) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let url = format!("{}{}", self.upstream, head.uri);
        let mut headers = head.headers;
        // Of this connection, not of the request: the answer to the first is given by reading the body.
        headers.remove("expect");
        headers.remove("connection");
        let mut asked = self.client.request(head.method, url).headers(headers);
        // Without a body there is to be none, not even one of no chunks.
        if !body.is_end_stream() {
            let pieces = BodyDataStream::new(body).enumerate();
            let hurt = move |n: usize, bytes: Bytes| if corrupted && n == 0 { flip(&bytes) } else { bytes };
            let pieces = pieces.map(move |(n, piece)| piece.map(|bytes| hurt(n, bytes)));
            asked = asked.body(reqwest::Body::wrap_stream(pieces));
        }
        let answer: Response<reqwest::Body> = asked.send().await.map_err(io::Error::other)?.into();
        Ok(answer.map(|body| body.map_err(io::Error::other).boxed()))
    }
}

fn never(err: Infallible) -> io::Error {
    match err {}
}

/// Another bit each time: noise does not repeat itself.
fn flip(bytes: &Bytes) -> Bytes {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut bytes = bytes.to_vec();
    let at = COUNT.fetch_add(1, Ordering::Relaxed) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.into()
}

fn corrupt(body: Body) -> Body {
    let pieces = BodyDataStream::new(body).enumerate();
    let pieces = pieces.map(|(n, piece)| piece.map(|bytes| Frame::data(if n == 0 { flip(&bytes) } else { bytes })));
    BodyExt::boxed(StreamBody::new(pieces))
}

fn cut(body: Body, after: usize) -> Body {
    let broken = || Err(io::ErrorKind::ConnectionReset.into());
    let pieces = BodyDataStream::new(body).scan(after, move |left, piece| {
        let piece = piece.map(|bytes| bytes.slice(..bytes.len().min(*left)));
        *left -= piece.as_ref().map_or(0, Bytes::len);
        let over = *left == 0;
        let frames = std::iter::once(piece.map(Frame::data)).chain(over.then(broken));
        std::future::ready(Some(stream::iter(frames.collect::<Vec<_>>())))
    });
    BodyExt::boxed(StreamBody::new(pieces.flatten()))
}
