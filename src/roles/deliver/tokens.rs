//! Access tokens of OAuth accounts: all deliveries use the one that works, and one of them asks for the next.
//!
//! The ledger keeps the token, so that a restart needs none and several processes use the same: accounts give few tokens in a while,
//! and some take the old ones away when they give a new one.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;
use uuid::Uuid;

use super::api::judged;
use super::call::{Body, Call};
use super::destination::{Class, Failed};
use super::ledger::{Ledger, LedgerError, Token};
use crate::egress::{Answer, Method};
use crate::error::Code;
use crate::secrets::Secret;

/// A token that ends sooner is not used any more.
const MARGIN_S: i64 = 60;
/// So long one process may take to ask for a token.
const LEASE_S: i64 = 120;
/// How often another process is waited for, once a second.
const WAITS: u32 = 130;
/// What the lease is for, in the ledger's claims.
const LEASE: &str = "token";
/// How often it is tried to keep a token.
const KEEPS: u32 = 3;

/// The way to a new token.
pub trait Grant: Debug + Send + Sync {
    /// Asks the account's server: with this refresh token, or where there is none with what the configuration has.
    fn ask<'a>(&'a self, refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>>;
}

/// The tokens of one destination.
#[derive(Debug)]
pub struct Tokens {
    destination: String,
    ledger: Option<Ledger>,
    /// Stands for this process in claims.
    owner: String,
    current: Mutex<Option<Token>>,
}

impl Tokens {
    /// Those of this destination. Without a ledger they end with the process.
    #[must_use]
    pub fn new(destination: &str, ledger: Option<&Ledger>) -> Self {
        let owner = Uuid::new_v4().to_string();
        Self { destination: destination.to_owned(), ledger: ledger.cloned(), owner, current: Mutex::new(None) }
    }

    /// A token that works as far as is known.
    ///
    /// # Errors
    /// [`Failed`] where there is none to be had.
    pub async fn get(&self, grant: &dyn Grant) -> Result<Token, Failed> {
        let mut current = self.current.lock().await;
        match current.as_ref().filter(|token| lives(token)) {
            Some(token) => Ok(token.clone()),
            None => self.next(&mut current, None, grant).await,
        }
    }

    /// The token after one that was refused: whoever comes first asks for it, and the others get the same.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub async fn after(&self, refused: &Token, grant: &dyn Grant) -> Result<Token, Failed> {
        let mut current = self.current.lock().await;
        match current.as_ref().filter(|token| lives(token) && token.access != refused.access) {
            Some(token) => Ok(token.clone()),
            None => self.next(&mut current, Some(refused), grant).await,
        }
    }

    /// Sends a request with the token that works, and once more with the next one where that was refused. `is_refusal` says of an
    /// answer whether another token may mend it.
    ///
    /// # Errors
    /// As [`Tokens::get`], and what `send` gives.
    pub async fn send<F, S>(
        &self,
        grant: &dyn Grant,
        is_refusal: fn(&Answer) -> bool,
        send: S,
    ) -> Result<Answer, Failed>
    where
        F: Future<Output = Result<Answer, Failed>>,
        S: Fn(Token) -> F,
    {
        let token = self.get(grant).await?;
        let answer = send(token.clone()).await?;
        if is_refusal(&answer) { send(self.after(&token, grant).await?).await } else { Ok(answer) }
    }

    /// Another process may have asked already, or be asking. Whoever calls holds `current`, so that one here asks.
    async fn next(
        &self,
        current: &mut Option<Token>,
        refused: Option<&Token>,
        grant: &dyn Grant,
    ) -> Result<Token, Failed> {
        let Some(ledger) = &self.ledger else {
            let token = grant.ask(None).await?;
            return Ok(current.insert(token).clone());
        };
        for _ in 0..WAITS {
            let kept = ledger.token(&self.destination).await.map_err(unavailable)?;
            let works = |token: &&Token| lives(token) && refused.is_none_or(|refused| refused.access != token.access);
            if let Some(token) = kept.as_ref().filter(works) {
                return Ok(current.insert(token.clone()).clone());
            }
            let now_s = Timestamp::now().as_second();
            let times = (now_s, now_s.saturating_add(LEASE_S));
            if ledger.claim(&self.destination, LEASE, &self.owner, times).await.map_err(unavailable)? {
                let asked = self.ask(ledger, kept, grant).await;
                if let Err(error) = ledger.release(&self.destination, LEASE, &self.owner).await {
                    tracing::warn!(destination = self.destination, %error, "the lease of a token ends by itself");
                }
                return Ok(current.insert(asked?).clone());
            }
            sleep(Duration::from_secs(1)).await;
        }
        Err(Failed::transient(Code::DeliverUnavailable, "another process does not get an access token"))
    }

    /// Asks, and keeps what comes before it is used.
    async fn ask(&self, ledger: &Ledger, kept: Option<Token>, grant: &dyn Grant) -> Result<Token, Failed> {
        let refresh = kept.map(|token| token.refresh).filter(|refresh| !refresh.is_empty());
        let token = match grant.ask(refresh.as_ref()).await {
            // An operator may have written another one into the configuration since.
            Err(failed) if failed.class == Class::Stop && refresh.is_some() => grant.ask(None).await?,
            asked => asked?,
        };
        for left in (0..KEEPS).rev() {
            match ledger.keep_token(&self.destination, &token).await {
                Ok(()) => break,
                Err(_) if left > 0 => sleep(Duration::from_millis(300)).await,
                Err(error) => {
                    let destination = &self.destination;
                    tracing::error!(destination, %error, "a new token is not kept: after a restart the account may need to be authorized again");
                }
            }
        }
        Ok(token)
    }
}

/// Whether an answer says that the token is not valid.
#[must_use]
pub fn is_unauthorized(answer: &Answer) -> bool {
    answer.status == 401
}

fn lives(token: &Token) -> bool {
    token.expires_s == 0 || token.expires_s > Timestamp::now().as_second().saturating_add(MARGIN_S)
}

fn unavailable(error: LedgerError) -> Failed {
    Failed::transient(Code::DeliverLedger, error.to_string())
}

/// The request of a client for the token after the one that has ended (RFC 6749, section 6), as a form.
#[must_use]
pub fn refreshing(url: &str, client_id: &str, client_secret: &Secret, refresh: &Secret) -> Call {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let form = vec![
        pair("grant_type", "refresh_token"),
        pair("client_id", client_id),
        pair("client_secret", &client_secret.expose()),
        pair("refresh_token", &refresh.expose()),
    ];
    Call { body: Body::Form(form), ..Call::new(Method::Post, url.to_owned()) }
}

/// What an answer without a token means, whose own word for it is `detail`: what a client is refused is refused again.
#[must_use]
pub fn refused(answer: &Answer, detail: &str) -> Failed {
    let failed = judged(answer, detail, false);
    match answer.status {
        400..=403 => Failed { class: Class::Stop, code: Code::DeliverForbidden, ..failed },
        _ => failed,
    }
}

/// The token of an answer (RFC 6749, section 5.1), which lasts for `lasts_s` where that is not said.
///
/// # Errors
/// [`Failed`] where there is none in it.
pub fn granted(vendor: &str, body: &Value, lasts_s: i64) -> Result<Token, Failed> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let access = text("access_token");
    if access.is_empty() {
        let problem = format!("{vendor} answers without an access token");
        return Err(Failed::transient(Code::DeliverUnavailable, problem));
    }
    Ok(Token {
        access: access.into(),
        refresh: text("refresh_token").into(),
        base_url: String::new(),
        expires_s: expires_in(body.get("expires_in").and_then(Value::as_i64).unwrap_or(lasts_s)),
    })
}

/// When a token ends that lasts so many seconds from now.
#[must_use]
pub fn expires_in(seconds: i64) -> i64 {
    Timestamp::now().as_second().saturating_add(seconds)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Gives a new token each time; refuses refresh tokens that it has not given last.
    #[derive(Debug, Default)]
    struct Rotating {
        asked: AtomicU32,
        seconds: i64,
    }

    impl Grant for Rotating {
        fn ask<'a>(&'a self, refresh: Option<&'a Secret>) -> BoxFuture<'a, Result<Token, Failed>> {
            Box::pin(async move {
                let last = format!("refresh-{}", self.asked.load(Ordering::SeqCst));
                if refresh.is_some_and(|refresh| *refresh.expose() != *last) {
                    return Err(Failed::new(
                        Class::Stop,
                        Code::DeliverForbidden,
                        "the refresh token is not the last one",
                    ));
                }
                let n = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
                sleep(Duration::from_millis(20)).await;
                Ok(Token {
                    access: format!("access-{n}").into(),
                    refresh: format!("refresh-{n}").into(),
                    base_url: String::new(),
                    expires_s: expires_in(self.seconds),
                })
            })
        }
    }

    async fn ledger(folder: &tempfile::TempDir) -> Ledger {
        Ledger::open(&format!("sqlite:{}", folder.path().join("ledger.db").display())).await.expect("a ledger")
    }

    #[tokio::test]
    async fn one_asks_and_all_get_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = ledger(&folder).await;
        let grant = Rotating { seconds: 1800, ..Rotating::default() };
        // Two processes with the same ledger.
        let both = [Tokens::new("crm", Some(&ledger)), Tokens::new("crm", Some(&ledger))];
        let all = (0..10).map(|n| both[n % 2].get(&grant));
        let tokens = futures_util::future::join_all(all).await;
        let tokens: Vec<_> =
            tokens.into_iter().map(|token| token.expect("a token").access.expose().to_string()).collect();
        assert_eq!((tokens, grant.asked.load(Ordering::SeqCst)), (vec!["access-1".to_owned(); 10], 1));
        let refused = both[0].get(&grant).await.expect("a token");
        let all = (0..10).map(|n| both[n % 2].after(&refused, &grant));
        let tokens = futures_util::future::join_all(all).await;
        let tokens: Vec<_> =
            tokens.into_iter().map(|token| token.expect("a token").access.expose().to_string()).collect();
        assert_eq!((tokens, grant.asked.load(Ordering::SeqCst)), (vec!["access-2".to_owned(); 10], 2));
        // A restart finds the token, and the next one is asked for with the refresh token that was kept.
        let restarted = Tokens::new("crm", Some(&ledger));
        let token = restarted.get(&grant).await.expect("a token");
        assert_eq!((&*token.access.expose(), grant.asked.load(Ordering::SeqCst)), ("access-2", 2));
        assert_eq!(&*restarted.after(&token, &grant).await.expect("a token").access.expose(), "access-3");
    }

    #[tokio::test]
    async fn a_token_that_is_about_to_end_is_not_used() {
        let grant = Rotating { seconds: MARGIN_S - 1, ..Rotating::default() };
        let tokens = Tokens::new("crm", None);
        for n in 1..=2 {
            assert_eq!(&*tokens.get(&grant).await.expect("a token").access.expose(), format!("access-{n}"));
        }
    }

    #[tokio::test]
    async fn where_the_kept_refresh_token_is_dead_the_configured_one_is_tried() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = ledger(&folder).await;
        let dead = Token {
            access: "a".to_owned().into(),
            refresh: "dead".to_owned().into(),
            base_url: String::new(),
            expires_s: 1,
        };
        ledger.keep_token("crm", &dead).await.expect("kept");
        let grant = Rotating { seconds: 1800, ..Rotating::default() };
        let token = Tokens::new("crm", Some(&ledger)).get(&grant).await.expect("a token");
        assert_eq!(&*token.access.expose(), "access-1");
    }
}
