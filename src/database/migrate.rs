//! Changes of tables, in the binary, forward only.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr, SqlitePool};

use super::DatabaseError;

const ACTION: &str = "bring its tables up to date";

/// The changes that lead from an empty database to the tables of a role, in their order: the first is number 1. A change that was
/// released is never edited: its checksum is in the databases that have it.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// Name of the table that lists what was done; each role has its own.
    pub table: &'static str,
    /// For SQLite: what each is for, and its statements.
    pub sqlite: &'static [(&'static str, &'static str)],
    /// For PostgreSQL, likewise.
    pub postgres: &'static [(&'static str, &'static str)],
}

impl Migrations {
    pub(super) async fn run_on_sqlite(&self, pool: &SqlitePool) -> Result<(), DatabaseError> {
        self.migrator(self.sqlite).run(pool).await.map_err(failed)
    }

    pub(super) async fn run_on_postgres(&self, pool: &PgPool) -> Result<(), DatabaseError> {
        self.migrator(self.postgres).run(pool).await.map_err(failed)
    }

    fn migrator(&self, changes: &'static [(&'static str, &'static str)]) -> Migrator {
        let numbered = (1_i64..).zip(changes).map(|(number, (what, sql))| {
            Migration::new(number, Cow::Borrowed(what), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(numbered.collect());
        migrator.dangerous_set_table_name(self.table);
        migrator
    }
}

fn failed(error: MigrateError) -> DatabaseError {
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooOld(version, _) => {
            DatabaseError::Newer { version }
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => DatabaseError::of(ACTION, &error),
        other => DatabaseError::Refused { action: ACTION, detail: other.to_string() },
    }
}
