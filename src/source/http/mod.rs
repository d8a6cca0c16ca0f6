//! Fetches files from URLs that other parties chose, through [`crate::egress`].

mod answer;

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::peers::OfRequest;
use super::sink::{Sink, Wanted};
use super::{Fetched, Peers, SourceError};
use crate::config::Source;
use crate::egress::{Egress, Options, Redirects, Request, Response, Rules};

/// The HTTP client for `[source]`.
#[derive(Debug)]
pub(super) struct Http {
    egress: Egress,
}

impl Http {
    pub(super) fn new(config: &Source) -> Self {
        let rules = Rules::strict()
            .with_redirects(Redirects::Follow(config.http_max_redirects))
            .with_plain(config.http_allow_plain)
            .with_hosts(&config.http_allow_hosts, "source.http_allow_hosts");
        let egress = Egress::new(Options {
            rules,
            connect_timeout: Duration::from_secs(config.connect_timeout_s),
            read_timeout: Duration::from_secs(config.read_timeout_s),
            user_agent: String::new(),
        });
        Self { egress }
    }

    pub(super) async fn fetch(
        &self,
        url: &str,
        wanted: Wanted,
        dest: &Path,
        peers: &dyn Peers,
    ) -> Result<Fetched, SourceError> {
        let response = self.egress.open(&Request::get(url), &OfRequest(peers)).await?;
        answer::judge(&response, SystemTime::now())?;
        save(response, wanted, dest).await
    }
}

/// Writes the body of an answer into a file as it arrives.
pub(super) async fn save(mut response: Response, wanted: Wanted, dest: &Path) -> Result<Fetched, SourceError> {
    wanted.announced(response.content_length().unwrap_or(0))?;
    let mut sink = Sink::create(dest, wanted).await?;
    while let Some(bytes) = response.chunk().await? {
        sink.write(&bytes).await?;
    }
    sink.finish().await
}
