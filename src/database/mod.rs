//! The databases of the roles that have one: SQLite in a file of this machine, or PostgreSQL.
//!
//! A role gives its [`Migrations`] and has an open [`Database`] back; its statements are its own. SQLite has one connection that
//! writes, some that read, and one process: a lock file beside the database keeps a second one out. Several processes of a role
//! need PostgreSQL, where several roles may share one database, since each has its own tables.

mod address;
mod error;
mod migrate;
mod postgres;
mod sqlite;

pub use address::{Address, AddressError};
pub use error::DatabaseError;
pub use migrate::Migrations;
pub use sqlite::Sqlite;

use sqlx::PgPool;

/// An open database with the tables of its role. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file that this process alone has open.
    Sqlite(Sqlite),
    /// A server, which several processes may share.
    Postgres(PgPool),
}

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Connections at the same time: to PostgreSQL in all, to SQLite those that read.
    pub connections: u32,
}

impl Database {
    /// Opens the database at this address, makes it where SQLite has no such file yet, and brings its tables up to date. Several
    /// processes may do so at the same time at PostgreSQL: one of them makes the changes.
    ///
    /// # Errors
    /// [`DatabaseError`]; [`DatabaseError::InUse`] where another process has the SQLite file open,
    /// [`DatabaseError::Newer`] where a later version of this program has changed the tables.
    pub async fn open(address: &Address, options: OpenOptions, migrations: &Migrations) -> Result<Self, DatabaseError> {
        match address {
            Address::Sqlite { path } => {
                let database = Sqlite::open(path, options).await?;
                migrations.run_on_sqlite(database.writer()).await?;
                Ok(Self::Sqlite(database))
            }
            Address::Postgres { url } => {
                let pool = postgres::open(url, options).await?;
                migrations.run_on_postgres(&pool).await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// Opens a database that is there already, to read only: also while another process has it open. Its tables are used as
    /// they are.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn open_to_read(address: &Address, options: OpenOptions) -> Result<Self, DatabaseError> {
        match address {
            Address::Sqlite { path } => Ok(Self::Sqlite(Sqlite::open_to_read(path, options).await?)),
            Address::Postgres { url } => Ok(Self::Postgres(postgres::open(url, options).await?)),
        }
    }

    /// Whether several processes may have it open.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Whether the database answers, for readiness.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn check(&self) -> Result<(), DatabaseError> {
        let asked = match self {
            Self::Sqlite(database) => sqlx::query("SELECT 1").execute(database.readers()).await.map(drop),
            Self::Postgres(pool) => sqlx::query("SELECT 1").execute(pool).await.map(drop),
        };
        asked.map_err(|error| DatabaseError::of("ask the database whether it is there", &error))
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
