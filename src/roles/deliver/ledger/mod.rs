//! The ledger: which steps of which deliveries have begun and ended, and what ids they led to.
//!
//! It is what makes a delivery happen once although processes die between a request and its answer. No event waits in it: those
//! wait in RabbitMQ. Where it is lost, what was delivered is looked up at the destination when the event comes again.
//!
//! The same statements run on SQLite and PostgreSQL.

mod rows;
mod schema;
mod standing;

use crate::database::{Address, Database, DatabaseError, OpenOptions};
use crate::error::{Code, Fault};

pub use rows::{MediaKey, Row, RowState, StepKey};
pub use standing::{Standing, Token};

/// Connections at the same time.
const CONNECTIONS: u32 = 4;

/// Why the ledger did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger: {0}")]
pub struct LedgerError(String);

impl LedgerError {
    pub(super) fn of(action: &'static str, error: &sqlx::Error) -> Self {
        Self(DatabaseError::of(action, error).to_string())
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::transient(Code::DeliverLedger, error.to_string())
    }
}

/// The ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    database: Database,
}

/// Runs `$body` with the pool that may write, whichever database it is.
macro_rules! on_writer {
    ($ledger:expr, $pool:ident => $body:expr) => {
        match &$ledger.database {
            $crate::database::Database::Sqlite(sqlite) => {
                let $pool = sqlite.writer();
                $body
            }
            $crate::database::Database::Postgres($pool) => $body,
        }
    };
}

impl Ledger {
    /// Opens it, and makes its tables. Claims of a process before this one end where no other process can have any.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        let address = Address::parse(url).map_err(|error| LedgerError(error.to_string()))?;
        let options = OpenOptions { connections: CONNECTIONS };
        let database = Database::open(&address, options, &schema::MIGRATIONS).await;
        let ledger = Self { database: database.map_err(|error| LedgerError(error.to_string()))? };
        if !ledger.is_shared() {
            ledger.run("end claims", "DELETE FROM deliver_claim", &[], &[]).await?;
        }
        Ok(ledger)
    }

    /// Whether several processes may use it.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.database.is_shared()
    }

    /// Whether it answers, for readiness.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn check(&self) -> Result<(), LedgerError> {
        self.database.check().await.map_err(|error| LedgerError(error.to_string()))
    }

    /// Takes the right to work on something of a destination until then. Whether it was free, or this owner's already.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn claim(
        &self,
        destination: &str,
        what: &str,
        owner: &str,
        (now_s, until_s): (i64, i64),
    ) -> Result<bool, LedgerError> {
        let statement = "INSERT INTO deliver_claim (destination, what, owner, until_s, now_s) VALUES ($1, $2, $3, $4, $5) \
                         ON CONFLICT (destination, what) DO UPDATE \
                         SET owner = excluded.owner, until_s = excluded.until_s, now_s = excluded.now_s \
                         WHERE deliver_claim.owner = excluded.owner OR deliver_claim.until_s <= excluded.now_s";
        let rows = self.run("claim a delivery", statement, &[destination, what, owner], &[until_s, now_s]).await?;
        Ok(rows > 0)
    }

    /// Gives a claim back.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn release(&self, destination: &str, what: &str, owner: &str) -> Result<(), LedgerError> {
        let statement = "DELETE FROM deliver_claim WHERE destination = $1 AND what = $2 AND owner = $3";
        self.run("give a claim back", statement, &[destination, what, owner], &[]).await.map(drop)
    }

    /// Forgets what is older than this.
    ///
    /// # Errors
    /// [`LedgerError`]
    pub async fn forget_before(&self, second: i64) -> Result<(), LedgerError> {
        for statement in [
            "DELETE FROM deliver_step WHERE at_s < $1",
            "DELETE FROM deliver_event WHERE at_s < $1",
            "DELETE FROM deliver_claim WHERE until_s < $1",
        ] {
            self.run("forget old deliveries", statement, &[], &[second]).await?;
        }
        Ok(())
    }

    /// Runs a statement with these texts and then these numbers as its parameters. How many rows it has changed.
    async fn run(
        &self,
        action: &'static str,
        statement: &'static str,
        texts: &[&str],
        numbers: &[i64],
    ) -> Result<u64, LedgerError> {
        let done = on_writer!(self, pool => {
            let mut query = sqlx::query(statement);
            for text in texts {
                query = query.bind(*text);
            }
            for number in numbers {
                query = query.bind(*number);
            }
            query.execute(pool).await.map(|done| done.rows_affected())
        });
        done.map_err(|error| LedgerError::of(action, &error))
    }

    /// The rows of a query with these texts and then these numbers as its parameters: the first columns are texts, as many as
    /// `columns` says first, and the others numbers.
    async fn rows(
        &self,
        action: &'static str,
        statement: &'static str,
        (texts, numbers): (&[&str], &[i64]),
        columns: (usize, usize),
    ) -> Result<Vec<(Vec<String>, Vec<i64>)>, LedgerError> {
        let rows: Result<Vec<_>, sqlx::Error> = on_writer!(self, pool => {
            let mut query = sqlx::query(statement);
            for text in texts {
                query = query.bind(*text);
            }
            for number in numbers {
                query = query.bind(*number);
            }
            query.fetch_all(pool).await.and_then(|rows| {
                let read = |row| -> Result<(Vec<String>, Vec<i64>), sqlx::Error> {
                    let texts = (0..columns.0).map(|n| row_text(&row, n)).collect::<Result<_, _>>()?;
                    let numbers = (columns.0..columns.0 + columns.1).map(|n| row_number(&row, n));
                    Ok((texts, numbers.collect::<Result<_, _>>()?))
                };
                rows.into_iter().map(read).collect()
            })
        });
        rows.map_err(|error| LedgerError::of(action, &error))
    }
}

fn row_text<R>(row: &R, column: usize) -> Result<String, sqlx::Error>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    row.try_get(column)
}

fn row_number<R>(row: &R, column: usize) -> Result<i64, sqlx::Error>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    row.try_get(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ledger(dir: &tempfile::TempDir) -> Ledger {
        Ledger::open(&format!("sqlite:{}/ledger.db", dir.path().display())).await.expect("a ledger")
    }

    const MEDIA: MediaKey<'_> = MediaKey { destination: "crm", tenant: "acme", media_id: "m1" };

    fn step(record: &str) -> StepKey<'_> {
        StepKey { media: MEDIA, revision: 1, record, step: "create" }
    }

    #[tokio::test]
    async fn steps_are_kept_from_their_beginning_to_their_remote_id_and_over_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = self::ledger(&dir).await;
        ledger.begin(step("note"), "e1", 10).await.expect("noted");
        ledger.begin(step("file:playback"), "e1", 9).await.expect("noted");
        ledger.done(step("file:playback"), "e1", "77", 11).await.expect("noted");
        ledger.delivered(MEDIA, "e1", 5, 12).await.expect("noted");
        ledger.database.close().await;
        drop(ledger);
        let ledger = self::ledger(&dir).await;
        let rows = ledger.steps(MEDIA).await.expect("rows");
        let seen: Vec<_> = rows.iter().map(|row| (row.record.as_str(), &row.state, row.at_s)).collect();
        let done = RowState::Done("77".to_owned());
        assert_eq!(seen, [("note", &RowState::Begun, 10), ("file:playback", &done, 11)]);
        assert!(ledger.is_delivered("crm", "e1").await.expect("known"));
        assert!(!ledger.is_delivered("other", "e1").await.expect("known"), "another destination");
        assert_eq!(ledger.media_between("crm", 5, 6).await.expect("known").len(), 1);
        assert_eq!(ledger.media_between("crm", 6, 9).await.expect("known").len(), 0);
        ledger.reopen(MEDIA).await.expect("opened");
        let rows = ledger.steps(MEDIA).await.expect("rows");
        assert!(rows.iter().all(|row| row.state == RowState::Begun && row.at_s == 0), "{rows:?}");
        ledger.forget(step("note")).await.expect("forgotten");
        assert_eq!(ledger.steps(MEDIA).await.expect("rows").len(), 1);
        ledger.bar(MEDIA, 13).await.expect("noted");
        ledger.drop_media(MEDIA).await.expect("removed");
        assert!(ledger.is_erased(MEDIA).await.expect("known") && ledger.steps(MEDIA).await.expect("rows").is_empty());
    }

    #[tokio::test]
    async fn a_claim_is_one_owners_until_it_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = self::ledger(&dir).await;
        let claim =
            async |owner: &str, now_s| ledger.claim("crm", "m1", owner, (now_s, now_s + 10)).await.expect("an answer");
        assert!(claim("a", 100).await && claim("a", 101).await, "renewed");
        assert!(!claim("b", 105).await);
        assert!(claim("b", 111).await, "the first has ended");
        ledger.release("crm", "m1", "a").await.expect("nothing to give back");
        assert!(!claim("a", 112).await);
        ledger.release("crm", "m1", "b").await.expect("given back");
        assert!(claim("a", 112).await);
    }

    #[tokio::test]
    async fn a_destination_stops_once_and_failures_are_forgiven_by_one_success() {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = self::ledger(&dir).await;
        ledger.failed("crm", 100).await.expect("noted");
        ledger.failed("crm", 200).await.expect("noted");
        let standing = ledger.standing("crm").await.expect("a standing");
        assert_eq!((standing.failing_since_s, standing.failures, standing.stopped), (Some(100), 2, None));
        ledger.succeeded("crm").await.expect("noted");
        assert_eq!(ledger.standing("crm").await.expect("a standing").failing_since_s, None);
        assert!(ledger.stop("crm", Code::DeliverGone, "gone", 300).await.expect("stopped"));
        assert!(!ledger.stop("crm", Code::DeliverForbidden, "again", 301).await.expect("stopped"), "it was before");
        let standing = ledger.standing("crm").await.expect("a standing");
        assert_eq!((standing.stopped, standing.explanation.as_str()), (Some((Some(Code::DeliverGone), 300)), "gone"));
        ledger.resume("crm").await.expect("resumed");
        assert_eq!(ledger.standing("crm").await.expect("a standing"), Standing::default());
        let token = Token {
            access: "a".to_owned().into(),
            refresh: "r".to_owned().into(),
            base_url: String::new(),
            expires_s: 9,
        };
        ledger.keep_token("crm", &token).await.expect("kept");
        assert_eq!(ledger.token("crm").await.expect("an answer"), Some(token));
    }
}
