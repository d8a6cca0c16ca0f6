//! Files behind URLs that other people chose.
//!
//! Such a URL is a request to make a request: it must not reach what only this machine can reach. So every address is
//! checked where it is used, after names were resolved, and every redirect is a new URL that is checked like the first.

mod address;
mod answer;
mod resolver;
mod target;

use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::sink::{Sink, Wanted};
use super::{Fetched, Peers, SourceError};
use crate::config::Source;
use answer::Answer;
use resolver::{Names, Pinned, Refused};
use target::{Rules, Target};

const USER_AGENT: &str = concat!("mediamill/", env!("CARGO_PKG_VERSION"));

/// A client for URLs. Certificates are loaded at the first of them.
#[derive(Debug)]
pub(super) struct Http {
    rules: Rules,
    max_redirects: u32,
    connect_timeout: Duration,
    read_timeout: Duration,
    /// Reaches public addresses only.
    public: Way,
    /// For the hosts that the configuration names.
    internal: Way,
}

/// A client, and how it finds addresses.
#[derive(Debug)]
struct Way {
    names: Names,
    client: OnceCell<Client>,
}

impl Way {
    fn new(public_only: bool) -> Self {
        Self { names: Names::new(public_only), client: OnceCell::new() }
    }
}

impl Http {
    pub(super) fn new(config: &Source) -> Self {
        Self {
            rules: Rules::new(config),
            max_redirects: config.http_max_redirects,
            connect_timeout: Duration::from_secs(config.connect_timeout_s),
            read_timeout: Duration::from_secs(config.read_timeout_s),
            public: Way::new(true),
            internal: Way::new(false),
        }
    }

    pub(super) async fn fetch(
        &self,
        url: &str,
        wanted: Wanted,
        dest: &Path,
        peers: &dyn Peers,
    ) -> Result<Fetched, SourceError> {
        let mut target = self.rules.target(url)?;
        for _ in 0..=self.max_redirects {
            let response = self.ask(&target, peers).await?;
            match answer::read(&response, &target.host, SystemTime::now())? {
                Answer::Redirect(location) => target = self.rules.redirected(&target, &location)?,
                Answer::File => return save(response, &target, wanted, dest).await,
            }
        }
        Err(SourceError::Invalid(format!("{} leads through more than {} redirects", target.host, self.max_redirects)))
    }

    async fn ask(&self, target: &Target, peers: &dyn Peers) -> Result<Response, SourceError> {
        let way = if target.internal { &self.internal } else { &self.public };
        // Until the answer is here: the connection is made by then, and there is no other.
        let _pinned = match target.address {
            Some(address) => {
                peers.meets(&[address::network(address)])?;
                None
            }
            None => {
                let pinned = self.pin(&way.names, &target.host).await?;
                peers.meets(&pinned.addresses.iter().copied().map(address::network).collect::<Vec<_>>())?;
                Some(pinned)
            }
        };
        let client = way.client.get_or_try_init(async || self.client(way.names.clone())).await?;
        let response = client.get(target.url.clone()).send().await.map_err(|err| meaning(&err, &target.host))?;
        // Whatever way a connection came about: who answers is who was allowed.
        let peer_ok = response.remote_addr().is_some_and(|peer| address::is_public(peer.ip()));
        if !target.internal && !peer_ok {
            return Err(target::not_public(&target.host));
        }
        Ok(response)
    }

    async fn pin(&self, names: &Names, host: &str) -> Result<Pinned, SourceError> {
        match timeout(self.connect_timeout, names.pin(host)).await {
            Ok(Ok(pinned)) => Ok(pinned),
            Ok(Err(err)) if err.is::<Refused>() => Err(target::not_public(host)),
            Ok(Err(err)) => Err(unavailable(format!("cannot find {host}: {err}"))),
            Err(_elapsed) => Err(SourceError::Timeout(format!("the name {host} is not found in time"))),
        }
    }

    /// Without proxies, which would resolve names themselves; without redirects, which are followed here.
    fn client(&self, names: Names) -> Result<Client, SourceError> {
        let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        Client::builder()
            .dns_resolver(names)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(USER_AGENT)
            .default_headers(identity)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            // Originals come once. A connection that is kept would be one more to be broken when it is used again.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|err| SourceError::Config(format!("no HTTP client: {}", root_cause(&err))))
    }
}

async fn save(mut response: Response, target: &Target, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    wanted.announced(response.content_length().unwrap_or(0))?;
    let mut sink = Sink::create(dest, wanted).await?;
    while let Some(bytes) = response.chunk().await.map_err(|err| meaning(&err, &target.host))? {
        sink.write(&bytes).await?;
    }
    sink.finish().await
}

/// What an error of the client means. Its own text has the URL in it.
fn meaning(err: &reqwest::Error, host: &str) -> SourceError {
    if chain(err).any(|cause| cause.is::<Refused>()) {
        return target::not_public(host);
    }
    let cause = root_cause(err);
    match () {
        () if err.is_timeout() => SourceError::Timeout(format!("{host} is too slow")),
        () if err.is_builder() => SourceError::Invalid(format!("the URL cannot be asked for: {cause}")),
        () if err.is_connect() => unavailable(format!("cannot connect to {host}: {cause}")),
        () => unavailable(format!("{host} broke off: {cause}")),
    }
}

fn unavailable(detail: String) -> SourceError {
    SourceError::Unavailable { detail, retry_after: None }
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn chain(err: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(err as Cause<'_>), |err| err.source())
}

/// The last cause says what happened; it knows of no URL. The first one does, and is never shown.
fn root_cause(err: &reqwest::Error) -> String {
    chain(err).skip(1).last().map(ToString::to_string).unwrap_or_default()
}
