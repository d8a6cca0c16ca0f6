//! Fetches files that a messaging provider stores for one of the configured accounts.
//!
//! An event names an account and an id, never a host: only the configuration says where requests go and with which
//! credential. A provider may need two requests: the first one returns a URL, which is valid for minutes. If the URL
//! has expired, both requests are made once more.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::http::save;
use super::peers::OfRequest;
use super::sink::Wanted;
use super::{Fetched, Peers, SourceError};
use crate::channels::fetch::{Ask, Fetcher, Judgement, NOT_YET, NOT_YET_RETRY, Quota, Refused, Reply, Step, quota};
use crate::config::{self, Config};
use crate::egress::{
    Breaker, Budget, CallOutcome, Egress, EgressError, OpenReason, Options, Permit, Redirects, Request, Response,
};
use crate::events::Declared;

/// Most bytes that are read of an answer that is not a file.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// How long requests of an account stop after the provider has refused its credential.
const REFUSED_WAIT: Duration = Duration::from_secs(60);
/// Most redirects in a row when a file is downloaded: Twilio answers with several.
const REDIRECTS: u32 = 5;

/// The configured accounts, by name.
#[derive(Debug)]
pub(super) struct Accounts(BTreeMap<String, Account>);

#[derive(Debug)]
struct Account {
    name: String,
    tenant: String,
    /// How long the provider keeps a file that a media id names.
    lifetime: Duration,
    fetcher: Fetcher,
    egress: Egress,
    breaker: Breaker,
}

/// A file to fetch.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    /// The tenant that the event names.
    pub(super) tenant: &'a str,
    pub(super) media: &'a str,
    pub(super) declared: Option<&'a Declared>,
    pub(super) wanted: Wanted,
    pub(super) dest: &'a Path,
}

/// How a request counts when requests of an account are spread out.
#[derive(Clone, Copy)]
enum Pacing {
    /// The first request of a job.
    First,
    /// A request that follows another one of the same job.
    FollowUp,
    /// A request whose errors the provider counts.
    Counted,
}

/// Why a round of requests brought no file.
enum Round {
    /// Another round may succeed. It is made once.
    Again(SourceError),
    /// The file may be there after a pause.
    NotYet,
    /// Another round would not help.
    Ends(SourceError),
}

impl From<SourceError> for Round {
    fn from(error: SourceError) -> Self {
        match error {
            // The provider has the file, so these errors mean that it was damaged on its way.
            SourceError::Empty | SourceError::SizeMismatch { .. } => Self::Again(error),
            error => Self::Ends(error),
        }
    }
}

impl Accounts {
    pub(super) fn new(config: &Config) -> Result<Self, SourceError> {
        let accounts = config.channels.iter().map(|(name, channel)| {
            let account = Account::new(name, channel, &config.source);
            Ok((name.clone(), account.map_err(|error| SourceError::Config(format!("channels.{name}: {error}")))?))
        });
        accounts.collect::<Result<_, _>>().map(Self)
    }

    /// How long the provider of each account keeps files.
    pub(super) fn lifetimes(&self) -> Vec<(String, Duration)> {
        self.0.iter().map(|(name, account)| (name.clone(), account.lifetime)).collect()
    }

    pub(super) fn lifetime(&self, account: &str) -> Option<Duration> {
        self.0.get(account).map(|account| account.lifetime)
    }

    pub(super) async fn fetch(
        &self,
        account: &str,
        order: Order<'_>,
        peers: &dyn Peers,
    ) -> Result<Fetched, SourceError> {
        // The error text does not contain the name, which comes from the event. The event may refer to an account that
        // is not yet in this worker's configuration.
        let unknown = || SourceError::Unavailable {
            detail: "the event names a channel account that is not configured".to_owned(),
            retry_after: None,
        };
        let account = self.0.get(account).ok_or_else(unknown)?;
        if account.tenant != order.tenant {
            let detail = format!("the channel account {} belongs to another tenant than the event", account.name);
            return Err(SourceError::Denied(detail));
        }
        account.fetch(order, peers).await
    }
}

impl Account {
    fn new(
        name: &str,
        channel: &config::Channel,
        source: &config::Source,
    ) -> Result<Self, crate::channels::AccountError> {
        let fetcher = Fetcher::new(channel)?;
        let egress = Egress::new(Options {
            rules: fetcher.rules(channel, source).with_redirects(Redirects::Follow(REDIRECTS)),
            connect_timeout: Duration::from_secs(source.connect_timeout_s),
            read_timeout: Duration::from_secs(source.read_timeout_s),
            user_agent: channel.user_agent.clone(),
        });
        let breaker = Breaker::new(Budget {
            max_errors: channel.max_errors,
            window: Duration::from_secs(channel.error_window_s),
            pause: Duration::from_secs(channel.error_pause_s),
        });
        let lifetime = Duration::from_secs(channel.media_id_lifetime_s);
        Ok(Self { name: name.to_owned(), tenant: channel.tenant.clone(), lifetime, fetcher, egress, breaker })
    }

    async fn fetch(&self, order: Order<'_>, peers: &dyn Peers) -> Result<Fetched, SourceError> {
        let mut pauses = NOT_YET.iter();
        let mut again = true;
        let mut pacing = Pacing::First;
        loop {
            match self.round(order, peers, pacing).await {
                Ok(fetched) => return Ok(fetched),
                Err(Round::Again(_)) if again => again = false,
                // According to its answers the provider still has the file.
                Err(Round::Again(error @ (SourceError::Empty | SourceError::SizeMismatch { .. }))) => {
                    return Err(self.unavailable(&error.to_string()));
                }
                Err(Round::Again(error) | Round::Ends(error)) => return Err(error),
                Err(Round::NotYet) => match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(self.not_yet()),
                },
            }
            pacing = Pacing::FollowUp;
        }
    }

    /// Makes the requests that a file takes.
    async fn round(&self, order: Order<'_>, peers: &dyn Peers, pacing: Pacing) -> Result<Fetched, Round> {
        let refused = |refused: Refused| match refused {
            // Not final: the operator may add the host to the configuration while the job is tried again.
            Refused::Host => Round::Ends(self.unavailable(&refused.to_string())),
            refused => Round::Ends(SourceError::Denied(refused.to_string())),
        };
        match self.fetcher.first(order.media).map_err(refused)? {
            Ask::Download(url) => self.download(url, order, peers, self.admit(pacing)?).await,
            Ask::Resolve(url) => {
                let pacing = if self.fetcher.has_error_budget() { Pacing::Counted } else { pacing };
                let body = self.resolve(url, peers, self.admit(pacing)?).await?;
                let refused = |refused: Refused| Round::Again(self.unavailable(&refused.to_string()));
                let found = self.fetcher.resolved(&body).map_err(refused)?;
                let declared = order.declared.cloned().unwrap_or_default();
                let wanted = order.wanted.or(found.size_bytes, found.sha256.as_deref());
                if disagree(declared.sha256.as_deref(), found.sha256.as_deref()) {
                    tracing::warn!(
                        account = self.name,
                        "the webhook and the media API declare different hashes for a file: the webhook's is checked"
                    );
                }
                self.download(found.url, Order { wanted, ..order }, peers, self.admit(Pacing::FollowUp)?).await
            }
        }
    }

    async fn resolve(&self, url: String, peers: &dyn Peers, permit: Permit) -> Result<Vec<u8>, Round> {
        let response = match self.egress.open(&self.request(url), &OfRequest(peers)).await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(permit, Step::Resolve, error)),
        };
        let (head, used) = (Head::of(&response), self.quota(&response));
        let body = match response.whole(MAX_ANSWER_BYTES).await {
            Ok(answer) => answer.body.to_vec(),
            // For an error answer the status is enough.
            Err(_) if !matches!(head.status, 200 | 203) => Vec::new(),
            Err(error) => return Err(self.failed(permit, Step::Resolve, error)),
        };
        self.judged(Step::Resolve, &head, &body, permit, used)?;
        Ok(body)
    }

    async fn download(
        &self,
        url: String,
        order: Order<'_>,
        peers: &dyn Peers,
        permit: Permit,
    ) -> Result<Fetched, Round> {
        let response = match self.egress.open(&self.request(url), &OfRequest(peers)).await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(permit, Step::Download, error)),
        };
        let (mut head, used) = (Head::of(&response), self.quota(&response));
        if order
            .declared
            .and_then(|declared| declared.mime_type.as_deref())
            .is_some_and(|mime| mime.starts_with("text/html"))
        {
            head.content_type.clear();
        }
        if !matches!(head.status, 200 | 203) {
            let body = response.whole(MAX_ANSWER_BYTES).await.map(|answer| answer.body.to_vec()).unwrap_or_default();
            return Err(match self.judged(Step::Download, &head, &body, permit, used) {
                Ok(()) => Round::Ends(head.unavailable(None)),
                Err(round) => round,
            });
        }
        if response.is_encoded() {
            permit.ends(CallOutcome::Unknown);
            return Err(Round::Again(
                self.unavailable("the file arrived compressed although no compression was requested"),
            ));
        }
        self.judged(Step::Download, &head, &[], permit, used)?;
        save(response, order.wanted, order.dest).await.map_err(Round::from)
    }

    fn request(&self, url: String) -> Request {
        let request = Request::get(url);
        match self.fetcher.credential() {
            Some(credential) => request.credential(credential.clone()),
            None => request,
        }
    }

    /// The permission to make one request, unless the account is paused.
    fn admit(&self, pacing: Pacing) -> Result<Permit, Round> {
        let admitted = match pacing {
            Pacing::First => self.breaker.admit(),
            Pacing::FollowUp => self.breaker.admit_follow_up(),
            Pacing::Counted => self.breaker.admit_counted(),
        };
        admitted.map_err(|(why, wait)| {
            let why = match why {
                OpenReason::Errors => "its error budget is used up",
                OpenReason::Throttled => "the provider asked for a pause",
                OpenReason::Refused => "the provider refuses its credential",
                OpenReason::Slowed => "its quota is nearly used up",
            };
            Round::Ends(self.paused(why, wait))
        })
    }

    /// Maps an answer to a result, and reports it to the breaker.
    fn judged(&self, step: Step, head: &Head, body: &[u8], permit: Permit, used: Option<Quota>) -> Result<(), Round> {
        let judgement = self.fetcher.judge(step, &head.reply(body));
        let outcome = match (judgement, used) {
            (Judgement::Refused, _) => CallOutcome::Refused,
            (Judgement::Throttled(wait), Some(Quota::Stop(longer))) => CallOutcome::Throttled(wait.max(longer)),
            (Judgement::Throttled(wait), _) => CallOutcome::Throttled(wait),
            (_, Some(Quota::Stop(wait))) => CallOutcome::Throttled(wait),
            (Judgement::Here, _) => CallOutcome::Success,
            _ if step == Step::Resolve && self.fetcher.has_error_budget() => CallOutcome::Error,
            _ => CallOutcome::Unknown,
        };
        permit.ends(outcome);
        if let Some(Quota::Slow { interval, lasting }) = used {
            self.breaker.slow_down(interval, lasting);
        }
        Err(match judgement {
            Judgement::Here => return Ok(()),
            Judgement::Gone => Round::Ends(self.gone()),
            Judgement::NotYet => Round::NotYet,
            // Reached after a second round. The id in the event still names the file, so the job is tried again.
            Judgement::Again => Round::Again(self.unavailable("its URL has expired, or the answer is not a file")),
            Judgement::Throttled(wait) => {
                tracing::warn!(
                    account = self.name,
                    wait_s = wait.as_secs(),
                    "the provider asked for a pause: jobs with files of the account wait"
                );
                Round::Ends(self.paused("the provider asked for a pause", wait))
            }
            Judgement::Refused => {
                tracing::error!(
                    account = self.name,
                    status = head.status,
                    "the provider refuses the account's credential: jobs with its files wait until it is renewed"
                );
                let wait = self.breaker.state().open.map_or(REFUSED_WAIT, |(_, wait)| wait);
                Round::Ends(self.paused("the provider refuses its credential", wait))
            }
            Judgement::Unavailable(retry_after) => Round::Ends(head.unavailable(retry_after)),
            Judgement::Unexpected => Round::Ends(head.unavailable(head.retry_after)),
        })
    }

    /// Maps a request without a usable answer. The target of a redirect or a broken body may be different in the next
    /// round.
    fn failed(&self, permit: Permit, step: Step, error: EgressError) -> Round {
        let counts = step == Step::Resolve && self.fetcher.has_error_budget();
        permit.ends(if counts { CallOutcome::Error } else { CallOutcome::Unknown });
        match error {
            EgressError::Denied(_) | EgressError::Invalid(_) | EgressError::TooLarge { .. } => {
                Round::Again(self.unavailable(&error.to_string()))
            }
            error => Round::Ends(error.into()),
        }
    }

    fn quota(&self, response: &Response) -> Option<Quota> {
        quota(response.header("x-app-usage"), response.header("x-business-use-case-usage"))
    }

    fn gone(&self) -> SourceError {
        SourceError::NotFound { origin: format!("the channel account {}", self.name) }
    }

    fn not_yet(&self) -> SourceError {
        let detail =
            format!("the channel account {}: the provider does not have the file yet, or has deleted it", self.name);
        SourceError::Unavailable { detail, retry_after: Some(NOT_YET_RETRY) }
    }

    fn unavailable(&self, why: &str) -> SourceError {
        let detail = format!("the channel account {}: {why}", self.name);
        SourceError::Unavailable { detail, retry_after: None }
    }

    fn paused(&self, why: &'static str, wait: Duration) -> SourceError {
        SourceError::Paused { account: self.name.clone(), why, wait }
    }
}

/// Whether two declared hashes differ. Hex and base64 are compared by the bytes that they stand for.
fn disagree(one: Option<&str>, other: Option<&str>) -> bool {
    let bytes = |text: Option<&str>| text.and_then(|text| super::sink::parse_sha256(text).ok());
    matches!((bytes(one), bytes(other)), (Some(one), Some(other)) if one != other)
}

/// The parts of an answer's head that are needed after its body was read.
struct Head {
    status: u16,
    from_account: bool,
    content_type: String,
    retry_after: Option<Duration>,
    host: String,
}

impl Head {
    fn of(response: &Response) -> Self {
        let content_type = response.header("content-type").unwrap_or_default();
        Self {
            status: response.status(),
            from_account: response.had_credential(),
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
            retry_after: response.retry_after(SystemTime::now()),
            host: response.host().to_owned(),
        }
    }

    fn unavailable(&self, retry_after: Option<Duration>) -> SourceError {
        SourceError::Unavailable { detail: format!("{} answers {}", self.host, self.status), retry_after }
    }

    fn reply<'a>(&'a self, body: &'a [u8]) -> Reply<'a> {
        Reply {
            status: self.status,
            from_account: self.from_account,
            content_type: &self.content_type,
            retry_after: self.retry_after,
            body,
        }
    }
}
