//! How destinations stand: stopped, failing, working; and tokens that must outlive the process.

use super::{Ledger, LedgerError};
use crate::error::Code;
use crate::secrets::Secret;

/// How a destination stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it is stopped, where it is, and since when in seconds of Unix time.
    pub stopped: Option<(Option<Code>, i64)>,
    /// The sentence for people that goes with it.
    pub explanation: String,
    /// Since when every delivery has failed, where it is failing.
    pub failing_since_s: Option<i64>,
    /// How many have failed since.
    pub failures: i64,
}

/// A token of an OAuth account, kept because the account has no other one that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What requests are authorized with.
    pub access: Secret,
    /// What the next one is asked for with; empty where there is none.
    pub refresh: Secret,
    /// Where requests go, where the account's server says so.
    pub base_url: String,
    /// When it ends, in seconds of Unix time; 0 where that is not known.
    pub expires_s: i64,
}

impl Ledger {
    /// How a destination stands.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn standing(&self, destination: &str) -> Result<Standing, LedgerError> {
        let statement = "SELECT stopped_code, explanation, stopped_at_s, failing_since_s, failures FROM deliver_standing \
                         WHERE destination = $1";
        let rows = self.rows("read the standing", statement, (&[destination], &[]), (2, 3)).await?;
        let Some((texts, numbers)) = rows.into_iter().next() else { return Ok(Standing::default()) };
        let (Ok([code, explanation]), [stopped_at_s, since_s, failures]) =
            (<[String; 2]>::try_from(texts), numbers.as_slice())
        else {
            return Ok(Standing::default());
        };
        Ok(Standing {
            stopped: (*stopped_at_s > 0).then(|| (Code::parse(&code), *stopped_at_s)),
            explanation,
            failing_since_s: (*since_s > 0).then_some(*since_s),
            failures: *failures,
        })
    }

    /// Stops a destination. Whether it was not stopped before.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn stop(
        &self,
        destination: &str,
        code: Code,
        explanation: &str,
        now_s: i64,
    ) -> Result<bool, LedgerError> {
        let statement = "INSERT INTO deliver_standing \
                         (destination, stopped_code, explanation, stopped_at_s, failing_since_s, failures) \
                         VALUES ($1, $2, $3, $4, 0, 0) ON CONFLICT (destination) DO UPDATE \
                         SET stopped_code = excluded.stopped_code, explanation = excluded.explanation, \
                         stopped_at_s = excluded.stopped_at_s WHERE deliver_standing.stopped_at_s = 0";
        let rows =
            self.run("stop a destination", statement, &[destination, code.as_str(), explanation], &[now_s]).await?;
        Ok(rows > 0)
    }

    /// Lets a destination go on, and forgets its failures.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn resume(&self, destination: &str) -> Result<(), LedgerError> {
        let statement = "DELETE FROM deliver_standing WHERE destination = $1";
        self.run("resume a destination", statement, &[destination], &[]).await.map(drop)
    }

    /// A delivery has failed.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn failed(&self, destination: &str, now_s: i64) -> Result<(), LedgerError> {
        let statement = "INSERT INTO deliver_standing \
                         (destination, stopped_code, explanation, stopped_at_s, failing_since_s, failures) \
                         VALUES ($1, '', '', 0, $2, 1) ON CONFLICT (destination) DO UPDATE \
                         SET failures = deliver_standing.failures + 1, failing_since_s = \
                         CASE WHEN deliver_standing.failing_since_s = 0 THEN excluded.failing_since_s \
                         ELSE deliver_standing.failing_since_s END";
        self.run("note a failure", statement, &[destination], &[now_s]).await.map(drop)
    }

    /// A delivery has succeeded: what failed before no longer counts.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn succeeded(&self, destination: &str) -> Result<(), LedgerError> {
        let statement = "UPDATE deliver_standing SET failing_since_s = 0, failures = 0 \
                         WHERE destination = $1 AND failures > 0";
        self.run("note a success", statement, &[destination], &[]).await.map(drop)
    }

    /// The token that was kept for a destination.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn token(&self, destination: &str) -> Result<Option<Token>, LedgerError> {
        let statement = "SELECT access, refresh, base_url, expires_s FROM deliver_token WHERE destination = $1";
        let rows = self.rows("read a token", statement, (&[destination], &[]), (3, 1)).await?;
        let token = |(texts, numbers): (Vec<String>, Vec<i64>)| {
            let [access, refresh, base_url] = <[String; 3]>::try_from(texts).ok()?;
            let expires_s = *numbers.first()?;
            Some(Token { access: access.into(), refresh: refresh.into(), base_url, expires_s })
        };
        Ok(rows.into_iter().next().and_then(token))
    }

    /// Keeps a token: before it is used, where the account's server takes the one before it away.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn keep_token(&self, destination: &str, token: &Token) -> Result<(), LedgerError> {
        let statement = "INSERT INTO deliver_token (destination, access, refresh, base_url, expires_s) \
                         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (destination) DO UPDATE \
                         SET access = excluded.access, refresh = excluded.refresh, base_url = excluded.base_url, \
                         expires_s = excluded.expires_s";
        let (access, refresh) = (token.access.expose(), token.refresh.expose());
        let texts = [destination, &access, &refresh, &token.base_url];
        self.run("keep a token", statement, &texts, &[token.expires_s]).await.map(drop)
    }
}
