//! Sends webhooks to the gateway, each one repeatedly until it is answered with success.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::played::{Delivered, Played, Webhook};
use super::{Fault, provider};

/// How long a provider waits for an answer to a webhook.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The first pause before a webhook is sent again. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause. Real providers have longer ones.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The URL that webhooks are sent to: http only.
#[derive(Debug, Clone)]
pub(super) struct Target {
    authority: String,
    path: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "the gateway's URL is not http://host:port/path");
        let url = Url::parse(url).map_err(|_| wrong())?;
        let host = url.host_str().filter(|_| url.scheme() == "http").ok_or_else(wrong)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { authority: format!("{host}:{}", url.port().unwrap_or(80)), path })
    }
}

/// Sends every message. Returns when all were accepted, or at `shutdown`.
pub(super) async fn all(
    played: &Arc<Played>,
    target: Target,
    shutdown: &CancellationToken,
    delivered: Arc<impl Fn(&Delivered) + Send + Sync + 'static>,
) {
    let mut order: Vec<usize> = (0..played.options.count).collect();
    if played.options.faults.has(Fault::Reordered) {
        order.shuffle(&mut StdRng::seed_from_u64(played.options.seed));
    }
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(played.options.at_once.max(1))));
    let began = Instant::now();
    for (sent, n) in order.into_iter().enumerate() {
        if played.options.rate > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a count of messages is far below 2^52")]
            let at = began + Duration::from_secs_f64(sent as f64 / played.options.rate);
            sleep_until(at).await;
        }
        let place = tokio::select! {
            () = shutdown.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let copies = if played.options.faults.has(Fault::Duplicates) { 2 } else { 1 };
        let (played, target, shutdown, delivered) =
            (Arc::clone(played), target.clone(), shutdown.clone(), Arc::clone(&delivered));
        tasks.spawn(async move {
            let _place = place;
            let (message, _) = provider::webhook(&played, n);
            let copies = (0..copies).map(|_| until_taken(&played, n, &target, &shutdown));
            let attempts: Vec<Option<u32>> = futures_util::future::join_all(copies).await;
            if let Some(attempts) = attempts.into_iter().collect::<Option<Vec<u32>>>() {
                delivered(&Delivered { attempts: attempts.iter().sum(), ..message });
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Sends a webhook until it is accepted and returns how often it was sent; `None` at `shutdown`.
async fn until_taken(played: &Played, n: usize, target: &Target, shutdown: &CancellationToken) -> Option<u32> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let (_, webhook) = provider::webhook(played, n);
        match timeout(ANSWER_TIMEOUT, post(target, &webhook)).await {
            Ok(Ok(200)) => return Some(attempt),
            Ok(Ok(status)) => tracing::info!(status, attempt, "the gateway refused a webhook: sending it again"),
            Ok(Err(error)) => tracing::info!(%error, attempt, "the gateway did not answer a webhook: sending it again"),
            Err(_elapsed) => tracing::info!(attempt, "the gateway did not answer a webhook in time: sending it again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    None
}

async fn post(target: &Target, webhook: &Webhook) -> io::Result<u16> {
    let stream = TcpStream::connect(&target.authority).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // The request itself gets the connection's error.
    drop(tokio::spawn(connection));
    let mut request = Request::post(&target.path)
        .header(HOST, &target.authority)
        .header(CONNECTION, "close")
        .header(CONTENT_TYPE, webhook.content_type);
    for (name, value) in &webhook.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(webhook.body.clone()))).map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.map_err(io::Error::other)?;
    Ok(status)
}
