//! Where a database is, as the configuration says it.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// What the address of a database may be; the end of every message about one that is not.
const EXPECTED: &str = "use sqlite:///file.db or postgres://user@host/database";

/// A database's address. It may hold a password, and `Debug` and `Display` do not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// `sqlite:///directory/file.db`
    Sqlite {
        /// The file, as an absolute path.
        path: PathBuf,
    },
    /// `postgres://…`, or `postgresql://…`
    Postgres {
        /// The whole address.
        url: Url,
    },
}

/// Why a text is not the address of a database. Messages never repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not a URL.
    #[error("is not a URL ({0}); {EXPECTED}")]
    NotAUrl(#[source] url::ParseError),
    /// No database has this scheme.
    #[error("no database has the scheme {0:?}; {EXPECTED}")]
    UnknownScheme(String),
    /// The scheme is known, but the rest of the URL cannot be used.
    #[error("{scheme}: {problem}; {EXPECTED}")]
    Unusable {
        /// The URL's scheme.
        scheme: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Address {
    /// Reads a database's URL.
    ///
    /// # Errors
    /// [`AddressError`]
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(AddressError::NotAUrl)?;
        match url.scheme() {
            "sqlite" => sqlite(text),
            "postgres" | "postgresql" => Ok(Self::Postgres { url }),
            other => Err(AddressError::UnknownScheme(other.to_owned())),
        }
    }
}

/// Without user, password and options.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "sqlite://{}", path.display()),
            Self::Postgres { url } => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "postgres://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// As a file URL: the library reads a path for the schemes only that the URL standard knows.
fn sqlite(text: &str) -> Result<Address, AddressError> {
    let unusable = |problem| AddressError::Unusable { scheme: "sqlite", problem };
    let rest = text.get("sqlite:".len()..).unwrap_or_default();
    let url = Url::parse(&format!("file:{rest}")).map_err(AddressError::NotAUrl)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable("has a query or a fragment (write ? as %3F and # as %23)"));
    }
    let is_absolute = rest.starts_with('/') && !rest.ends_with('/');
    let path = url.to_file_path().ok().filter(|path| is_absolute && path.file_name().is_some());
    path.map(|path| Address::Sqlite { path }).ok_or_else(|| unusable("needs the absolute path of a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_an_absolute_path() {
        for text in ["sqlite:///var/lib/a%20b.db", "sqlite:/var/lib/a%20b.db"] {
            assert_eq!(Address::parse(text), Ok(Address::Sqlite { path: "/var/lib/a b.db".into() }), "{text}");
        }
        for text in
            ["sqlite://a.db", "sqlite:a.db", "sqlite::memory:", "sqlite:", "sqlite:///a/", "sqlite:///a.db?mode=ro"]
        {
            assert!(matches!(Address::parse(text), Err(AddressError::Unusable { .. })), "{text}");
        }
    }

    #[test]
    fn a_server_is_shown_without_user_and_password() {
        let address = Address::parse("postgres://u:hunter2@db.example:5433/mediamill?sslmode=require").expect("usable");
        assert_eq!(address.to_string(), "postgres://db.example:5433/mediamill");
        assert!(!format!("{address:?}").contains("hunter2"));
        assert!(matches!(Address::parse("postgresql:///mediamill?host=/run/postgresql"), Ok(Address::Postgres { .. })));
        for text in ["mysql://u:hunter2@h/d", "u:hunter2@h", ""] {
            let error = Address::parse(text).expect_err("not usable").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
