//! One request, from its account to its answer.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::{Memory, Unread, permits};
use super::metrics::{Answer, Metrics};
use super::taken::Taken;
use super::{Batch, Options, Outlet, Webhook};
use crate::channels::{
    Account, AccountError, Channel, Denied, Outgoing, Reply, Request, Update, missed, open, outgoing,
};

/// The time to publish is that of so many events; a webhook with more has more time.
const EVENTS_IN_TIME: usize = 1000;
/// After how many seconds a provider that reads it should come again.
const COME_AGAIN_S: u64 = 5;

/// An account whose webhooks are taken.
#[derive(Debug)]
pub struct Entry {
    account: Account,
    channel: Box<dyn Channel>,
}

impl Entry {
    /// An account.
    ///
    /// # Errors
    /// [`AccountError`] where a setting of it cannot work.
    pub fn new(account: Account) -> Result<Self, AccountError> {
        Ok(Self { channel: open(&account)?, account })
    }
}

/// Takes webhooks. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    entries: HashMap<String, (Entry, Share)>,
    options: Options,
    outlet: Arc<dyn Outlet>,
    metrics: Metrics,
    taken: Taken,
}

/// What one account can take at the same time.
struct Share {
    requests: Semaphore,
    memory: Memory,
}

impl Gateway {
    /// A gateway for these accounts.
    pub fn new(options: Options, entries: Vec<Entry>, outlet: Arc<dyn Outlet>) -> Self {
        let metrics = Metrics::new(entries.iter().map(|entry| entry.account.name.as_str()));
        let all = Arc::new(permits(options.memory_bytes));
        let share = |entry: Entry| {
            let memory = Memory::new(Arc::clone(&all), &options);
            (entry.account.name.clone(), (entry, Share { requests: Semaphore::new(options.account_requests), memory }))
        };
        let entries = entries.into_iter().map(share).collect();
        Self(Arc::new(Inner { entries, options, outlet, metrics, taken: Taken::default() }))
    }

    /// The limits.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// What was taken by webhook.
    pub(super) fn taken(&self) -> &Taken {
        &self.0.taken
    }

    /// Where events go.
    pub(super) fn outlet(&self) -> &dyn Outlet {
        &*self.0.outlet
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new().route("/v1/channels/{account}", any(take)).with_state(self.clone())
    }

    async fn answer(&self, name: &str, head: &Head, body: Body) -> Result<(Answer, Reply), Refusal> {
        let (entry, share) = self.0.entries.get(name).ok_or(Refusal::of(Answer::Unknown))?;
        if head.is_get
            && let Some(reply) = entry.channel.handshake(&head.request(b""))?
        {
            return Ok((Answer::Handshake, reply));
        }
        if head.is_encoded {
            return Err(Refusal::of(Answer::Encoded));
        }
        // Without the header of a signature no body makes it valid: such a request takes no place and no memory.
        if let Err(denied @ (Denied::Unsigned | Denied::Unconfigured)) =
            entry.channel.verify(&head.request(b""), Timestamp::now())
        {
            return Err(denied.into());
        }
        // One that is asked for while as many are at work does not wait: it would take a connection from the other accounts.
        let _place = share.requests.try_acquire().map_err(|_| Refusal::of(Answer::Busy))?;
        let (bytes, _memory) = share.memory.read(body, &self.0.options).await?;
        let request = head.request(&bytes);
        let now = Timestamp::now();
        entry.channel.verify(&request, now)?;
        let updates = entry.channel.parse(&request).map_err(|malformed| {
            tracing::warn!(account = name, error = %malformed, "a webhook that was verified cannot be read");
            Refusal::of(Answer::Malformed)
        })?;
        let events = self.events(&entry.account, updates, now);
        let webhook = entry.account.is_passed_on.then(|| head.webhook(bytes.into(), now));
        let is_listed = missed::is_listed(entry.account.provider);
        let listed = if is_listed { events.clone() } else { Vec::new() };
        self.publish(Batch { account: name.to_owned(), events, webhook })
            .await
            .inspect_err(|_| self.0.taken.missed())?;
        if is_listed {
            self.0.taken.took(&listed);
        }
        Ok((Answer::Taken, entry.channel.success()))
    }

    fn events(&self, account: &Account, updates: Vec<Update>, now: Timestamp) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        for update in updates {
            if let Update::Ignored(why) = &update {
                self.0.metrics.ignored(&account.name, *why);
            }
            batch.extend(outgoing(account, update, now));
        }
        batch
    }

    async fn publish(&self, batch: Batch) -> Result<(), Refusal> {
        if batch.events.is_empty() && batch.webhook.is_none() {
            return Ok(());
        }
        let account = batch.account.clone();
        let name = account.as_str();
        let kinds: Vec<String> = batch.events.iter().map(|outgoing| outgoing.event.kind.clone()).collect();
        let time = self.0.options.publish_timeout * batches(batch.events.len());
        let published = timeout(time, self.0.outlet.publish(batch)).await;
        let unrouted = match published {
            Ok(Ok(unrouted)) => unrouted,
            Ok(Err(error)) => {
                tracing::warn!(account = name, %error, "a webhook is not taken: the provider will repeat it");
                return Err(Refusal::of(Answer::NotPublished));
            }
            Err(_elapsed) => {
                tracing::warn!(account = name, "a webhook is not taken: the broker did not confirm its events in time");
                return Err(Refusal::of(Answer::NotPublished));
            }
        };
        self.0.metrics.published(name, &kinds);
        if unrouted > 0 {
            self.0.metrics.unrouted(name, unrouted);
            tracing::warn!(
                account = name,
                unrouted,
                "nobody is bound for events that tell of changes or missing files"
            );
        }
        Ok(())
    }
}

fn batches(events: usize) -> u32 {
    u32::try_from(events.div_ceil(EVENTS_IN_TIME)).unwrap_or(u32::MAX).max(1)
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// A request without its body.
struct Head {
    is_get: bool,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    is_encoded: bool,
}

impl Head {
    fn new(options: &Options, parts: &axum::http::request::Parts) -> Self {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        Self {
            is_get: parts.method == Method::GET,
            url: format!("{}{path}", options.public_url),
            headers: owned(&parts.headers),
            is_encoded: parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity"),
        }
    }

    fn webhook(&self, body: Bytes, received_at: Timestamp) -> Webhook {
        let query = self.request(b"").query().to_owned();
        Webhook { is_get: self.is_get, query, headers: self.headers.clone(), body, received_at }
    }

    fn request<'a>(&'a self, body: &'a [u8]) -> Request<'a> {
        Request { is_get: self.is_get, url: &self.url, headers: &self.headers, body }
    }
}

fn owned(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// Why a request is not answered with success.
struct Refusal {
    answer: Answer,
}

impl Refusal {
    const fn of(answer: Answer) -> Self {
        Self { answer }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::of(Answer::Denied(denied))
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        Self::of(match unread {
            Unread::TooLarge => Answer::TooLarge,
            Unread::TooSlow | Unread::Broken => Answer::TooSlow,
            Unread::NoMemory => Answer::Busy,
        })
    }
}

async fn take(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    request: axum::http::Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST) {
        return reply(&Reply { status: 405, content_type: None, body: String::new() });
    }
    let head = Head::new(&gateway.0.options, &parts);
    let started = std::time::Instant::now();
    let (answer, said) = match gateway.answer(&name, &head, body).await {
        Ok((answer, said)) => (answer, said),
        Err(Refusal { answer }) => {
            if answer == Answer::Denied(Denied::Unconfigured) {
                tracing::error!(account = name, "a webhook is refused: {}", Denied::Unconfigured);
            }
            (answer, Reply { status: answer.status(), content_type: None, body: String::new() })
        }
    };
    gateway.0.metrics.answered(&name, answer, started.elapsed());
    reply(&said)
}

fn reply(said: &Reply) -> Response {
    let mut response = Response::new(Body::from(said.body.clone()));
    *response.status_mut() = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = said.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if said.status == 503 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(COME_AGAIN_S));
    }
    response
}
