//! The same rows put into the same tables by the database's own means: what ingest is compared with.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::catalog::Empty;
use crate::support::postgres;

/// The columns that have values of their own; PostgreSQL computes the rest.
const MEDIA: &str = "id, tenant, media_id, state, standing, revision, event_id, outcome_at, sent_at, expires_at, kind, \
                     channel, direction, profile, code, file_name, caption, captioned_at, transcript, transcribed_at, \
                     written, spoken, certificate, data";
const CONTACT: &str = "tenant, hash, sent_at, media";
const TAG: &str = "media, tag";
const TABLES: [(&str, &str); 3] = [("catalog_media", MEDIA), ("catalog_contact", CONTACT), ("catalog_tag", TAG)];

/// Rows a second of a bulk insert of all media of this index into an empty one: in SQLite as one `INSERT … SELECT` a table in one
/// transaction with the settings of the catalogue, in PostgreSQL by `COPY`. Indexes, keys and the text index are filled as always.
pub(super) async fn bulk(full: &Empty, rows: u32) -> f64 {
    let seconds = if full.name == "sqlite" { sqlite(full).await } else { postgres(full).await };
    f64::from(rows) / seconds
}

async fn sqlite(full: &Empty) -> f64 {
    let empty = Empty::sqlite().await;
    let path = |empty: &Empty| empty.dir.path().join("catalog.db").display().to_string();
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path(&empty))).await.expect("opened");
    let statements = [
        "PRAGMA synchronous = FULL".to_owned(),
        "PRAGMA secure_delete = ON".to_owned(),
        format!("ATTACH '{}' AS src", path(full)),
    ];
    for sql in statements {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("done");
    }
    let begun = Instant::now();
    let mut transaction = connection.begin().await.expect("begun");
    for (table, columns) in TABLES {
        let sql = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM src.{table}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await.expect("copied");
    }
    transaction.commit().await.expect("committed");
    let seconds = begun.elapsed().as_secs_f64();
    connection.close().await.expect("closed");
    assert_eq!(empty.index.counts().await.expect("counted"), full.index.counts().await.expect("counted"));
    seconds
}

async fn postgres(full: &Empty) -> f64 {
    let server = postgres::server().expect("it has the index");
    let empty = Empty::at("postgres", server.database(), tempfile::tempdir().expect("a directory")).await;
    let name = |empty: &Empty| name_of(&empty.url).expect("a database");
    let file = |table: &str| server.file(&format!("{}-{table}", name(full)));
    for (table, columns) in TABLES {
        server.psql(&name(full), &format!("COPY {table} ({columns}) TO '{}'", file(table)));
    }
    let begun = Instant::now();
    for (table, columns) in TABLES {
        server.psql(&name(&empty), &format!("COPY {table} ({columns}) FROM '{}'", file(table)));
    }
    let seconds = begun.elapsed().as_secs_f64();
    for (table, _) in TABLES {
        std::fs::remove_file(file(table)).expect("removed");
    }
    assert_eq!(empty.index.counts().await.expect("counted"), full.index.counts().await.expect("counted"));
    seconds
}

/// `postgres://user@localhost/NAME?host=…`
fn name_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("@localhost/")?;
    rest.split('?').next().map(str::to_owned)
}
