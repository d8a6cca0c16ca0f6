//! Requests of a gateway to a provider's API: whether an account works, and which messages it has.

use std::time::Duration;

use jiff::Timestamp;

use crate::channels::AccountError;
use crate::channels::check::{Finding, questions};
use crate::channels::fetch::Fetcher;
use crate::config::{self, Config};
use crate::egress::{Answer, Egress, EgressError, Options, Redirects, Request};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 8 << 20;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The API of one account.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) fetcher: Fetcher,
    egress: Egress,
}

impl Api {
    pub(super) fn new(channel: &config::Channel, source: &config::Source) -> Result<Self, AccountError> {
        let fetcher = Fetcher::new(channel)?;
        let egress = Egress::new(Options {
            rules: fetcher.rules(channel, source).with_redirects(Redirects::Return),
            connect_timeout: Duration::from_secs(source.connect_timeout_s),
            read_timeout: TIMEOUT,
            user_agent: channel.user_agent.clone(),
        });
        Ok(Self { fetcher, egress })
    }

    /// The answer to a GET with the account's credential.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, EgressError> {
        let request = Request::get(url).timeout(TIMEOUT);
        let request = match self.fetcher.credential() {
            Some(credential) => request.credential(credential.clone()),
            None => request,
        };
        self.egress.call(&request, MAX_ANSWER_BYTES).await
    }
}

/// The URL that the provider has to call for an account; nothing where `gateway.public_url` is empty.
#[must_use]
pub fn callback(config: &Config, account: &str) -> Option<String> {
    let base = &config.gateway.public_url;
    (!base.is_empty()).then(|| format!("{base}/v1/channels/{account}"))
}

/// Asks the provider whether an account works. Each finding has what it is about.
///
/// # Errors
/// [`AccountError`] where a setting of the account cannot work.
pub async fn check(config: &Config, name: &str) -> Result<Vec<(&'static str, Finding)>, AccountError> {
    let channel = config.channels.get(name).ok_or(AccountError::Missing("the account"))?;
    let api = Api::new(channel, &config.source)?;
    let callback = callback(config, name);
    let questions = questions(channel)?;
    if questions.is_empty() {
        let text = "the provider has no request whose answer would tell: see whether a message arrives";
        return Ok(vec![("provider", Finding::Unknown(text.to_owned()))]);
    }
    let mut findings = Vec::new();
    for question in questions {
        let finding = match api.get(question.url()).await {
            Ok(answer) => question.read(answer.status, &answer.body, callback.as_deref(), Timestamp::now()),
            Err(error @ (EgressError::Denied(_) | EgressError::Config(_))) => {
                Finding::Fails(error.to_string(), "see api_base, hosts and token of the account")
            }
            Err(error) => Finding::Unknown(error.to_string()),
        };
        findings.push((question.about, finding));
    }
    Ok(findings)
}
