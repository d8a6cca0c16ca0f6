//! A SQLite file, with one connection that writes and some that read.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::{DatabaseError, OpenOptions};

const ACTION: &str = "open its file";
/// How long a statement waits for another one's lock.
const BUSY: Duration = Duration::from_secs(10);

/// An open SQLite database.
#[derive(Debug, Clone)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held for as long as the database is open.
    _lock: Option<Arc<File>>,
}

impl Sqlite {
    pub(super) async fn open(path: &Path, options: OpenOptions) -> Result<Self, DatabaseError> {
        let lock = lock(path)?;
        // Made here with these rights: SQLite gives its other files those of this one.
        let made = File::options().create(true).append(true).mode(0o600).open(path);
        made.map_err(|error| unusable(path, &error))?;
        let connect = connect_options(path);
        // One connection, for good: statements that write take turns here, not at a lock of the file.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
            .connect_with(connect.clone())
            .await
            .map_err(|error| DatabaseError::of(ACTION, &error))?;
        let readers = readers(connect, options).await?;
        Ok(Self { writer, readers, _lock: Some(Arc::new(lock)) })
    }

    pub(super) async fn open_to_read(path: &Path, options: OpenOptions) -> Result<Self, DatabaseError> {
        if let Err(error) = File::open(path) {
            return Err(unusable(path, &error));
        }
        let readers = readers(connect_options(path), options).await?;
        Ok(Self { writer: readers.clone(), readers, _lock: None })
    }

    /// The connection that may write.
    #[must_use]
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Connections that may only read.
    #[must_use]
    pub const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether the connection can be used again. When the disk is full SQLite ends a transaction by itself (sqlite.org, *ROLLBACK*), so that the
/// client's own rollback fails and it still counts one as begun: its next ones would be savepoints within one that nobody commits.
/// Such a connection is closed, and the next one is new.
async fn has_no_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The rollback of a transaction that was dropped stands before this in the connection's queue.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// `secure_delete` overwrites what is deleted: without it deleted text stays in the file.
fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log, a power cut takes no transaction that a checkpoint has not seen only where each is synced.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

async fn readers(connect: SqliteConnectOptions, options: OpenOptions) -> Result<SqlitePool, DatabaseError> {
    SqlitePoolOptions::new()
        .max_connections(options.connections.max(1))
        .connect_with(connect.pragma("query_only", "ON"))
        .await
        .map_err(|error| DatabaseError::of(ACTION, &error))
}

/// The lock is the kernel's: it ends with the process, however that ends.
fn lock(path: &Path) -> Result<File, DatabaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = File::options().create(true).append(true).mode(0o600).open(&name);
    let file = file.map_err(|error| unusable(&name, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::InUse { path: path.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(unusable(&name, &error)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> DatabaseError {
    DatabaseError::Config(format!("the file {} cannot be opened: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::database::{Address, Database, Migrations};

    const OPTIONS: OpenOptions = OpenOptions { connections: 2 };
    const TABLES: Migrations = Migrations {
        table: "trial_changes",
        sqlite: &[("notes", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")],
        postgres: &[],
    };

    const LATER: Migrations =
        Migrations { sqlite: &[TABLES.sqlite[0], ("more", "ALTER TABLE note ADD COLUMN more TEXT")], ..TABLES };

    fn address(dir: &tempfile::TempDir) -> Address {
        Address::Sqlite { path: dir.path().join("trial.db") }
    }

    fn sqlite(database: &Database) -> &Sqlite {
        match database {
            Database::Sqlite(sqlite) => sqlite,
            Database::Postgres(_) => panic!("no file"),
        }
    }

    #[tokio::test]
    async fn one_process_has_it_open_and_others_may_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::open(&address(&dir), OPTIONS, &TABLES).await.expect("opened");
        let error = Database::open(&address(&dir), OPTIONS, &TABLES).await.expect_err("it is open");
        assert!(matches!(error, DatabaseError::InUse { .. }), "{error}");
        sqlx::query("INSERT INTO note (text) VALUES ('a')").execute(sqlite(&database).writer()).await.expect("stored");
        let other = Database::open_to_read(&address(&dir), OPTIONS).await.expect("readable");
        let row = sqlx::query("SELECT text FROM note").fetch_one(sqlite(&other).readers()).await.expect("a row");
        assert_eq!(row.get::<String, _>(0), "a");
        for pool in [sqlite(&other).writer(), sqlite(&database).readers()] {
            sqlx::query("INSERT INTO note (text) VALUES ('b')").execute(pool).await.expect_err("it only reads");
        }
        database.close().await;
        drop(database);
        Database::open(&address(&dir), OPTIONS, &TABLES).await.expect("nobody has it open any more");
    }

    #[tokio::test]
    async fn what_is_deleted_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::open(&address(&dir), OPTIONS, &TABLES).await.expect("opened");
        let writer = sqlite(&database).writer();
        let word = "canary-in-a-row-of-its-own";
        let count = |word: &str| {
            let files = std::fs::read_dir(dir.path()).expect("a directory").flatten();
            let holds = |path: PathBuf| {
                let bytes = std::fs::read(path).expect("a file");
                bytes.windows(word.len()).any(|part| part == word.as_bytes())
            };
            files.filter(|entry| holds(entry.path())).count()
        };
        sqlx::query("INSERT INTO note (text) VALUES (?)").bind(word).execute(writer).await.expect("stored");
        assert!(count(word) > 0, "is the test blind?");
        sqlx::query("DELETE FROM note").execute(writer).await.expect("deleted");
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await.expect("written back");
        assert_eq!(count(word), 0);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join("trial.db")).expect("the file").permissions(),
        );
        assert_eq!(mode & 0o077, 0, "nobody else may read it");
    }

    #[tokio::test]
    async fn tables_of_a_later_version_are_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        Database::open(&address(&dir), OPTIONS, &LATER).await.expect("opened").close().await;
        let error = Database::open(&address(&dir), OPTIONS, &TABLES).await.expect_err("it is newer");
        assert_eq!(error, DatabaseError::Newer { version: 2 });
    }
}
