//! The client: resolves names, checks addresses, sends requests, follows redirects.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::address;
use super::library_error::{is_refused, meaning, root_cause};
use super::resolver::{Names, Pinned, Refused};
use super::rules::Target;
use super::{Answer, Anybody, Credential, EgressError, Method, Peers, Redirects, Request, Response, Rules};

/// The user agent if none is configured.
const USER_AGENT: &str = concat!("mediamill/", env!("CARGO_PKG_VERSION"));
/// The time limit of [`Egress::call`] for a request without a timeout of its own.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of a client.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which URLs may be requested.
    pub rules: Rules,
    /// The time limit of a name look-up, and of a connection with its TLS handshake.
    pub connect_timeout: Duration,
    /// How long a server may be silent.
    pub read_timeout: Duration,
    /// `User-Agent`; if empty, the program's name and version.
    pub user_agent: String,
}

/// An HTTP client for servers of other parties. Cheap to clone. Certificates are loaded at the first request.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    /// Connects to public addresses only.
    public: Connector,
    /// For the hosts that the rules name, which may have private addresses.
    internal: Connector,
}

/// An HTTP client and the resolver that it uses.
#[derive(Debug)]
struct Connector {
    names: Names,
    client: OnceCell<Client>,
}

/// What a request carries besides method and body. A redirect may drop each of them.
struct Extras<'a> {
    headers: Option<&'a HeaderMap>,
    credential: Option<&'a Credential>,
}

impl Connector {
    fn new(public_only: bool) -> Self {
        Self { names: Names::new(public_only), client: OnceCell::new() }
    }
}

impl Egress {
    /// Creates a client. No connection is made yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Inner { options, public: Connector::new(true), internal: Connector::new(false) }))
    }

    /// Sends a request and reads the head of the answer, whatever its status. Redirects of a GET are followed as the
    /// rules say; `peers` sees the addresses of each.
    ///
    /// # Errors
    /// [`EgressError`]
    pub async fn open(&self, request: &Request, peers: &dyn Peers) -> Result<Response, EgressError> {
        let rules = &self.0.options.rules;
        let mut target = rules.target(&request.url)?;
        let mut extras = Extras { headers: Some(&request.headers), credential: request.credential.as_ref() };
        if extras.credential.is_some_and(|credential| !credential.hosts().admit(&target.url)) {
            return Err(EgressError::Denied(format!(
                "{} is not one of the hosts that the credential may be sent to",
                target.host
            )));
        }
        let follow = match (rules.redirects, request.method) {
            (Redirects::Follow(most), Method::Get) => Some(most),
            (Redirects::Follow(_), Method::Post | Method::Patch | Method::Put | Method::Delete | Method::Options)
            | (Redirects::Return, _) => None,
        };
        for _ in 0..=follow.unwrap_or(0) {
            let response = self.ask(&target, request, &extras, peers).await?;
            let Some(location) = follow.and_then(|_| location(&response)) else { return Ok(response) };
            let to = rules.redirected(&target, &location?)?;
            extras.headers = extras.headers.filter(|_| to.url.origin() == target.url.origin());
            // Once dropped, the credential is not sent again, even if a later redirect returns to one of its hosts: the
            // foreign server chose that redirect.
            extras.credential = extras.credential.filter(|credential| credential.hosts().admit(&to.url));
            target = to;
        }
        let most = follow.unwrap_or(0);
        Err(EgressError::Invalid(format!("{} answers with more than {most} redirects in a row", target.host)))
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`EgressError`]; [`EgressError::TooLarge`] if the body has more than `limit_bytes`.
    pub async fn call(&self, request: &Request, limit_bytes: u64) -> Result<Answer, EgressError> {
        let most = request.timeout.unwrap_or(CALL_TIMEOUT);
        let call = async { self.open(request, &Anybody).await?.whole(limit_bytes).await };
        timeout(most, Box::pin(call)).await.unwrap_or_else(|_elapsed| {
            let host = Url::parse(&request.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let host = host.unwrap_or_default();
            Err(EgressError::Timeout(format!("{host} has not answered within {} ms", most.as_millis())))
        })
    }

    async fn ask(
        &self,
        target: &Target,
        request: &Request,
        extras: &Extras<'_>,
        peers: &dyn Peers,
    ) -> Result<Response, EgressError> {
        let Inner { options, public, internal } = &*self.0;
        let connector = if target.internal { internal } else { public };
        // The look-up is kept until the head of the answer has arrived. By then the request has made its only
        // connection.
        let _pinned = match target.address {
            Some(address) => {
                peers.meets(&[address::network(address)])?;
                None
            }
            None => {
                let pinned = self.pin(&connector.names, &target.host).await?;
                peers.meets(&pinned.addresses.iter().copied().map(address::network).collect::<Vec<_>>())?;
                Some(pinned)
            }
        };
        let client = connector.client.get_or_try_init(async || self.client(connector.names.clone())).await?;
        let mut sending = client.request(request.method.into(), target.url.clone());
        sending = sending.headers(extras.headers.cloned().unwrap_or_default());
        let credential = extras.credential.map(|credential| credential.header_for(&target.url)).transpose()?.flatten();
        let with_credential = credential.is_some();
        if let Some((name, value)) = credential {
            sending = sending.header(name, value);
        }
        if !request.body.is_empty() {
            sending = sending.body(request.body.clone());
        }
        let not_public = || options.rules.not_public(&target.host);
        let inner = sending.send().await.map_err(|error| match is_refused(&error) {
            true => not_public(),
            false => meaning(&error, &target.host),
        })?;
        // Checked again on the connection itself, whose address is the one that matters.
        let peer_ok = inner.remote_addr().is_some_and(|peer| address::is_public(peer.ip()));
        if !target.internal && !peer_ok {
            return Err(not_public());
        }
        Ok(Response { inner, host: target.host.clone(), with_credential })
    }

    async fn pin(&self, names: &Names, host: &str) -> Result<Pinned, EgressError> {
        let Options { rules, connect_timeout, .. } = &self.0.options;
        match timeout(*connect_timeout, names.pin(host)).await {
            Ok(Ok(pinned)) => Ok(pinned),
            Ok(Err(err)) if err.is::<Refused>() => Err(rules.not_public(host)),
            Ok(Err(err)) => Err(EgressError::Unavailable(format!("cannot resolve the name {host}: {err}"))),
            Err(_elapsed) => Err(EgressError::Timeout(format!("the name {host} was not resolved in time"))),
        }
    }

    /// No proxies, which would resolve names themselves. No redirects, which `open` follows itself.
    fn client(&self, names: Names) -> Result<Client, EgressError> {
        let Options { connect_timeout, read_timeout, user_agent, .. } = &self.0.options;
        let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        Client::builder()
            .dns_resolver(names)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(if user_agent.is_empty() { USER_AGENT } else { user_agent })
            .default_headers(identity)
            .connect_timeout(*connect_timeout)
            .read_timeout(*read_timeout)
            // An idle connection would lead to addresses that were checked earlier, and may be broken when it is used
            // again.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|err| EgressError::Config(format!("the HTTP client cannot be set up: {}", root_cause(&err))))
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Patch => Self::PATCH,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
            Method::Options => Self::OPTIONS,
        }
    }
}

/// The target of an answer that is a redirect; `None` for other answers.
fn location(response: &Response) -> Option<Result<String, EgressError>> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.inner.headers().get(LOCATION);
    let location = location.and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).map(str::to_owned);
    Some(
        location.ok_or_else(|| {
            EgressError::Invalid(format!("{} answers with a redirect that has no target", response.host))
        }),
    )
}
