//! Publishes what providers have that list their messages and do not come again (Twilio): at the start, after this gateway
//! could not take webhooks, and every hour.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::provider::Api;
use super::{Batch, Gateway, NotPublished, Outlet};
use crate::channels::{Account, AccountError, Channel, Malformed, Outgoing, Provider, Request, missed, open, outgoing};
use crate::config::Config;
use crate::egress::EgressError;

/// Most pages of one run: a million messages.
const MAX_PAGES: usize = 1_000;
/// After the time without webhooks has ended, so long for the others that were waiting.
const SETTLE: Duration = Duration::from_secs(5);

/// Why an account was not reconciled, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A setting of the account.
    #[error("{0}")]
    Account(#[from] AccountError),
    /// The provider's API was not reached.
    #[error("{0}")]
    Egress(#[from] EgressError),
    /// The provider refuses the request.
    #[error("the provider answers {0} when asked for its messages")]
    Status(u16),
    /// Its answer is no list.
    #[error("the provider's list: {0}")]
    Malformed(#[from] Malformed),
    /// The broker.
    #[error("{0}")]
    NotPublished(#[from] NotPublished),
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Messages that the provider listed.
    pub listed: usize,
    /// Those with files that had come by webhook, as far as this process knows.
    pub known: usize,
    /// Events that were published and confirmed. One whose webhook another process took is the same event again.
    pub published: usize,
}

/// Publishes what an account's provider has received since then. `knows` are messages that need not be published again.
///
/// # Errors
/// [`ReconcileError`]; what was published until then is published.
pub async fn reconcile(
    config: &Config,
    name: &str,
    since: Timestamp,
    outlet: &dyn Outlet,
    knows: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Reconciled, ReconcileError> {
    let settings = config.channels.get(name).ok_or(AccountError::Missing("the account"))?;
    let account = Account::new(name, settings)?;
    let (api, channel) = (Api::new(settings, &config.source)?, open(&account)?);
    let account_id = &settings.account;
    let mut done = Reconciled::default();
    let mut next = Some(missed::first_page(account_id, since));
    for _ in 0..MAX_PAGES {
        let Some(path) = next.take() else { break };
        let page = missed::page(account_id, &asked(&api, &path).await?)?;
        done.listed += page.listed;
        for message in page.messages {
            if knows(&message.sid) {
                done.known += 1;
                continue;
            }
            let files = asked(&api, &missed::files(account_id, &message.sid)).await?;
            let form = missed::form(&message, api.fetcher.base(), &files)?;
            let events = events(&account, &*channel, form.as_bytes())?;
            done.published += events.len();
            if !events.is_empty() {
                outlet.publish(Batch { account: name.to_owned(), events, webhook: None }).await?;
            }
        }
        next = page.next;
    }
    if next.is_some() {
        tracing::warn!(account = name, pages = MAX_PAGES, "the provider has more messages than one run reads");
    }
    Ok(done)
}

async fn asked(api: &Api, path: &str) -> Result<Vec<u8>, ReconcileError> {
    let answer = api.get(&format!("{}{path}", api.fetcher.base())).await?;
    if !answer.is_success() {
        return Err(ReconcileError::Status(answer.status));
    }
    Ok(answer.body.to_vec())
}

/// What the webhook would have become.
fn events(account: &Account, channel: &dyn Channel, form: &[u8]) -> Result<Vec<Outgoing>, ReconcileError> {
    let headers = [("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec())];
    let request = Request { is_get: false, url: "", headers: &headers, body: form };
    let now = Timestamp::now();
    let mut events = Vec::new();
    for update in channel.parse(&request)? {
        events.extend(outgoing(account, update, now));
    }
    Ok(events)
}

/// Reconciles all accounts that need it until `shutdown`. Does nothing where there are none, or where it is switched off.
pub async fn keep_reconciled(gateway: Gateway, config: Config, shutdown: CancellationToken) {
    let listed = |channel: &crate::config::Channel| Provider::try_from(channel.provider).is_ok_and(missed::is_listed);
    let names: Vec<&String> =
        config.channels.iter().filter(|(_, channel)| listed(channel)).map(|(name, _)| name).collect();
    let every = Duration::from_secs(config.gateway.reconcile_s);
    if names.is_empty() || every.is_zero() {
        return;
    }
    let taken = gateway.taken();
    let far = Duration::from_secs(config.gateway.reconcile_back_s);
    let mut back = far;
    loop {
        for name in &names {
            let since = Timestamp::now() - back;
            let knows = |id: &str| taken.knows(id);
            let run = reconcile(&config, name, since, gateway.outlet(), &knows);
            match shutdown.run_until_cancelled(Box::pin(run)).await {
                None => return,
                Some(Ok(Reconciled { listed, known, published })) => {
                    tracing::info!(account = *name, listed, known, published, "compared with the provider's messages");
                }
                Some(Err(error)) => {
                    tracing::warn!(account = *name, %error, "not compared with the provider's messages: tried again in time");
                    taken.missed();
                }
            }
        }
        taken.next_run();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => back = every * 2,
            () = taken.is_back() => {
                if shutdown.run_until_cancelled(tokio::time::sleep(SETTLE)).await.is_none() {
                    return;
                }
                back = far;
            }
        }
    }
}
