//! A PostgreSQL server.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, PgPool};
use url::Url;

use super::{DatabaseError, OpenOptions};

const ACTION: &str = "take a connection";
/// How long a statement waits for a free connection, which includes making one.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a statement may run, so that one that hangs does not keep its connection for good.
const STATEMENT: &str = "60s";

pub(super) async fn open(url: &Url, options: OpenOptions) -> Result<PgPool, DatabaseError> {
    let connect = PgConnectOptions::from_str(url.as_str())
        .map_err(|error| DatabaseError::of(ACTION, &error))?
        .application_name("mediamill")
        .options([("statement_timeout", STATEMENT)])
        .disable_statement_logging();
    // The library's default tries TLS and goes on without it, and never looks at the certificate.
    let is_said = url.query_pairs().any(|(key, _)| matches!(&*key, "sslmode" | "ssl-mode"));
    let connect = if is_said || is_local(&connect) { connect } else { connect.ssl_mode(PgSslMode::VerifyFull) };
    PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(CONNECT)
        .connect_with(connect)
        .await
        .map_err(|error| DatabaseError::of(ACTION, &error))
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_leave_the_machine_goes_without_tls() {
        let local = |url: &str| is_local(&PgConnectOptions::from_str(url).expect("a URL"));
        for url in ["postgres://127.0.0.1/d", "postgres://localhost/d", "postgres:///d?host=/run/postgresql"] {
            assert!(local(url), "{url}");
        }
        for url in ["postgres://db.example/d", "postgres://10.0.0.7/d"] {
            assert!(!local(url), "{url}");
        }
    }
}
