//! How the files of an account are asked for, and what the answers mean. Everything here is pure; `source` sends the requests.
//!
//! Sources are those of each provider's module. Where the vendor does not say what an answer means, the reading is the one
//! that loses nothing: the job waits or is tried again.

mod judge;
mod meta;
mod place;

use std::time::Duration;

pub use judge::{Judgement, Reply, Step};
pub use meta::{Resolved, quota};

use super::{AccountError, Provider};
use crate::config;
use crate::egress::{Credential, Hosts, Rules};

/// A request for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// This URL answers with where the file is.
    Resolve(String),
    /// This URL answers with the file, also by redirects.
    Download(String),
}

/// What an event names, or an answer, is not one of the account's files. Texts contain no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No configuration makes it one of the account's files.
    #[error("{0}")]
    Event(&'static str),
    /// The host is not in the account's list, which an operator can extend.
    #[error("what the event names is on a host that is not in the account's list")]
    Host,
    /// The provider's answer cannot be used.
    #[error("{0}")]
    Answer(&'static str),
}

/// How long a job waits for the next try of a file that is not there yet, one after the other.
pub const NOT_YET: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// After how long the job is tried again that has waited so.
pub const NOT_YET_RETRY: Duration = Duration::from_secs(10);

/// Slows an account down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// At most one request in each interval, for so long.
    Slow {
        /// Between two requests.
        interval: Duration,
        /// For how long.
        lasting: Duration,
    },
    /// None at all for so long.
    Stop(Duration),
}

/// How an account's files are fetched.
#[derive(Debug, Clone)]
pub struct Fetcher {
    provider: Provider,
    /// Without a slash at its end.
    base: String,
    version: String,
    account_id: String,
    hosts: Hosts,
    host_list: Vec<String>,
    credential: Option<Credential>,
}

impl Fetcher {
    /// The fetcher of a table below `channels`.
    ///
    /// # Errors
    /// [`AccountError`] where a setting cannot work.
    pub fn new(config: &config::Channel) -> Result<Self, AccountError> {
        let provider = Provider::try_from(config.provider)?;
        if provider == Provider::Twilio && config.account.is_empty() {
            // Its SID is in the path of every file.
            return Err(AccountError::Missing("account"));
        }
        let base = if config.api_base.is_empty() { place::base(provider) } else { &config.api_base };
        let host_list = if config.hosts.is_empty() { place::hosts(provider, base) } else { config.hosts.clone() };
        let hosts = Hosts::new(&host_list).map_err(|_| AccountError::Wrong("hosts", "has an entry that is no host"))?;
        Ok(Self {
            provider,
            base: base.trim_end_matches('/').to_owned(),
            version: if config.api_version.is_empty() { place::version(provider) } else { &config.api_version }
                .to_owned(),
            account_id: config.account.clone(),
            credential: place::credential(provider, config, &hosts),
            hosts,
            host_list,
        })
    }

    /// The provider.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        self.provider
    }

    /// What goes along with every request to the account's hosts; nothing where the account has none.
    #[must_use]
    pub const fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// The address of the API, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of the API with the version that is part of its paths, where it is.
    #[must_use]
    pub fn api(&self) -> String {
        if self.version.is_empty() { self.base.clone() } else { format!("{}/{}", self.base, self.version) }
    }

    /// Which URLs may be asked for. Hosts that the account names may have private addresses; those of a redirect, where
    /// `source` names them.
    #[must_use]
    pub fn rules(&self, channel: &config::Channel, source: &config::Source) -> Rules {
        let bare = |host: &String| host.split_once("://").map_or(host.as_str(), |(_, rest)| rest).to_owned();
        let configured = !channel.hosts.is_empty() || !channel.api_base.is_empty();
        let own = self.host_list.iter().filter(|_| configured).map(bare);
        let hosts: Vec<String> = own.chain(source.http_allow_hosts.iter().cloned()).collect();
        let plain = source.http_allow_plain || self.host_list.iter().any(|host| host.starts_with("http://"));
        Rules::strict().with_plain(plain).with_hosts(&hosts, "source.http_allow_hosts")
    }

    /// Hosts of the account that an operator or the provider's documentation names.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.host_list
    }

    /// Whether error answers to [`Ask::Resolve`] use up a budget of the account, as 360dialog counts them.
    #[must_use]
    pub const fn has_error_budget(&self) -> bool {
        matches!(self.provider, Provider::Dialog360)
    }

    /// The first request for what an event names.
    ///
    /// # Errors
    /// [`Refused`] where that is no id or URL of this account's.
    pub fn first(&self, media: &str) -> Result<Ask, Refused> {
        match self.provider {
            Provider::WhatsappCloud => Ok(Ask::Resolve(format!("{}/{}", self.api(), place::id(media)?))),
            Provider::Dialog360 => Ok(Ask::Resolve(format!("{}/{}", self.base, place::id(media)?))),
            Provider::Twilio => Ok(Ask::Download(place::twilio(media, &self.hosts, &self.account_id)?)),
            Provider::Messagebird | Provider::BirdChannels | Provider::Bird | Provider::Generic => {
                Ok(Ask::Download(place::link(media, &self.hosts)?))
            }
        }
    }

    /// Where an answer to [`Ask::Resolve`] says that the file is.
    ///
    /// # Errors
    /// [`Refused`] where it says nothing that can be used, or names a host that is not the account's.
    pub fn resolved(&self, body: &[u8]) -> Result<Resolved, Refused> {
        meta::resolved(body, &self.hosts, (self.provider == Provider::Dialog360).then_some(&self.base))
    }

    /// What an answer means.
    #[must_use]
    pub fn judge(&self, step: Step, reply: &Reply<'_>) -> Judgement {
        judge::judge(self.provider, step, reply)
    }
}
