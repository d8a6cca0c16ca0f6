//! What can go wrong with a database, and what that means for a message.

use crate::error::{Code, Fault};

/// Why a database could not do its work. Texts have no values of statements or rows: they may be customers'.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// Another process has the SQLite file open.
    #[error(
        "another process has the database {path} open, and SQLite serves one; stop that process, or use PostgreSQL for \
         several replicas"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// A later version of this program has changed the tables.
    #[error(
        "a later version of mediamill has changed the tables (change {version}): start that version, or restore a backup"
    )]
    Newer {
        /// The change that this version does not know.
        version: i64,
    },
    /// It cannot be reached, or cannot take more now; a later attempt may succeed.
    #[error("the database did not {action}: {detail}")]
    Unavailable {
        /// What was to be done.
        action: &'static str,
        /// What was the matter.
        detail: String,
    },
    /// It refuses what was asked for. An operator is needed.
    #[error("the database refused to {action}: {detail}")]
    Refused {
        /// What was to be done.
        action: &'static str,
        /// What was the matter.
        detail: String,
    },
}

impl DatabaseError {
    /// What an error of the library means.
    pub(crate) fn of(action: &'static str, error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().map(|code| code.into_owned()).unwrap_or_default();
                let detail = format!("code {code}");
                if passes(&code) { Self::Unavailable { action, detail } } else { Self::Refused { action, detail } }
            }
            sqlx::Error::Configuration(_) => {
                Self::Config("the address of the database has an option that cannot be used".to_owned())
            }
            sqlx::Error::Io(error) => Self::Unavailable { action, detail: error.kind().to_string() },
            sqlx::Error::Tls(_) => Self::Unavailable { action, detail: "TLS could not be agreed on".to_owned() },
            sqlx::Error::PoolTimedOut => {
                Self::Unavailable { action, detail: "no connection was free in time".to_owned() }
            }
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unavailable { action, detail: "its connections are closed".to_owned() }
            }
            sqlx::Error::Protocol(_) => {
                Self::Unavailable { action, detail: "the connection broke off within an answer".to_owned() }
            }
            // What is left concerns statements and the types of their columns: the names of columns are the program's own.
            other => Self::Refused { action, detail: other.to_string() },
        }
    }
}

/// Whether a database's own code tells of what passes by itself: SQLSTATE of PostgreSQL, or the number of SQLite.
///
/// 55000: a database that takes no connections for a while.
///
/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>, <https://www.sqlite.org/rescode.html>
fn passes(code: &str) -> bool {
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        // BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN; the upper bytes say more of the same.
        return [5, 6, 7, 10, 13, 14].contains(&(number & 0xff));
    }
    let classes = ["08", "53", "57P", "58", "25006", "40001", "40P01", "55000", "55P03"];
    classes.iter().any(|class| code.starts_with(class))
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        let message = error.to_string();
        match error {
            DatabaseError::Unavailable { .. } => Self::transient(Code::DatabaseUnavailable, message),
            DatabaseError::Config(_)
            | DatabaseError::InUse { .. }
            | DatabaseError::Newer { .. }
            | DatabaseError::Refused { .. } => Self::broken(Code::DatabaseRefused, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for code in ["5", "261", "13", "10", "3338", "08006", "53100", "57P01", "40001", "25006", "55000"] {
            assert!(passes(code), "{code}");
        }
        for code in ["1", "19", "2067", "11", "26", "23505", "42P01", "28P01", ""] {
            assert!(!passes(code), "{code}");
        }
        let full = DatabaseError::Unavailable { action: "store a batch", detail: "code 13".to_owned() };
        assert!(matches!(Fault::from(full), Fault::Transient { code: Code::DatabaseUnavailable, .. }));
        let refused = DatabaseError::Refused { action: "store a batch", detail: "code 42P01".to_owned() };
        assert!(matches!(Fault::from(refused), Fault::Broken { code: Code::DatabaseRefused, .. }));
    }
}
