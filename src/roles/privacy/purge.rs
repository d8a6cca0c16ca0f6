//! Has a content delivery network forget what was erased, through a service of the operator's.
//!
//! Each network has an API of its own for that, and its credentials. So what is erased is posted to one URL, in a form that
//! such an API takes with little change. The paths and the id are those of CloudFront's `CreateInvalidation`:
//! `InvalidationBatch.Paths.Items` and `CallerReference`. Source:
//! <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html>.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use url::Url;

use crate::config::Privacy;
use crate::egress::{Credential, Egress, Hosts, Method, Options, Request, Rules};
use crate::store::Store;

/// Media of one request.
const AT_ONCE: usize = 100;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of an answer that are read; nobody looks at them.
const ANSWER_BYTES: u64 = 64 << 10;
/// What stands in a path as it is (RFC 3986, 2.3), and slashes.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The way to the service.
#[derive(Debug, Clone)]
pub(super) struct PurgeHook {
    egress: Egress,
    url: String,
    credential: Option<Credential>,
}

impl PurgeHook {
    /// The service that the configuration names, if it names one.
    pub(super) fn new(privacy: &Privacy) -> Option<Self> {
        let url = Url::parse(&privacy.purge_url).ok()?;
        let host = url.host_str()?.to_owned();
        let mut rules = Rules::strict();
        if privacy.purge_allow_private {
            rules = rules.with_plain(true).with_hosts(&[host], "privacy.purge_allow_private");
        }
        let options = Options { rules, connect_timeout: CONNECT, read_timeout: TIMEOUT, user_agent: String::new() };
        let hosts = Hosts::new(&[url.origin().ascii_serialization()]).ok()?;
        let token = Some(&privacy.purge_token).filter(|token| !token.is_empty());
        let credential = token.map(|token| Credential::bearer(token.clone(), hosts));
        Some(Self { egress: Egress::new(options), url: privacy.purge_url.clone(), credential })
    }

    /// Posts the paths of media that are not in the store any more.
    ///
    /// # Errors
    /// What is wrong, in words that name neither a path nor the URL's secrets. Then it is to be posted again.
    pub(super) async fn forget(
        &self,
        store: &Store,
        (tenant, certificate): (&str, &str),
        media: &[&str],
    ) -> Result<(), String> {
        for (n, media) in media.chunks(AT_ONCE).enumerate() {
            let path =
                |media_id: &&str| format!("/{}*", utf8_percent_encode(&store.folder(tenant, media_id).prefix(), PATH));
            let paths: Vec<String> = media.iter().map(path).collect();
            // The same id whenever it is posted again. Each path covers everything that a media had.
            let id = format!("{certificate}-{n}");
            let body = json!({ "id": id, "tenant": tenant, "certificate": certificate, "paths": paths });
            self.post(&body).await?;
        }
        Ok(())
    }

    async fn post(&self, body: &Value) -> Result<(), String> {
        let request = Request::new(Method::Post, &self.url).timeout(TIMEOUT).body(body.to_string());
        let mut request = request.header("content-type", "application/json").map_err(|error| error.to_string())?;
        if let Some(credential) = &self.credential {
            request = request.credential(credential.clone());
        }
        let answer = self.egress.call(&request, ANSWER_BYTES).await.map_err(|error| error.to_string())?;
        if matches!(answer.status, 200..=299) { Ok(()) } else { Err(format!("it answers {}", answer.status)) }
    }
}
