//! What is stored of every media, so that it can be found: one row each, in SQLite or PostgreSQL.
//!
//! The index can be lost: it is rebuilt from the manifests in the store. Changes come in any order and any number of times, and
//! lead to the same rows: a state has a standing, and a change takes the place of what has a lower one, or the same one and is
//! older. People are known by keyed hashes. `sqlite` and `postgres` have the statements; `tests/it/catalog` puts both through one
//! suite.

mod batch;
mod change;
mod named;
mod postgres;
mod query;
mod row;
mod shared;
mod sqlite;
mod words;

pub use change::{Change, Entry, MediaState};
pub use query::{Filter, Place};
pub use row::Row;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::database::{Database, DatabaseError, Migrations};
use crate::privacy::audit::AuditIndex;

/// The tables of the catalogue. All have names that begin with `catalog_`, so that other roles may share the database.
pub const MIGRATIONS: Migrations = Migrations {
    table: "catalog_changes",
    sqlite: &[("media", include_str!("sql/sqlite_1.sql")), ("audit log", include_str!("sql/sqlite_2.sql"))],
    postgres: &[("media", include_str!("sql/postgres_1.sql")), ("audit log", include_str!("sql/postgres_2.sql"))],
};

/// Rows of media. All functions may be called at the same time, by several processes where the database is PostgreSQL.
#[async_trait]
pub trait Index: AuditIndex + std::fmt::Debug + Send + Sync {
    /// Makes all of these changes or none, durably. A change that is made again changes nothing. How many rows are different now.
    ///
    /// # Errors
    /// [`DatabaseError`]; then nothing has changed.
    async fn apply(&self, changes: &[Change]) -> Result<u64, DatabaseError>;

    /// The row of one media, whatever its state is, and whether or not its time is over.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn get(&self, tenant: &str, media_id: &str) -> Result<Option<Row>, DatabaseError>;

    /// At most `limit` rows that pass the filter, the latest message first, from after a place on. Of media that were erased or
    /// whose time is over there are none.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn find(&self, filter: &Filter, after: Option<Place>, limit: u32) -> Result<Vec<Row>, DatabaseError>;

    /// At most `limit` rows whose time is over, the longest overdue first.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Row>, DatabaseError>;

    /// Notes that a link was revoked, by the id of its capability.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn revoke(&self, link: &str, at: Timestamp) -> Result<(), DatabaseError>;

    /// Whether it was.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn is_revoked(&self, link: &str) -> Result<bool, DatabaseError>;

    /// How many rows there are, by state.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn counts(&self) -> Result<Vec<(String, u64)>, DatabaseError>;

    /// After an erase: has the database write out what it keeps of deleted rows, as far as it lets us. SQLite's write-ahead log is
    /// written back and emptied; PostgreSQL reuses the space of dead rows (`VACUUM`), and its own log is rotated by its settings.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn wipe_residues(&self) -> Result<(), DatabaseError>;

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`DatabaseError`]
    async fn check(&self) -> Result<(), DatabaseError>;
}

/// The index in this database, which has [`MIGRATIONS`].
#[must_use]
pub fn index(database: Database) -> Arc<dyn Index> {
    match database {
        Database::Sqlite(database) => Arc::new(sqlite::SqliteIndex::new(database)),
        Database::Postgres(pool) => Arc::new(postgres::PostgresIndex::new(pool)),
    }
}
